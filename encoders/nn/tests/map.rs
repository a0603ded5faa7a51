//! Import maps: every expression against what it says, both ways, and what does not fit.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};
use unisono_nn::weights::Weights;
use unisono_nn::{Init, LoadReport, Map, Params, Scope, tensors};

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Float, Device::Cpu)) * speed).sin().view(shape)
}

/// A file of these tensors, opened.
fn file(dir: &Path, tensors: &[(&str, Tensor)]) -> Weights {
    let path = dir.join("model.safetensors");
    let all: Vec<(String, Tensor)> =
        tensors.iter().map(|(n, t)| ((*n).to_owned(), t.shallow_clone())).collect();
    tensors::write(&path, &all, HashMap::new()).unwrap();
    Weights::open_file(&path).unwrap()
}

fn model(shapes: &[(&str, &[i64])]) -> Params {
    let root = Scope::root(1, Device::Cpu);
    for (name, shape) in shapes {
        let _ = root.param(name, shape, Init::Const(9.0)).unwrap();
    }
    root.finish()
}

fn map(text: &str) -> Map {
    let mut map = Map::default();
    map.add(text, &[]).unwrap();
    map
}

/// One parameter made by `expression` of `sources`.
fn made(shape: &[i64], expression: &str, sources: &[(&str, Tensor)]) -> Tensor {
    let dir = tempfile::tempdir().unwrap();
    let params = model(&[("x", shape)]);
    map(&format!("x = {expression}")).fill(&params, &file(dir.path(), sources)).unwrap();
    params.get("x").unwrap().tensor.detach()
}

#[test]
fn each_expression_is_what_it_says() {
    let (a, b) = (wave(&[2, 3], 0.3), wave(&[4, 3], 0.7));
    let two = [("a", a.shallow_clone()), ("b", b.shallow_clone())];
    assert_eq!(made(&[6, 3], "cat(a, b)", &two), Tensor::cat(&[&a, &b], 0));
    let halves = [("a", a.shallow_clone()), ("c", wave(&[2, 3], 0.9))];
    assert_eq!(made(&[2, 3], "add(a, c)", &halves), &a + wave(&[2, 3], 0.9));
    assert_eq!(made(&[3, 2], "t(a)", &two[..1]), a.tr());
    assert_eq!(made(&[6], "flat(a)", &two[..1]), a.view([6]));
    assert_eq!(made(&[2, 3], "slice(b, 1, 3)", &two[1..]), b.narrow(0, 1, 2));
    assert_eq!(made(&[3, 3], "rows(b, 1)", &two[1..]), b.narrow(0, 1, 3));
    // A class token before the patches, whose place has a vector of zeros.
    let padded = Tensor::cat(&[Tensor::zeros([1, 3], (Kind::Float, Device::Cpu)), b.shallow_clone()], 0);
    assert_eq!(made(&[5, 3], "cat(zero_row(b), b)", &two[1..]), padded);
    // Axes of length one are storage.
    assert_eq!(made(&[4, 3], "b", &[("b", b.unsqueeze(0))]), b);
    assert_eq!(
        made(&[6, 3], "cat(a, b)", &[("a", a.unsqueeze(0)), ("b", b.unsqueeze(0))]),
        Tensor::cat(&[&a, &b], 0)
    );
}

#[test]
fn what_may_be_missing_is_zeros_like_its_siblings() {
    let bias = wave(&[4], 0.3);
    let sources = [("q", bias.shallow_clone()), ("v", wave(&[4], 0.8))];
    let zeros = Tensor::zeros([4], (Kind::Float, Device::Cpu));
    // Whisper's keys have no bias.
    assert_eq!(made(&[12], "cat(q, k?, v)", &sources), Tensor::cat(&[&bias, &zeros, &wave(&[4], 0.8)], 0));
    let dir = tempfile::tempdir().unwrap();
    let params = model(&[("x", &[4]), ("y", &[4])]);
    let weights = file(dir.path(), &[("q", bias.shallow_clone())]);
    map("x = q\ny = zero()").fill(&params, &weights).unwrap();
    assert_eq!(params.get("y").unwrap().tensor.detach(), zeros);
}

