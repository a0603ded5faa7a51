//! Losses and gradients beside open_clip's, and tiled ones beside whole ones.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};
use unisono_encoders::Modality::{Image, Text};
use unisono_fusion::objective::{Contrastive, Distill, Fixed, Items, Sigmoid, Term, View};

/// What a loss gives: its value, and the gradients of both sides, of the scale and of the bias.
struct Found {
    loss: f64,
    of: Vec<Vec<f64>>,
}

/// One side, the other, the scale's logarithm and the bias.
struct Given {
    x: Tensor,
    y: Tensor,
    scale: f64,
    bias: f64,
    rows: [Vec<usize>; 2],
}

fn flat(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

fn run(term: &Term, given: &Given, items: &Items) -> Found {
    let leaf = |t: &Tensor| t.detach().copy().set_requires_grad(true);
    let kind = given.x.kind();
    let scalar = |v: f64| Tensor::from(v).to_kind(kind).set_requires_grad(true);
    let (x, y, scale, bias) = (leaf(&given.x), leaf(&given.y), scalar(given.scale), scalar(given.bias));
    let view = |t: &Tensor, side: usize| View { vectors: t.shallow_clone(), rows: given.rows[side].clone() };
    let (a, b) = (view(&x, 0), view(&y, 1));
    let loss = match term {
        Term::Contrastive(t) => t.loss(&a, &b, items, &scale),
        Term::Sigmoid(t) => t.loss(&a, &b, items, &scale, &bias),
        Term::Distill(t) => t.loss(((Text, &a), (Image, &b)), items, &scale),
        _ => unreachable!(),
    };
    let loss = loss.unwrap().unwrap();
    // Twice the loss: what stands above it counts.
    (&loss * 2.0).backward();
    let grad = |t: &Tensor| {
        let grad = t.grad();
        if grad.defined() { flat(&(grad / 2.0)) } else { vec![0.0] }
    };
    Found { loss: loss.double_value(&[]), of: [&x, &y, &scale, &bias].map(grad).to_vec() }
}

/// How far two lists are apart, relative to the length of the second.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let length = |of: &mut dyn Iterator<Item = f64>| of.map(|v| v * v).sum::<f64>().sqrt();
    let difference = length(&mut a.iter().zip(b).map(|(a, b)| a - b));
    difference / length(&mut b.iter().copied()).max(1e-300)
}

fn assert_same(found: &Found, want: &Found, most: f64, what: &str) {
    assert!((found.loss - want.loss).abs() <= most * want.loss.abs(), "{what}: {} {}", found.loss, want.loss);
    for (k, (found, want)) in found.of.iter().zip(&want.of).enumerate() {
        let apart = if want.iter().all(|v| v.abs() < 1e-12) { 0.0 } else { apart(found, want) };
        assert!(apart <= most, "{what}: gradient {k} is {apart:e} apart");
    }
}

fn term(json: &str) -> Term {
    serde_json::from_str(json).unwrap()
}

