//! What asks, what answers and what is right, over small manifests and a random model.
#![allow(clippy::unwrap_used)]

#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::Path;
use unisono_datasets::Manifest;
use unisono_encoders::{Modality, Model};
use unisono_eval::chance;
use unisono_eval::protocol::{Captions, Reading, Spoken};
use unisono_eval::retrieval::{Retrieval, Retrieved};
use unisono_eval::stats::Bootstrap;

/// A manifest of these lines beside four images and three audio files.
fn manifest(dir: &Path, lines: &[&str]) -> Manifest {
    for i in 0..4u8 {
        tiny::image(&dir.join(format!("p{i}.png")), i);
        tiny::audio(&dir.join(format!("s{i}.wav")), u32::from(i));
    }
    let path = dir.join("m.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    Manifest::load(&path).unwrap()
}

fn protocol(from: Modality, to: Modality) -> Retrieval {
    Retrieval {
        name: "test".into(),
        source: "m.jsonl".into(),
        split: "test".into(),
        distractors: Vec::new(),
        from,
        to,
        query_lang: Vec::new(),
        gallery_lang: Vec::new(),
        same_lang: false,
        captions: Captions::First,
    }
}

fn model() -> Model {
    tiny::model(7, &tiny::TOWERS)
}

fn outcome(p: &Retrieval, manifest: &Manifest) -> Retrieved {
    let model = model();
    let task = p.task(manifest, &model, &Reading::default()).unwrap();
    let mut skipped = Vec::new();
    let found = task.run(&model, 4, &Bootstrap::default(), &mut skipped).unwrap();
    assert!(skipped.is_empty(), "{skipped:?}");
    found
}

const TO_IMAGE: (Modality, Modality) = (Modality::Text, Modality::Image);
const TO_TEXT: (Modality, Modality) = (Modality::Image, Modality::Text);

/// For each query, how many of the gallery are right.
fn relevant(o: &Retrieved) -> Vec<usize> {
    o.ranks.queries.iter().map(|q| q.relevant).collect()
}

#[test]
fn the_same_words_under_two_images_are_both_right_and_all_ask() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(
        dir.path(),
        &[
            r#"{"id":"a","image":"p0.png","text":"A plain  café","split":"test"}"#,
            r#"{"id":"b","image":"p1.png","text":"a plain cafe\u0301 ","split":"test"}"#,
            r#"{"id":"c","image":"p2.png","text":"another square","split":"test"}"#,
        ],
    );
    for (from, to) in [TO_IMAGE, TO_TEXT] {
        let o = outcome(&protocol(from, to), &m);
        assert_eq!((o.metrics.queries, o.metrics.left_out, o.metrics.gallery), (3, 0, 3.0), "{from}");
        assert_eq!(relevant(&o), [2, 2, 1]);
        // The exact chance of queries with two and with one right answer among three.
        let expected = (2.0 * chance::recall_at(1, 3, 2) + chance::recall_at(1, 3, 1)) / 3.0;
        assert!((o.metrics.chance_r1 - expected).abs() < 1e-12);
    }
}

#[test]
fn one_caption_in_common_does_not_make_two_things_one() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(
        dir.path(),
        &[
            r#"{"id":"a","image":"p0.png","text":["a square","red"],"split":"test"}"#,
            r#"{"id":"b","image":"p1.png","text":["a square","green"],"split":"test"}"#,
            r#"{"id":"c","image":"p2.png","text":["a ship","a ship"],"split":"test"}"#,
        ],
    );
    let all = |(from, to)| Retrieval { captions: Captions::All, ..protocol(from, to) };
    let o = outcome(&all(TO_IMAGE), &m);
    // Every caption asks, those said twice, too.
    assert_eq!(o.queries.items.len(), 6);
    assert_eq!(relevant(&o), [2, 1, 2, 1, 1, 1]);
    let o = outcome(&all(TO_TEXT), &m);
    assert_eq!(relevant(&o), [3, 3, 2]);
    // Captions that take no part join nothing.
    let m = manifest(
        dir.path(),
        &[
            r#"{"id":"a","image":"p0.png","text":["a cat","animal"],"split":"test"}"#,
            r#"{"id":"b","image":"p1.png","text":["animal","a cat"],"split":"test"}"#,
        ],
    );
    assert_eq!(relevant(&outcome(&protocol(Modality::Text, Modality::Image), &m)), [1, 1]);
}

