//! `unisono index` and `unisono search`.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use support::{fails, json, outcome, s, succeeds, unisono};
use tiny::names;

struct Place {
    dir: PathBuf,
    index: PathBuf,
}

/// One index for all tests of this file; none of them changes it. It lies where Cargo keeps tests' files, since nobody would
/// delete a temporary folder at the end.
fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("search");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let model = tiny::model_dir(&dir);
        let manifest = tiny::collection(&dir, 6);
        let index = dir.join("idx");
        let text =
            succeeds(["index", "build", "--model", s(&model), "--data", s(&manifest), "--out", s(&index)]);
        for part in [
            "24 items (12 text, 6 image, 6 audio) of width 12",
            "self-check: 24 items",
            "6 items that the source repeats",
            "text → image",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        Place { dir, index }
    })
}

/// The folder of an index's one segment.
fn segment(index: &Path) -> PathBuf {
    let all = names(&index.join("segments"));
    assert_eq!(all.len(), 1, "{all:?}");
    index.join("segments").join(&all[0])
}

#[test]
fn a_model_that_matches_ranks_hits_anew() {
    let p = place();
    let model = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/blip-match");
    let args = ["search", "--index", s(&p.index), "a red bus", "-k", "4", "--modality", "image", "--json"];
    let plain = json(args);
    let anew = json(args.into_iter().chain(["--rerank", s(&model)]));
    let hits = anew["hits"].as_array().unwrap();
    assert_eq!((plain["hits"].as_array().unwrap().len(), hits.len()), (4, 4));
    let scores: Vec<f64> = hits.iter().map(|h| h["score"].as_f64().unwrap()).collect();
    assert!(
        scores.windows(2).all(|w| w[0] >= w[1]) && scores.iter().all(|s| (0.0..=1.0).contains(s)),
        "{scores:?}"
    );
    // The same number as the command that matches one file says.
    let file = hits[0]["path"].as_str().unwrap();
    let alone = json(["match", "--model", s(&model), "--text", "a red bus", "--json", file]);
    let p = alone["files"][0]["matches"][0]["probability"].as_f64().unwrap();
    assert!((p - scores[0]).abs() < 1e-5, "{p} {}", scores[0]);
    assert!(hits.iter().all(|h| h["score_is"] == "match"));
    // What it cannot look at stays apart: a probability and a cosine are never one order.
    let mixed = ["search", "--index", s(&place().index), "a red bus", "-k", "8", "--rerank", s(&model)];
    let kinds = json(mixed.into_iter().chain(["--json"]));
    let kinds: Vec<&str> =
        kinds["hits"].as_array().unwrap().iter().map(|h| h["score_is"].as_str().unwrap()).collect();
    let looked = kinds.iter().filter(|k| **k == "match").count();
    assert!(
        looked == 6 && kinds[..6].iter().all(|k| *k == "match") && kinds[6..] == ["cosine"; 2],
        "{kinds:?}"
    );
    let text = succeeds(mixed);
    let (first, second) = text.split_once("\nnot looked at, by their cosine:\n").unwrap();
    assert!(first.contains("match") && !first.contains("cosine") && second.contains("cosine"), "{text}");
    let tower = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/blip-caption");
    let e = fails(args.into_iter().chain(["--rerank", s(&tower)]));
    assert!(e.contains("no matching head; it has: caption"), "{e}");
}

/// A model that compares texts ranks hits that are texts, by the number that it gives alone.
#[test]
fn a_model_that_compares_texts_ranks_texts_anew() {
    let p = place();
    for (name, key) in [("bert", "probability"), ("xlm-roberta", "score")] {
        let model = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pairs").join(name);
        let args = ["search", "--index", s(&p.index), "number 2", "-k", "3", "--rerank", s(&model), "--json"];
        let found = json(args.into_iter().chain(["--modality", "text"]));
        let hits = found["hits"].as_array().unwrap();
        let scores: Vec<f64> = hits.iter().map(|h| h["score"].as_f64().unwrap()).collect();
        assert!(scores.len() == 3 && scores.windows(2).all(|w| w[0] >= w[1]), "{scores:?}");
        let mut args = vec!["match", "--model", s(&model), "--json", "--text", "number 2"];
        for hit in hits {
            assert_eq!((&hit["score_is"], &hit["modality"]), (&"match".into(), &"text".into()));
            args.extend(["--with", hit["text"].as_str().unwrap()]);
        }
        let alone = json(args);
        for ((file, hit), score) in alone["files"].as_array().unwrap().iter().zip(hits).zip(scores) {
            assert_eq!(file["id"], hit["text"]);
            let number = file["matches"][0][key].as_f64().unwrap();
            assert!((number - score).abs() < 1e-5, "{number} {score}");
        }
        // Images are nothing to it.
        let images = json(["search", "--index", s(&p.index), "number 2", "--rerank", s(&model), "--json"]);
        assert!(images["hits"].as_array().unwrap().iter().all(|h| h["score_is"] == "cosine"), "{images}");
    }
}

