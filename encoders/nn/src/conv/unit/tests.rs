//! Layers written out: loops over places, channels and the kernel; norms and activations by their formulas.

use super::*;
use crate::{Padding, Params};
use tch::Device;

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape)
}

fn layer(shape: ConvShape, activation: Option<Activation>, eps: f64) -> (ConvNorm, Params) {
    let root = Scope::root(1, Device::Cpu);
    let layer = ConvNorm::new(&root, shape, activation, eps).unwrap();
    let params = root.finish();
    tch::no_grad(|| {
        for (i, (name, p)) in params.iter().enumerate() {
            let x = wave(&p.tensor.size(), 0.31 + 0.2 * i as f64);
            p.tensor.shallow_clone().copy_(&if name.ends_with("var") { x.abs() + 0.5 } else { x });
        }
    });
    (layer, params)
}

/// One number of what comes out.
fn want(x: &Tensor, params: &Params, s: ConvShape, eps: f64, [b, k, i, j]: [i64; 4]) -> f64 {
    let get = |name: &str| params.get(name).unwrap().tensor.shallow_clone();
    let (_, _, h, w) = x.size4().unwrap();
    let (top, left) = (s.padding.of(h, s.kernel, s.stride)[0], s.padding.of(w, s.kernel, s.stride)[0]);
    let mut sum = 0.0;
    for channel in 0..s.seen() {
        let from = if s.depthwise { k } else { channel };
        for (u, v) in (0..s.kernel).flat_map(|u| (0..s.kernel).map(move |v| (u, v))) {
            let (row, column) = (i * s.stride + u - top, j * s.stride + v - left);
            if (0..h).contains(&row) && (0..w).contains(&column) {
                let weight = get("weight").double_value(&[k, channel, u, v]);
                sum += x.double_value(&[b, from, row, column]) * weight;
            }
        }
    }
    let of = |name: &str| get(&format!("norm.{name}")).double_value(&[k]);
    (sum - of("running_mean")) / (of("running_var") + eps).sqrt() * of("weight") + of("bias")
}

fn shapes() -> Vec<ConvShape> {
    let dense = ConvShape {
        input: 3,
        output: 4,
        kernel: 3,
        stride: 2,
        depthwise: false,
        padding: Padding::Symmetric,
    };
    let depthwise =
        |kernel, stride, padding| ConvShape { input: 5, output: 5, kernel, stride, depthwise: true, padding };
    let mut all = vec![dense, ConvShape { padding: Padding::Same, ..dense }, ConvShape::pointwise(3, 6)];
    for padding in [Padding::Symmetric, Padding::Same] {
        all.extend([(3, 1), (3, 2), (5, 1), (5, 2)].map(|(k, s)| depthwise(k, s, padding)));
    }
    all
}

#[test]
fn every_layer_is_its_loops_apart_and_folded() {
    let acts = [None, Some(Activation::Relu6), Some(Activation::Silu), Some(Activation::QuickGelu)];
    for (n, shape) in shapes().into_iter().enumerate() {
        let activation = acts[n % acts.len()];
        let (mut layer, params) = layer(shape, activation, 1e-3);
        for [h, w] in [[6, 7], [9, 4], [1, 1]] {
            let x = wave(&[2, shape.input, h, w], 0.37) * 2.0;
            let (h, w) = ((h + shape.stride - 1) / shape.stride, (w + shape.stride - 1) / shape.stride);
            let mut expected = Vec::new();
            for at in 0..2 * shape.output * h * w {
                let place = [at / (shape.output * h * w), at / (h * w) % shape.output, at / w % h, at % w];
                expected.push(want(&x, &params, shape, 1e-3, place));
            }
            let expected = Tensor::from_slice(&expected).view([2, shape.output, h, w]);
            let expected = match activation {
                Some(activation) => activation.forward(&expected).unwrap(),
                None => expected,
            };
            let to = wave(&[2, shape.output, h, w], 0.9);
            let x = x.to_kind(Kind::Float).permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            let near = |found: &Tensor, want: &Tensor, told: &str| {
                assert_eq!(found.size(), want.size(), "{told} {shape:?}");
                let far = (found.to_kind(Kind::Double) - want).abs().max().double_value(&[]);
                assert!(far < 1e-5, "{told} {shape:?} {activation:?}: {far}");
            };
            tch::no_grad(|| {
                layer.folded = None;
                for told in ["apart", "folded"] {
                    near(&layer.forward(&x, &Pass::EVAL).unwrap(), &expected, told);
                    let onto = layer.forward_onto(&x, &to.to_kind(Kind::Float), &Pass::EVAL).unwrap();
                    near(&onto, &(&expected + &to), told);
                    layer.prepare(Precision::Fp32).unwrap();
                }
            });
        }
    }
}

/// While training the norm goes by the batch, also in a layer that was prepared.
#[test]
fn training_sees_the_parameters_and_the_batch() {
    let shape = shapes()[0];
    let (mut layer, params) = layer(shape, Some(Activation::Relu6), 1e-3);
    let x = wave(&[3, 3, 6, 6], 0.37).to_kind(Kind::Float);
    let loss = |layer: &ConvNorm| layer.forward(&x, &Pass::TRAIN).unwrap().sum(Kind::Double);
    let before = loss(&layer);
    layer.prepare(Precision::Fp32).unwrap();
    let after = loss(&layer);
    assert_eq!(before.double_value(&[]), after.double_value(&[]));
    after.backward();
    for (name, p) in params.iter().filter(|(_, p)| p.trainable) {
        assert!(p.tensor.grad().abs().sum(Kind::Double).double_value(&[]) > 0.0, "{name}");
    }
}

/// Less precise products keep their direction; what sees single channels stays as it is.
#[test]
fn less_precise_layers_keep_near() {
    for precision in [Precision::Bf16, Precision::Int8] {
        for shape in [ConvShape::pointwise(32, 24), shapes()[4]] {
            let (mut layer, _) = layer(shape, Some(Activation::Relu6), 1e-3);
            let x = wave(&[2, shape.input, 5, 4], 0.37).to_kind(Kind::Float);
            tch::no_grad(|| {
                let want = layer.forward(&x, &Pass::EVAL).unwrap();
                layer.prepare(precision).unwrap();
                let found = layer.forward(&x, &Pass::EVAL).unwrap();
                assert_eq!((found.size(), found.kind()), (want.size(), Kind::Float));
                let far = (found - &want).norm().double_value(&[]) / want.norm().double_value(&[]);
                assert!(far < if shape.depthwise { 1e-6 } else { 0.03 }, "{precision} {shape:?}: {far}");
            });
        }
    }
}