#[test]
fn losses_and_gradients_are_those_of_open_clip() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/objectives/losses.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let numbers =
        |v: &Value| -> Vec<f64> { v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
    let n = 7;
    let matrix = |name: &str| Tensor::from_slice(&numbers(&golden[name])).view([n, -1]);
    let fixed = |name: &str| {
        let values: Vec<f32> = numbers(&golden[name]).iter().map(|v| *v as f32).collect();
        Fixed { rows: (0..7).collect(), width: values.len() / 7, values }
    };
    let items = Items {
        labels: (0..7).collect(),
        texts: vec![None; 7],
        teachers: BTreeMap::from([(Text, fixed("teacher_text")), (Image, fixed("teacher_image"))]),
        ..Items::default()
    };
    let all: Vec<usize> = (0..7).collect();
    for case in golden["cases"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap_or(0.0);
        let given = Given {
            x: matrix("text"),
            y: matrix("image"),
            scale: number("log_scale"),
            bias: number("bias"),
            rows: [all.clone(), all.clone()],
        };
        let want = Found {
            loss: number("loss"),
            of: vec![
                numbers(&case["text_grad"]),
                numbers(&case["image_grad"]),
                vec![number("scale_grad")],
                vec![number("bias_grad")],
            ],
        };
        let name = case["name"].as_str().unwrap();
        for tile in [0, 1, 3, 100] {
            let term = match name {
                "clip" => term(&format!(r#"{{"kind":"contrastive","tile":{tile}}}"#)),
                "siglip" => term(&format!(r#"{{"kind":"sigmoid","tile":{tile}}}"#)),
                _ => term(&format!(r#"{{"kind":"distill","teacher_scale":30.0,"tile":{tile}}}"#)),
            };
            let what = format!("{name} at exp({}), tile {tile}", given.scale);
            assert_same(&run(&term, &given, &items), &want, 1e-6, &what);
        }
    }
}

/// Unit vectors of a fixed pattern.
fn unit(n: i64, d: i64, seed: f64, kind: Kind) -> Tensor {
    let x = Tensor::arange(n * d, (Kind::Double, Device::Cpu)).view([n, d]);
    let x = (x * 1.7 + seed * 0.61).sin()
        + (Tensor::arange(n, (Kind::Double, Device::Cpu)) * 0.9 + seed).cos().unsqueeze(1);
    (&x / x.norm_scalaropt_dim(2, [-1i64].as_slice(), true)).to_kind(kind)
}

/// Eleven items, nine of each side and eight of both, some of one label or one text; behind them two mined texts, one of them right for an item.
fn uneven() -> (Items, [Vec<usize>; 2]) {
    let labels = vec![1, 2, 3, 1, 5, 6, 7, 8, 9, 10, 1, 3, 77];
    let texts = vec![
        None,
        Some(4),
        Some(5),
        None,
        Some(4),
        None,
        Some(6),
        Some(7),
        None,
        None,
        Some(7),
        Some(50),
        Some(51),
    ];
    let items = Items { labels, texts, mined: vec![11, 12], ..Items::default() };
    (items, [vec![0, 1, 2, 3, 4, 5, 7, 8, 10, 11, 12], vec![0, 1, 2, 3, 4, 6, 7, 8, 10]])
}

#[test]
fn tiled_is_whole() {
    let (items, rows) = uneven();
    for json in [
        r#"{"kind":"contrastive""#,
        r#"{"kind":"contrastive","label_smoothing":0.1"#,
        r#"{"kind":"contrastive","negatives":2"#,
        r#"{"kind":"contrastive","negatives":2,"label_smoothing":0.2,"hard_negative_beta":0.7"#,
        r#"{"kind":"contrastive","hard_negative_beta":0.3"#,
        r#"{"kind":"sigmoid""#,
    ] {
        // Below and beyond what needs no maximum.
        for (scale, kind, most) in [
            (2.0, Kind::Double, 1e-9),
            (4.5, Kind::Double, 1e-9),
            (9.0, Kind::Double, 1e-9),
            (2.6, Kind::Float, 2e-6),
            (4.5, Kind::Float, 2e-5),
        ] {
            if scale > 5.0 && json.contains("sigmoid") {
                continue;
            }
            let given = Given {
                x: unit(11, 5, 1.0, kind),
                y: unit(9, 5, 2.0, kind),
                scale,
                bias: -2.0,
                rows: rows.clone(),
            };
            let whole = run(&term(&format!(r#"{json},"tile":0}}"#)), &given, &items);
            assert!(whole.of[..3].iter().flatten().all(|v| v.is_finite()));
            for tile in [1, 2, 3, 8, 50] {
                let found = run(&term(&format!(r#"{json},"tile":{tile}}}"#)), &given, &items);
                assert_same(
                    &found,
                    &whole,
                    most,
                    &format!("{json} at exp({scale}) in {kind:?}, tile {tile}"),
                );
            }
        }
    }
}

/// What a loss with mined negatives and weights on hard ones is, number by number.
fn naive(given: &Given, items: &Items, negatives: bool, smoothing: f64, beta: f64) -> f64 {
    let (x, y) = (Vec::<Vec<f64>>::try_from(&given.x).unwrap(), Vec::<Vec<f64>>::try_from(&given.y).unwrap());
    let common: Vec<usize> = given.rows[0].iter().filter(|r| given.rows[1].contains(r)).copied().collect();
    let of = |side: usize, row: usize| {
        let at = given.rows[side].iter().position(|r| *r == row).unwrap();
        if side == 0 { &x[at] } else { &y[at] }
    };
    let logit = |a: &[f64], b: &[f64]| {
        given.scale.exp().min(100.0) * a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
    };
    let n = common.len() as f64;
    let mut sum = 0.0;
    for (from, to) in [(0, 1), (1, 0)] {
        for i in &common {
            let z = |j: usize| logit(of(from, *i), of(to, j));
            let right: Vec<usize> = common.iter().filter(|j| items.positive(*i, **j)).copied().collect();
            let mut wrong: Vec<usize> = common.iter().filter(|j| !items.positive(*i, **j)).copied().collect();
            // Mined texts are told from by images alone.
            if negatives && to == 0 {
                wrong.extend([11, 12].into_iter().filter(|j| !items.positive(*i, *j)));
            }
            let total = |by: f64| wrong.iter().map(|j| (by * z(*j)).exp()).sum::<f64>();
            let below = wrong.len() as f64 * total(1.0 + beta) / total(beta);
            let all = right.iter().map(|j| z(*j).exp()).sum::<f64>() + below;
            let mean = right.iter().map(|j| z(*j)).sum::<f64>() / right.len() as f64;
            let spread = common.iter().map(|j| z(*j)).sum::<f64>() / n;
            sum += all.ln() - (1.0 - smoothing) * mean - smoothing * spread;
        }
    }
    sum / (2.0 * n)
}

#[test]
fn mined_negatives_and_hard_ones_count_as_they_are_said_to() {
    let (items, rows) = uneven();
    let (x, y) = (unit(11, 5, 1.0, Kind::Double), unit(9, 5, 2.0, Kind::Double));
    let given = Given { x, y, scale: 1.5, bias: 0.0, rows };
    for (negatives, label_smoothing, hard_negative_beta) in
        [(0, 0.1, 0.0), (2, 0.0, 0.0), (0, 0.0, 0.5), (2, 0.2, 1.5)]
    {
        let term = Contrastive { negatives, label_smoothing, hard_negative_beta, ..Contrastive::default() };
        let found = run(&Term::Contrastive(term), &given, &items).loss;
        let want = naive(&given, &items, negatives > 0, label_smoothing, hard_negative_beta);
        assert!((found - want).abs() < 1e-9, "{found} {want}");
    }
    // Of a weight next to nothing all negatives count the same.
    let [none, next] = [0.0, 1e-9].map(|hard_negative_beta| {
        run(&Term::Contrastive(Contrastive { hard_negative_beta, ..Contrastive::default() }), &given, &items)
    });
    assert_same(&next, &none, 1e-7, "no weight");
}

#[test]
fn items_that_are_all_positives_of_each_other_are_no_trouble() {
    let items = Items { labels: vec![1; 4], texts: vec![None; 4], ..Items::default() };
    let all: Vec<usize> = (0..4).collect();
    let given = Given {
        x: unit(4, 3, 1.0, Kind::Float),
        y: unit(4, 3, 2.0, Kind::Float),
        scale: 3.0,
        bias: -1.0,
        rows: [all.clone(), all],
    };
    for tile in [0, 2] {
        for hard_negative_beta in [0.0, 1.0] {
            let term = Contrastive { hard_negative_beta, tile: Some(tile), ..Contrastive::default() };
            let found = run(&Term::Contrastive(term), &given, &items);
            assert!(found.loss.is_finite() && found.of.iter().flatten().all(|v| v.is_finite()), "{tile}");
        }
        let found = run(&Term::Sigmoid(Sigmoid { tile: Some(tile), ..Sigmoid::default() }), &given, &items);
        assert!(found.loss.is_finite());
    }
}

#[test]
fn a_teacher_is_followed_where_there_is_one_and_its_width_said() {
    let kind = Kind::Float;
    let (x, y) = (unit(5, 4, 1.0, kind), unit(5, 4, 2.0, kind));
    let all: Vec<usize> = (0..5).collect();
    let fixed = |t: &Tensor, rows: Vec<usize>| Fixed {
        width: t.size()[1] as usize,
        values: Vec::try_from(t.flatten(0, -1)).unwrap(),
        rows,
    };
    let mut items = Items { labels: (0..5).collect(), texts: vec![None; 5], ..Items::default() };
    let view = |t: &Tensor| View { vectors: t.shallow_clone(), rows: all.clone() };
    let term = |json: &str| serde_json::from_str::<Distill>(json).unwrap();
    let scale = Tensor::from(2.0f32);
    let both = |items: &Items| {
        term("{}")
            .loss(((Text, &view(&x)), (Image, &view(&y))), items, &scale)
            .unwrap()
            .map(|l| l.double_value(&[]))
    };
    assert!(both(&items).is_none());
    // Three of the texts are taught, at twice their length.
    items.teachers.insert(Text, fixed(&(x.narrow(0, 1, 3) * 2.0), vec![1, 2, 3]));
    assert!(both(&items).is_none());
    items.teachers.insert(Image, fixed(&unit(4, 4, 3.0, kind), vec![0, 1, 2, 3]));
    assert!(both(&items).unwrap() > 0.0);
    items.teachers.insert(Image, fixed(&unit(4, 7, 3.0, kind), vec![0, 1, 2, 3]));
    let said =
        term("{}").loss(((Text, &view(&x)), (Image, &view(&y))), &items, &scale).unwrap_err().to_string();
    assert!(said.contains("of text are 4 wide, of image 7"), "{said}");
    let far = |json: &str, t: &Tensor, m| term(json).distance((m, &view(t)), &items, None);
    for json in [r#"{"features":1.0}"#, r#"{"features":1.0,"distance":"mse"}"#] {
        assert!(far(json, &x, Text).unwrap().unwrap().double_value(&[]).abs() < 1e-6);
    }
    let turned = far(r#"{"distance":"cosine"}"#, &(-&x), Text).unwrap().unwrap().double_value(&[]);
    assert!((turned - 2.0).abs() < 1e-6, "{turned}");
    let said = far("{}", &y, Image).unwrap_err().to_string();
    assert!(said.contains("7 wide, the student's 4"), "{said}");
    // A bridge that is a turn of the student's first numbers leads to the same turn of the teacher's.
    let bridge = Tensor::zeros([7, 4], (kind, Device::Cpu));
    for (to, from) in [(6, 0), (2, 1), (0, 2), (3, 3)] {
        let _ = bridge.get(to).get(from).fill_(2.0);
    }
    let wide = x.matmul(&bridge.tr());
    items.teachers.insert(Text, fixed(&(&wide * 3.0), all.clone()));
    for json in [r#"{"features":1.0}"#, r#"{"features":1.0,"distance":"mse"}"#] {
        let bridge = bridge.set_requires_grad(true);
        let found = term(json).distance((Text, &view(&x)), &items, Some(&bridge)).unwrap().unwrap();
        assert!(found.double_value(&[]).abs() < 1e-6);
        let away = term(json).distance((Text, &view(&(-&x))), &items, Some(&bridge)).unwrap().unwrap();
        away.backward();
        assert!(bridge.grad().abs().sum(kind).double_value(&[]) > 0.0 || json.contains("features\":1.0}"));
    }
}