#[test]
fn images_and_audios_find_themselves() {
    let p = place();
    for (option, file, label) in [("--image", "p03.png", "r3"), ("--audio", "s05.wav", "r5")] {
        let path = p.dir.join(file);
        let found = json(["search", "--index", s(&p.index), option, s(&path), "-k", "3", "--json"]);
        assert_eq!(found["count"], 24);
        let hits = found["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 3);
        assert_eq!(
            (&hits[0]["label"], &hits[0]["path"], &hits[0]["rank"]),
            (&label.into(), &s(&path).into(), &1.into())
        );
        assert!(hits[0]["score"].as_f64().unwrap() > 0.9999);
        for key in ["rank", "score", "id", "modality", "path", "text", "label", "lang"] {
            assert!(hits[0].get(key).is_some(), "{key}");
        }
    }
}

#[test]
fn words_find_media_unless_texts_are_asked_for() {
    let p = place();
    let search = |more: &[&str]| {
        let found = json(["search", "--index", s(&p.index), "number 2", "--json"].iter().chain(more));
        found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|h| h["modality"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let kinds = search(&["--top", "50"]);
    assert_eq!(kinds.len(), 12);
    assert!(kinds.iter().all(|k| k != "text"));
    let texts = search(&["--modality", "text", "-k", "1"]);
    assert_eq!(texts, ["text"]);
    let table = succeeds(["search", "--index", s(&p.index), "number 2", "--modality", "text", "-k", "1"]);
    assert!(table.contains("number 2") && table.contains("1.000"), "{table}");
}

#[test]
fn a_contact_sheet_is_written() {
    let p = place();
    let page = tempfile::tempdir().unwrap();
    let file = page.path().join("sheet.html");
    let open = format!("--open={}", s(&file));
    let text = succeeds(["search", "--index", s(&p.index), &open, "a <b>bus</b>"]);
    assert!(text.contains(&format!("contact sheet: {}", s(&file))), "{text}");
    let html = fs::read_to_string(&file).unwrap();
    assert!(
        html.contains("data:image/png;base64,") && html.contains("&lt;b&gt;bus") && !html.contains("<b>bus")
    );
    let e = fails(["search", "--index", s(&p.index), "--open=/proc/none/sheet.html", "bus"]);
    assert!(e.contains("/proc/none/sheet.html"), "{e}");
}

#[test]
fn info_says_what_an_index_holds() {
    let p = place();
    let text = succeeds(["index", "info", s(&p.index)]);
    for part in ["24 items", "manifest.jsonl", "there, unchanged", "image → audio"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let header = json(["index", "info", s(&p.index), "--json"]);
    assert_eq!(
        (&header["format_version"], &header["count"], &header["dim"]),
        (&2.into(), &24.into(), &tiny::DIM.into())
    );
    assert_eq!(header["model"]["state"], "unchanged");
    assert_eq!(header["files"], serde_json::json!({ "count": 12, "missing": 0 }));
}

#[test]
fn files_that_are_gone_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let (model, media) = (tiny::model_dir(dir.path()), dir.path().join("media"));
    fs::create_dir(&media).unwrap();
    for i in 0..3 {
        tiny::image(&media.join(format!("{i}.png")), i);
    }
    fs::write(media.join("phone.psd"), "").unwrap();
    let index = dir.path().join("deep/idx");
    let args = ["index", "build", "--model", s(&model), "--out", s(&index), s(&media)];
    let (code, _, notes) = outcome(&mut unisono(args));
    assert!(code == 0 && notes.contains("left out 1 other file: 1 .psd"), "{notes}");
    fs::remove_file(media.join("1.png")).unwrap();
    let found = json(["search", "--index", s(&index), "--json", "bus"]);
    let missing = |hit: &serde_json::Value| hit["missing"] == true;
    let gone: Vec<_> = found["hits"].as_array().unwrap().iter().filter(|hit| missing(hit)).collect();
    assert!(gone.len() == 1 && gone[0]["path"].as_str().unwrap().ends_with("1.png"), "{found}");
    let table = succeeds(["search", "--index", s(&index), "bus"]);
    let lines: Vec<_> = table.lines().filter(|l| l.contains("(not there any more)")).collect();
    assert!(lines.len() == 1 && lines[0].contains("1.png"), "{table}");
    fs::remove_dir_all(&model).unwrap();
    let text = succeeds(["index", "info", s(&index)]);
    assert!(text.contains("missing  1 of 3 files") && text.contains("NOT there"), "{text}");
    let header = json(["index", "info", s(&index), "--json"]);
    assert_eq!((&header["model"]["state"], &header["files"]["missing"]), (&"missing".into(), &1.into()));
    let (code, _, said) = outcome(&mut unisono(["search", "--index", s(&index), " "]));
    assert!(code == 2 && said.contains("the query is empty"), "{code} {said}");
}

#[test]
fn what_is_no_index_no_query_or_no_place_is_one_line() {
    let p = place();
    let index = s(&p.index);
    assert!(fails(["search", "--index", s(&p.dir), "bus"]).contains("this is no index"));
    assert!(fails(["index", "info", "/no/idx"]).contains("/no/idx"));
    assert!(fails(["search", "--index", index, "--image", "/no/such.png"]).contains("/no/such.png"));
    let broken = tempfile::tempdir().unwrap();
    let empty = broken.path().join("empty.wav");
    fs::write(&empty, "").unwrap();
    assert!(fails(["search", "--index", index, "--audio", s(&empty)]).contains("an empty file"));
    let e = fails(["search", "--index", index, "--model", s(broken.path()), "bus"]);
    assert!(e.contains("config.json"), "{e}");
    // An index whose vectors are cut.
    let cut = broken.path().join("cut");
    let (from, to) = (segment(&p.index), cut.join("segments").join(segment(&p.index).file_name().unwrap()));
    fs::create_dir_all(&to).unwrap();
    fs::copy(p.index.join("index.json"), cut.join("index.json")).unwrap();
    for name in names(&from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    let vectors = fs::read(to.join("vectors.safetensors")).unwrap();
    fs::write(to.join("vectors.safetensors"), &vectors[..vectors.len() - 4]).unwrap();
    assert!(fails(["search", "--index", s(&cut), "bus"]).contains("vectors.safetensors"));
    let model = s(&p.dir.join("model")).to_owned();
    let e = fails(["index", "build", "--model", &model, "--out", s(&p.dir), "--text", "bus"]);
    assert!(e.contains("no index stands there"), "{e}");
    let e = fails(["index", "build", "--model", &model, "--out", "/proc/none/idx", "--text", "bus"]);
    assert!(e.contains("/proc/none"), "{e}");
}

/// The precision is the model's and the index's, and what was loaded is said.
#[test]
fn an_index_is_built_in_the_precision_that_is_asked_for() {
    let p = place();
    let dir = tempfile::tempdir().unwrap();
    let (model, media) = (p.dir.join("model"), p.dir.join("manifest.jsonl"));
    let vectors = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let args = ["index", "build", "--model", s(&model), "--data", s(&media), "--out", s(&out)];
        let (code, _, stderr) = outcome(unisono(args).args(more));
        assert_eq!(code, 0, "{stderr}");
        (fs::read(segment(&out).join("vectors.safetensors")).unwrap(), stderr, out)
    };
    let (plain, said, out) = vectors("fp32", &[]);
    assert!(!said.contains("weights: "), "{said}");
    assert!(succeeds(["index", "info", s(&out)]).contains(", fp32, batches of 32"));
    for precision in ["bf16", "int8"] {
        let (other, said, out) = vectors(precision, &["--precision", precision, "--verbose"]);
        assert!(other != plain && said.contains("weights: "), "{precision}: {said}");
        assert!(succeeds(["index", "info", s(&out)]).contains(&format!(", {precision}, batches of 32")));
        let header = json(["index", "info", s(&out), "--json"]);
        assert!(header.to_string().contains(&format!("\"precision\":\"{precision}\"")), "{header}");
        let found =
            json(["search", "--index", s(&out), "--image", s(&p.dir.join("p03.png")), "-k", "1", "--json"]);
        assert!(found["hits"][0]["score"].as_f64().unwrap() > 0.9, "{found}");
    }
}

#[test]
fn texts_alone_are_searched_by_words() {
    let p = place();
    let dir = tempfile::tempdir().unwrap();
    let (model, index) = (p.dir.join("model"), dir.path().join("idx"));
    let built = json([
        "index",
        "build",
        "--model",
        s(&model),
        "--out",
        s(&index),
        "--text",
        "a red bus",
        "--text",
        "un chat",
        "--json",
    ]);
    assert_eq!((&built["header"]["count"], &built["checked"]), (&2.into(), &2.into()));
    let (code, stdout, _) = outcome(&mut unisono(["search", "--index", s(&index), "un chat"]));
    assert_eq!(code, 0);
    assert!(stdout.lines().nth(2).unwrap().contains("un chat"), "{stdout}");
}
