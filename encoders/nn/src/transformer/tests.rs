//! Stacks: what each key of a configuration does, and that caches and memories change nothing else.

use super::*;
use crate::config::{CrossPlace, NormKind, NormPlace, RelativeConfig, RotaryConfig};
use crate::{Mode, Params};
use std::cell::RefCell;
use tch::Kind;

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape).to_kind(Kind::Float)
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().to_kind(Kind::Double).double_value(&[])
}

fn built(c: &TransformerConfig, cross: Option<&CrossConfig>) -> (Transformer, Params) {
    c.validate("t").unwrap();
    let root = Scope::root(5, Device::Cpu);
    let scope = root.child("text");
    let stack = match cross {
        Some(_) => Transformer::decoder(&scope, c, cross),
        None => Transformer::new(&scope, c),
    };
    (stack.unwrap(), root.finish())
}

fn small() -> TransformerConfig {
    TransformerConfig::new(16, 2, 4)
}

/// What LLaMA's descendants ask for.
fn modern() -> TransformerConfig {
    TransformerConfig {
        kv_heads: Some(2),
        qk_norm: true,
        bias: false,
        gated: true,
        activation: crate::Activation::Silu,
        norm_kind: NormKind::Rms,
        rotary: Some(RotaryConfig::default()),
        causal: true,
        layer_scale: Some(0.5),
        ..small()
    }
}

#[test]
fn a_modern_block_has_its_parameters_and_no_others() {
    let (_, params) = built(&TransformerConfig { depth: 1, layer_scale: None, ..modern() }, None);
    let found: Vec<(String, Vec<i64>)> =
        params.iter().map(|(n, p)| (n.replace("text.blocks.0.", ""), p.tensor.size())).collect();
    let want = [
        ("attention.k_norm.weight", vec![4]),
        ("attention.out.weight", vec![16, 16]),
        ("attention.q_norm.weight", vec![4]),
        ("attention.qkv.weight", vec![32, 16]),
        ("mlp.fc1.weight", vec![128, 16]),
        ("mlp.fc2.weight", vec![16, 64]),
        ("norm1.weight", vec![16]),
        ("norm2.weight", vec![16]),
    ];
    assert_eq!(found, want.map(|(n, s)| (n.to_owned(), s)));
}

#[test]
fn token_by_token_is_all_at_once() {
    let memory = wave(&[2, 5, 10], 0.53);
    let real =
        Tensor::from_slice(&[true, true, true, true, true, true, true, false, false, false]).view([2, 5]);
    for place in [CrossPlace::Inside, CrossPlace::After] {
        let cross = CrossConfig { width: 10, place, first: 1 };
        for c in [TransformerConfig { causal: true, ..small() }, modern()] {
            let (stack, _) = built(&c, Some(&cross));
            let x = wave(&[4, 5, 16], 0.37);
            tch::no_grad(|| {
                let memory = stack.cross_kv(&memory, Some(&real), &Pass::EVAL).unwrap();
                assert_eq!((memory.items(), memory.blocks.len()), (2, 1));
                // Causal blocks are so whatever the mask.
                let whole =
                    stack.decode(x.shallow_clone(), &Mask::None, Some(&memory), None, &Pass::EVAL).unwrap();
                let mut cache = stack.cache(4, 5, Device::Cpu, &Pass::EVAL).unwrap();
                for n in [2, 1, 2] {
                    let first = cache.length();
                    let part = x.narrow(1, first, n);
                    let y = stack
                        .decode(part, &Mask::Causal, Some(&memory), Some(&mut cache), &Pass::EVAL)
                        .unwrap();
                    assert!(far(&y, &whole.narrow(1, first, n)) < 1e-5);
                }
                // Beams change places: rows of the cache follow.
                let rows = Tensor::from_slice(&[3i64, 1]);
                cache.reorder(&rows, 0).unwrap();
                assert_eq!((cache.rows(), cache.length()), (2, 5));
                let one = memory.select(&Tensor::from_slice(&[1i64])).unwrap();
                let x = x.narrow(0, 2, 2);
                let own = stack.decode(x, &Mask::Causal, Some(&one), None, &Pass::EVAL).unwrap();
                assert!(far(&own, &whole.narrow(0, 2, 2)) < 1e-5);
                assert!(
                    stack
                        .decode(wave(&[3, 2, 16], 0.1), &Mask::None, Some(&memory), None, &Pass::EVAL)
                        .is_err()
                );
            });
        }
    }
}