/// A linear layer over rows, columns and channels is a convolution.
#[test]
fn patches_are_convolutions() {
    let (w, c, h, v) = (5i64, 3i64, 2i64, 4i64);
    let linear = wave(&[w, c * h * v], 0.3);
    let found = made(&[w, c, h, v], "patch(a)", &[("a", linear.shallow_clone())]);
    for (o, ch, row, column) in [(0, 0, 0, 0), (4, 2, 1, 3), (2, 1, 0, 2), (3, 0, 1, 1)] {
        let want = linear.double_value(&[o, (row * v + column) * c + ch]);
        assert_eq!(found.double_value(&[o, ch, row, column]), want);
    }
    let already = wave(&[w, c, h, v], 0.5);
    assert_eq!(made(&[w, c, h, v], "patch(a)", &[("a", already.shallow_clone())]), already);
}

/// A grid of one value stays one value; one that grows in one direction keeps its ends in order.
#[test]
fn grids_are_resized() {
    for how in ["resize", "resize_aa"] {
        let flat = Tensor::ones([9, 2], (Kind::Float, Device::Cpu)) * 0.5;
        let found = made(&[20, 2], &format!("{how}(a, 5, 4)"), &[("a", flat)]);
        assert!((found - 0.5).abs().max().double_value(&[]) < 1e-6);
        let same = wave(&[9, 2], 0.3);
        assert_eq!(made(&[9, 2], &format!("{how}(a, 3, 3)"), &[("a", same.shallow_clone())]), same);
    }
    let rising = Tensor::arange(9, (Kind::Float, Device::Cpu)).view([9, 1]);
    let found = Vec::<f32>::try_from(made(&[36], "resize(a, 6, 6)", &[("a", rising)])).unwrap();
    assert!(found.windows(2).step_by(2).all(|w| w[0] < w[1]), "{found:?}");
}

#[test]
fn stars_blocks_and_variables_stand_for_names() {
    let dir = tempfile::tempdir().unwrap();
    let shapes: Vec<(String, Vec<i64>)> = (0..3)
        .flat_map(|l| {
            [
                (format!("text.blocks.{l}.fc.weight"), vec![2, 2]),
                (format!("text.blocks.{l}.fc.bias"), vec![2]),
            ]
        })
        .collect();
    let shapes: Vec<(&str, &[i64])> = shapes.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
    let params = model(&shapes);
    let theirs: Vec<(String, Tensor)> = (0..3)
        .flat_map(|l| {
            let speed = 0.3 + 0.2 * f64::from(l);
            [
                (format!("enc.{l}.w.weight"), wave(&[2, 2], speed)),
                (format!("enc.{l}.w.bias"), wave(&[2], speed)),
            ]
        })
        .collect();
    let theirs: Vec<(&str, Tensor)> = theirs.iter().map(|(n, t)| (n.as_str(), t.shallow_clone())).collect();
    let mut map = Map::default();
    map.add(
        "# a comment\n\ntext.blocks.{l}.fc.* = {root}.{l}.w.*\nignore enc.pooler.*\nignore enc.unused",
        &[("root", "enc")],
    )
    .unwrap();
    let more = [("enc.pooler.x", wave(&[1], 0.1)), ("enc.unused", wave(&[1], 0.1))];
    let both: Vec<(&str, Tensor)> =
        theirs.iter().chain(&more).map(|(n, t)| (*n, t.shallow_clone())).collect();
    let report = map.fill(&params, &file(dir.path(), &both)).unwrap();
    assert_eq!((report.loaded, report.ignored.len()), (6, 2));
    for (l, (_, want)) in theirs.iter().filter(|(n, _)| n.ends_with("weight")).enumerate() {
        assert_eq!(params.get(&format!("text.blocks.{l}.fc.weight")).unwrap().tensor.detach(), *want);
    }
}

#[test]
fn what_is_cast_is_counted_and_comes_as_single_precision() {
    let dir = tempfile::tempdir().unwrap();
    let params = model(&[("x", &[3]), ("y", &[3])]);
    let half = wave(&[3], 0.4).to_kind(Kind::Half);
    let weights = file(dir.path(), &[("a", half.shallow_clone()), ("b", wave(&[3], 0.9))]);
    let report = map("x = a\ny = b").fill(&params, &weights).unwrap();
    assert_eq!((report.loaded, report.cast), (2, 1));
    assert_eq!(params.get("x").unwrap().tensor.detach(), half.to_kind(Kind::Float));
}