#[test]
fn labels_files_and_languages_decide_too() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(
        dir.path(),
        &[
            // One thing drawn twice: its name is one text, both images are right.
            r#"{"id":"a1","image":"p0.png","text":"a cat","label":"cat","split":"test","lang":"en"}"#,
            r#"{"id":"a2","image":"p1.png","text":"a cat","label":"cat","split":"test","lang":"en"}"#,
            // One image with two captions, each on a line of its own.
            r#"{"id":"b1","image":"p2.png","text":"ein Geschenk","split":"test","lang":"de"}"#,
            r#"{"id":"b2","image":"p2.png","text":"gift","split":"test","lang":"en"}"#,
            // The same letters in another language say something else.
            r#"{"id":"c","image":"p3.png","text":"Gift","split":"test","lang":"de"}"#,
        ],
    );
    let o = outcome(&protocol(Modality::Text, Modality::Image), &m);
    let texts: Vec<&str> = o.queries.items.iter().map(|i| i.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["a cat", "ein Geschenk", "gift", "Gift"]);
    assert_eq!((o.gallery.items.len(), relevant(&o)), (4, vec![2, 1, 1, 1]));
    assert_eq!(relevant(&outcome(&protocol(Modality::Image, Modality::Text), &m)), [1, 1, 2, 1]);
    // By language an image stands in each gallery that it has a caption of.
    let own = Retrieval { same_lang: true, ..protocol(Modality::Text, Modality::Image) };
    let o = outcome(&own, &m);
    assert_eq!(o.ranks.queries.iter().map(|q| q.gallery).collect::<Vec<_>>(), [3, 2, 3, 2]);
}

#[test]
fn recordings_of_the_same_words_answer_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(
        dir.path(),
        &[
            r#"{"id":"a","image":"p0.png","audio":"s0.wav","text":"a frog","split":"test"}"#,
            r#"{"id":"b","image":"p1.png","audio":["s1.wav","s2.wav"],"text":"a frog","split":"test"}"#,
            r#"{"id":"c","image":"p2.png","audio":"s3.wav","text":"a longer caption than that","split":"test"}"#,
        ],
    );
    let o = outcome(&protocol(Modality::Audio, Modality::Image), &m);
    assert_eq!(relevant(&o), [2, 2, 2, 1]);
    let o = outcome(&protocol(Modality::Audio, Modality::Text), &m);
    assert_eq!(relevant(&o), [2, 2, 2, 1]);
    let spoken = Spoken::measure(&m, "test", &Reading::default()).unwrap();
    let controls = o.duration_control(&spoken, &Bootstrap::default()).unwrap().unwrap();
    assert_eq!((controls.duration.queries, controls.duration.relevant), (4, 1.75));
    let none = outcome(&protocol(Modality::Audio, Modality::Image), &m);
    assert_eq!(none.duration_control(&spoken, &Bootstrap::default()).unwrap(), None);
}

