//! Objectives over the views of a small model: which losses there are, and what they add up to.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use unisono_encoders::Modality::{self, Audio, Image, Text};
use unisono_encoders::Pass;
use unisono_fusion::Objective;
use unisono_fusion::objective::{Batch, Contrastive, Items, Losses, Term, View};

/// Unit vectors of a fixed pattern.
fn view(rows: &[usize], seed: f64) -> View {
    let n = rows.len() as i64;
    let x = Tensor::arange(n * 6, (Kind::Float, Device::Cpu)).view([n, 6]);
    let x = (x * 1.3 + seed).sin();
    let vectors = &x / x.norm_scalaropt_dim(2, [-1i64].as_slice(), true);
    View { vectors, rows: rows.to_vec() }
}

fn views(which: &[(Modality, &[usize])]) -> BTreeMap<Modality, View> {
    which.iter().enumerate().map(|(i, (m, rows))| (*m, view(rows, i as f64))).collect()
}

fn items() -> Items {
    Items {
        labels: vec![1, 2, 1, 3, 4],
        texts: vec![Some(7), None, Some(8), Some(8), None],
        ..Items::default()
    }
}

fn objective(json: &str) -> Objective {
    let objective: Objective = serde_json::from_str(json).unwrap();
    objective.validate().unwrap();
    objective
}

fn losses(objective: &Objective, views: &BTreeMap<Modality, View>) -> Losses {
    let (items, tokens) = (items(), BTreeMap::new());
    let batch = Batch {
        bridges: None,
        items: &items,
        views,
        tokens: &tokens,
        texts: vec![None; 5],
        pass: Pass::TRAIN,
        seed: 1,
        step: 0,
    };
    objective.losses(&tiny::model(3, &tiny::TOWERS), None, &batch).unwrap()
}

fn value(t: &Tensor) -> f64 {
    t.double_value(&[])
}

const ALL: [(Modality, &[usize]); 3] = [(Text, &[0, 1, 2, 4]), (Image, &[0, 1, 3, 4]), (Audio, &[1, 4])];

#[test]
fn the_total_is_the_weighted_sum_of_the_parts_in_their_order() {
    let views = views(&ALL);
    let two = objective(
        r#"[{"kind":"contrastive","pairs":["image_audio","text_image"],"weight":0.5,"label_smoothing":0.1},
            {"kind":"contrastive","pairs":["text_audio"],"weight":3.0}]"#,
    );
    let found = losses(&two, &views);
    let names: Vec<&str> = found.parts.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["image_audio", "text_image", "text_audio"]);
    assert_eq!(found.parts.iter().map(|p| p.weight).collect::<Vec<_>>(), [0.5, 0.5, 3.0]);
    // Each part is the loss of its pair at the model's scale.
    let model = tiny::model(3, &tiny::TOWERS);
    for (part, (a, b), smoothing) in [
        (&found.parts[0], (Image, Audio), 0.1),
        (&found.parts[1], (Text, Image), 0.1),
        (&found.parts[2], (Text, Audio), 0.0),
    ] {
        let term = Contrastive { label_smoothing: smoothing, ..Contrastive::default() };
        let scale = model.logit_scale(a, b).unwrap();
        let alone = term.loss(&views[&a], &views[&b], &items(), scale).unwrap().unwrap();
        assert_eq!(value(&part.loss), value(&alone));
    }
    let want: f64 = found.parts.iter().map(|p| p.weight * value(&p.loss)).sum();
    assert!((value(&found.total.unwrap()) - want).abs() < 1e-5);
    // How pairs are spread over terms of one weight changes no bit.
    let one = r#"[{"kind":"contrastive","pairs":["text_image","text_audio"]}]"#;
    let each =
        r#"[{"kind":"contrastive","pairs":["text_image"]},{"kind":"contrastive","pairs":["text_audio"]}]"#;
    let [one, each] = [one, each].map(|json| value(&losses(&objective(json), &views).total.unwrap()));
    assert_eq!(one, each);
}

#[test]
fn what_a_batch_does_not_hold_is_not_learned() {
    let all = objective(r#"[{"kind":"contrastive"}]"#);
    let names = |which: &[(Modality, &[usize])]| -> Vec<String> {
        losses(&all, &views(which)).parts.into_iter().map(|p| p.name).collect()
    };
    assert_eq!(names(&ALL), ["text_image", "text_audio", "image_audio"]);
    assert_eq!(names(&ALL[..2]), ["text_image"]);
    // One item in common tells nothing from nothing.
    assert_eq!(names(&[(Text, &[0, 1]), (Image, &[1, 2, 3]), (Audio, &[0, 3])]), Vec::<String>::new());
    assert!(losses(&all, &BTreeMap::new()).total.is_none());
    let nothing = objective(r#"[{"kind":"contrastive","weight":0.0},{"kind":"caption"}]"#);
    assert!(losses(&nothing, &views(&ALL)).total.is_none());
}

#[test]
fn gradients_reach_every_view_by_its_weight() {
    let gradient = |weight: f64| {
        let mut views = views(&ALL);
        let x = views[&Text].vectors.detach().set_requires_grad(true);
        views.insert(Text, View { vectors: x.shallow_clone(), rows: ALL[0].1.to_vec() });
        let json = format!(r#"[{{"kind":"contrastive","pairs":["text_image"],"weight":{weight}}}]"#);
        losses(&objective(&json), &views).total.unwrap().backward();
        x.grad()
    };
    let (once, thrice) = (gradient(1.0), gradient(3.0));
    // Item 2 has no image: nothing pulls at its text.
    assert_eq!(value(&once.select(0, 2).abs().sum(Kind::Float)), 0.0);
    assert!(value(&once.abs().sum(Kind::Float)) > 0.0);
    assert!(value(&(once * 3.0 - thrice).abs().max()) < 1e-5);
}

#[test]
fn what_this_model_cannot_learn_by_is_refused_by_name() {
    let (both, all) = (tiny::model(3, &[Text, Image]), tiny::model(3, &tiny::TOWERS));
    let said = |model, json: &str| objective(json).check(model).unwrap_err().to_string();
    for json in [
        r#"[{"kind":"contrastive"}]"#,
        r#"[{"kind":"contrastive","pairs":["text_image"]},{"kind":"caption"}]"#,
    ] {
        objective(json).check(&both).unwrap();
    }
    assert_eq!(
        said(&both, r#"[{"kind":"caption"},{"kind":"contrastive","pairs":["text_image","text_audio"]}]"#),
        "objective.1.pairs: text_audio, and the pairs of this model are: text_image, text_text, image_image"
    );
    let video = said(&all, r#"[{"kind":"contrastive","pairs":["text_video"]}]"#);
    assert!(
        video.contains("[model.video]") && video.contains("text_image, text_audio, image_audio"),
        "{video}"
    );
    let bias = said(&all, r#"[{"kind":"sigmoid"}]"#);
    assert!(
        bias.contains("all pairs") && bias.contains("none; a sigmoid needs model.logit_bias = true"),
        "{bias}"
    );
    // What is left out need not be there.
    let left = r#"[{"kind":"contrastive"},{"kind":"sigmoid","weight":0.0}]"#;
    let left: Objective = serde_json::from_str(left).unwrap();
    left.check(&all).unwrap();
    assert!(matches!(left.terms[1], Term::Sigmoid(_)));
}