fn refused(text: &str, shapes: &[(&str, &[i64])], sources: &[(&str, Tensor)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let params = model(shapes);
    let said = map(text).fill(&params, &file(dir.path(), sources)).unwrap_err().to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

#[test]
fn what_does_not_fit_is_told_all_at_once() {
    let sources = [("a", wave(&[3], 0.1)), ("left", wave(&[2], 0.1))];
    let shapes: [(&str, &[i64]); 3] = [("x", &[4]), ("y", &[3]), ("z", &[3])];
    let said = refused("x = a\ny = gone", &shapes, &sources);
    for told in [
        "model.safetensors",
        "2 missing (gone, z)",
        "1 unexpected (left)",
        "a: expected shape [4], found [3]",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let said = refused("x = add(a, left)", &shapes[..1], &sources);
    assert!(said.contains("x cannot be made of a [3] and left [2]: their shapes do not fit"), "{said}");
    let said = refused("x = slice(a, 1, 5)", &shapes[..1], &sources[..1]);
    assert!(said.contains("slice(a, 1, 5): expected at least 5 rows, found 3"), "{said}");
}

#[test]
fn a_map_with_a_mistake_says_which_line() {
    let e = Map::default().add("x = a\nno line", &[]).unwrap_err().to_string();
    assert!(e.contains("expected \"ours = theirs\", found \"no line\""), "{e}");
    let sources = [("a", wave(&[3], 0.1))];
    for expression in ["nothing(a)", "t(a", "resize(a, 3)", "slice(a, one)"] {
        let said = refused(&format!("x = {expression}"), &[("x", &[3])], &sources);
        assert!(said.contains(&format!("cannot read {expression:?}")), "{said}");
    }
}

/// What is written by a map is what is read by its mirror.
#[test]
fn a_model_written_and_read_is_the_same() {
    let shapes: [(&str, &[i64]); 4] = [
        ("text.blocks.0.qkv.weight", &[6, 2]),
        ("text.blocks.1.qkv.weight", &[6, 2]),
        ("text.embedding.weight", &[5, 2]),
        ("text.projection", &[2, 3]),
    ];
    let params = model(&shapes);
    tch::no_grad(|| {
        for (i, (_, p)) in params.iter().enumerate() {
            p.tensor.shallow_clone().copy_(&wave(&p.tensor.size(), 0.3 + i as f64 * 0.2));
        }
    });
    let out = map(
        "layer.{l}.q = slice(text.blocks.{l}.qkv.weight, 0, 2)\nlayer.{l}.k = slice(text.blocks.{l}.qkv.weight, 2, 4)\n\
         layer.{l}.v = slice(text.blocks.{l}.qkv.weight, 4, 6)\nwords = text.embedding.weight\nproj = t(text.projection)\n\
         other = image.stem.weight",
    );
    let rendered = out.render(&params, &[("text", 2)]).unwrap();
    let names: Vec<&str> = rendered.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(
        names,
        ["layer.0.q", "layer.1.q", "layer.0.k", "layer.1.k", "layer.0.v", "layer.1.v", "words", "proj"]
    );
    let dir = tempfile::tempdir().unwrap();
    let theirs: Vec<(&str, Tensor)> = rendered.iter().map(|(n, t)| (n.as_str(), t.shallow_clone())).collect();
    let back = model(&shapes);
    let report: LoadReport = map(
        "text.blocks.{l}.qkv.weight = cat(layer.{l}.q, layer.{l}.k, layer.{l}.v)\ntext.embedding.weight = words\n\
         text.projection = t(proj)",
    )
    .fill(&back, &file(dir.path(), &theirs))
    .unwrap();
    assert_eq!(report.loaded, 4);
    for (name, p) in params.iter() {
        assert_eq!(p.tensor.detach(), back.get(name).unwrap().tensor.detach(), "{name}");
    }
    let e = map("words = text.embedding.weight").render(&params, &[("text", 2)]).unwrap_err().to_string();
    assert!(e.contains("no place for 3 of the model's tensors: text.blocks.0.qkv.weight"), "{e}");
}