#[test]
fn what_cannot_be_measured_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(
        dir.path(),
        &[
            r#"{"id":"a","image":"p0.png","text":"one","split":"test"}"#,
            r#"{"id":"b","image":"p1.png","text":"two","split":"train"}"#,
            r#"{"id":"c","text":"three","split":"words"}"#,
        ],
    );
    let said = |p: &Retrieval| p.task(&m, &model(), &Reading::default()).unwrap_err().to_string();
    let text_image = protocol(Modality::Text, Modality::Image);
    let none = said(&Retrieval { distractors: vec!["trian".into()], ..text_image.clone() });
    assert!(
        none.ends_with(
            "no record is of split \"trian\" of the distractors; its splits are: test, train, words"
        ),
        "{none}"
    );
    let none = said(&Retrieval { split: "words".into(), ..text_image.clone() });
    assert!(none.contains("no image in split \"words\""), "{none}");
    let among = protocol(Modality::Text, Modality::Text);
    let none = said(&Retrieval { distractors: vec!["train".into()], ..among.clone() });
    assert!(none.contains("two different modalities"), "{none}");
    let none = said(&Retrieval { query_lang: vec!["en".into()], ..among });
    assert!(none.contains("two different modalities"), "{none}");
    // One record: found, as chance finds it.
    let o = outcome(&text_image, &m);
    assert_eq!((o.metrics.queries, o.metrics.r1.value, o.metrics.chance_r1), (1, 1.0, 1.0));
    let more = Retrieval { distractors: vec!["train".into()], ..text_image };
    assert_eq!(outcome(&more, &m).metrics.gallery, 2.0);
}

#[test]
fn items_of_one_modality_find_each_other_and_never_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(
        dir.path(),
        &[
            r#"{"id":"a","text":["one","the first"],"label":"1","lang":"en","split":"test"}"#,
            r#"{"id":"b","text":["two","the second"],"label":"2","lang":"en","split":"test"}"#,
            r#"{"id":"c","text":"eins","label":"1","lang":"de","split":"test"}"#,
            r#"{"id":"d","text":"zwei","label":"2","lang":"de","split":"test"}"#,
        ],
    );
    let text = protocol(Modality::Text, Modality::Text);
    let o = outcome(&Retrieval { captions: Captions::All, ..text.clone() }, &m);
    // Six texts, each among the five others, of which two are of its thing.
    assert_eq!((o.metrics.queries, o.metrics.gallery), (6, 5.0));
    assert_eq!(relevant(&o), [2; 6]);
    assert!(o.ranks.queries.iter().all(|q| q.relevant_score < 0.999_999));
    let [en, de] = ["en", "de"].map(|lang| vec![lang.to_owned()]);
    let o = outcome(&Retrieval { query_lang: de, gallery_lang: en, ..text }, &m);
    assert_eq!((o.metrics.queries, o.metrics.gallery, relevant(&o)), (2, 2.0, vec![1, 1]));
}

#[test]
fn all_of_one_label_is_chance() {
    let dir = tempfile::tempdir().unwrap();
    let line = |n: usize| {
        format!(r#"{{"id":"{n}","image":"p{n}.png","text":"words {n}","label":"x","split":"test"}}"#)
    };
    let lines: Vec<String> = (0..4).map(line).collect();
    let m = manifest(dir.path(), &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let m = outcome(&protocol(Modality::Text, Modality::Image), &m).metrics;
    assert_eq!((m.r1.value, m.chance_r1, m.relevant, m.gallery), (1.0, 1.0, 4.0, 4.0));
    assert_eq!((m.r1.low, m.r1.high), (1.0, 1.0));
}

#[test]
fn a_model_that_gives_no_numbers_is_told_by_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let m = manifest(dir.path(), &[r#"{"id":"a","image":"p0.png","text":"one","split":"test"}"#]);
    let model = model();
    for (_, mut tensor) in model.params().trainable() {
        tch::no_grad(|| drop(tensor.fill_(f64::NAN)));
    }
    let task = protocol(Modality::Text, Modality::Image).task(&m, &model, &Reading::default()).unwrap();
    let said = task.run(&model, 4, &Bootstrap::default(), &mut Vec::new()).unwrap_err().to_string();
    assert!(
        said.starts_with("record \"a\": the model's embedding of its text (\"one\") is not finite"),
        "{said}"
    );
}