/// Padding hides, later tokens hide where blocks are causal, relative biases are added: in every combination.
#[test]
fn padding_changes_nothing() {
    let relative = Some(RelativeConfig { buckets: 8, max_distance: 16 });
    let real = Tensor::from_slice(&[true, true, true, false, false]).view([1, 5]);
    for causal in [false, true] {
        for relative in [None, relative] {
            let (stack, _) = built(&TransformerConfig { causal, relative, ..small() }, None);
            tch::no_grad(|| {
                let x = wave(&[1, 5, 16], 0.37);
                let padded =
                    stack.forward(x.shallow_clone(), &stack.mask(5, Some(&real)).unwrap(), &Pass::EVAL);
                let alone =
                    stack.forward(x.narrow(1, 0, 3), &stack.mask(3, None).unwrap(), &Pass::EVAL).unwrap();
                assert!(far(&padded.unwrap().narrow(1, 0, 3), &alone) < 1e-5);
                let first =
                    stack.forward(x.narrow(1, 0, 1), &stack.mask(1, None).unwrap(), &Pass::EVAL).unwrap();
                assert_eq!(far(&first, &alone.narrow(1, 0, 1)) < 1e-5, causal, "{relative:?}");
            });
        }
    }
}

/// Branches that are scaled to nothing, or left out for a sample, leave the stream as it was.
#[test]
fn branches_can_be_left_out() {
    let x = wave(&[64, 3, 16], 0.37);
    let run = |c: &TransformerConfig, mode: Mode| {
        let (stack, _) = built(c, None);
        tch::no_grad(|| stack.forward(x.shallow_clone(), &Mask::None, &mode.into()).unwrap())
    };
    assert_eq!(run(&TransformerConfig { layer_scale: Some(0.0), ..small() }, Mode::Train), x);
    let c = TransformerConfig { depth: 1, drop_path: 0.5, ..small() };
    let kept = |y: &Tensor| {
        let moved = (y - &x).abs().amax([1i64, 2], false).gt(0.0).sum(Kind::Int64);
        moved.int64_value(&[])
    };
    assert_eq!(kept(&run(&c, Mode::Eval)), 64);
    // A sample keeps neither branch with probability 1/4: 16 of 64, five standard deviations either way.
    tch::manual_seed(1);
    let trained = kept(&run(&c, Mode::Train));
    assert!((30..64).contains(&trained), "{trained}");
    // The first block of several is never left out.
    let (stack, _) = built(&TransformerConfig { depth: 2, drop_path: 0.9, ..small() }, None);
    let first = RefCell::new(Vec::new());
    let trace = |name: &str, x: &Tensor| {
        first.borrow_mut().push((name.to_owned(), x.shallow_clone()));
        Ok(())
    };
    let pass = Pass { trace: Some(&trace), ..Pass::TRAIN };
    let _ = tch::no_grad(|| stack.forward(x.shallow_clone(), &Mask::None, &pass).unwrap());
    let told = first.into_inner();
    assert_eq!(told.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["text.blocks.0", "text.blocks.1"]);
    assert_eq!(kept(&told[0].1), 64);
}

/// Post-norm: what leaves a block has mean 0 and variance 1.
#[test]
fn post_norm_is_after_the_sum() {
    let (stack, _) = built(&TransformerConfig { norm: NormPlace::Post, input_norm: true, ..small() }, None);
    let y = tch::no_grad(|| stack.forward(wave(&[2, 3, 16], 0.37) * 9.0, &Mask::None, &Pass::EVAL).unwrap());
    assert!(y.mean_dim([-1i64].as_slice(), false, Kind::Float).abs().max().double_value(&[]) < 1e-5);
    assert!((y.var_dim([-1i64].as_slice(), false, false) - 1.0).abs().max().double_value(&[]) < 1e-3);
}

#[test]
fn operations_are_counted() {
    let c = TransformerConfig::new(8, 3, 2);
    // Four projections of 8 × 8, two layers of 8 × 32, scores and sums over 5 keys, for 5 tokens.
    let want = 3.0 * (5.0 * 2.0 * (4.0 * 64.0 + 2.0 * 256.0) + 2.0 * 2.0 * 25.0 * 8.0);
    assert_eq!(c.flops(5), want);
    let grouped = TransformerConfig { kv_heads: Some(1), gated: true, ..c };
    assert_eq!(grouped.flops(5), 3.0 * (5.0 * 2.0 * (3.0 * 64.0 + 3.0 * 256.0) + 2.0 * 2.0 * 25.0 * 8.0));
}
