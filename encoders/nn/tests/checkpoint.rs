//! Blocks that are run again in the backward pass: loss and gradients to the last bit, with dropout and stochastic depth.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};
use unisono_nn::config::{CrossConfig, CrossPlace, NormKind, NormPlace, RelativeConfig, RotaryConfig};
use unisono_nn::{
    Activation, Mask, Params, Pass, Precision, Scope, Transformer, TransformerConfig, length_mask,
};
use unisono_torch_ext::autograd;

/// libtorch's generator is the whole process's: tests that draw take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape).to_kind(Kind::Float)
}

fn drawn() -> TransformerConfig {
    TransformerConfig { dropout: 0.2, drop_path: 0.3, ..TransformerConfig::new(16, 3, 4) }
}

fn cases() -> Vec<(&'static str, TransformerConfig)> {
    vec![
        ("plain", drawn()),
        (
            "causal, a learned bias",
            TransformerConfig {
                causal: true,
                relative: Some(RelativeConfig { buckets: 8, max_distance: 16 }),
                ..drawn()
            },
        ),
        ("post-norm", TransformerConfig { norm: NormPlace::Post, input_norm: true, ..drawn() }),
        ("messages", TransformerConfig { messages: true, ..drawn() }),
        (
            "modern",
            TransformerConfig {
                kv_heads: Some(2),
                qk_norm: true,
                bias: false,
                gated: true,
                activation: Activation::Silu,
                norm_kind: NormKind::Rms,
                rotary: Some(RotaryConfig::default()),
                layer_scale: Some(0.5),
                ..drawn()
            },
        ),
    ]
}

/// A loss over what the stack makes of two clips of two texts, and its gradients: of the input, of the memory, of every parameter.
fn learned(stack: &Transformer, params: &Params, memory: bool, pass: &Pass) -> (Tensor, Vec<Option<Tensor>>) {
    tch::manual_seed(11);
    let x = wave(&[4, 5, 16], 0.37).set_requires_grad(true);
    let tokens = wave(&[2, 6, 10], 0.53).set_requires_grad(true);
    let real = length_mask(&Tensor::from_slice(&[5i64, 3, 4, 1]), 5).unwrap();
    let mask = stack.mask(5, Some(&real)).unwrap();
    // Something comes before the stack, and something that draws after it.
    let input = &x * 1.5;
    let y = if memory {
        let seen = length_mask(&Tensor::from_slice(&[6i64, 4]), 6).unwrap();
        let kv = stack.cross_kv(&(&tokens * 0.7), Some(&seen), pass).unwrap();
        stack.decode(input, &mask, Some(&kv), None, pass).unwrap()
    } else if params.iter().any(|(name, _)| name.contains("message")) {
        stack.forward_clips(input, &Mask::None, 2, pass).unwrap()
    } else {
        stack.forward(input, &mask, pass).unwrap()
    };
    let loss = (y.dropout(0.1, true) * wave(&[4, 5, 16], 0.91)).sum(Kind::Float);
    let all = params.trainable();
    let of: Vec<&Tensor> = [&x, &tokens].into_iter().chain(all.iter().map(|(_, t)| t)).collect();
    let grads = autograd::grad(&[&loss], &[None], &of, false, false).unwrap();
    (loss, grads)
}

fn same(told: &str, stack: &Transformer, params: &Params, memory: bool, pass: Pass) {
    let (loss, want) = learned(stack, params, memory, &pass);
    let (again, found) = learned(stack, params, memory, &Pass { checkpoint: true, ..pass });
    assert_eq!(loss, again, "{told}");
    for (i, (want, found)) in want.iter().zip(&found).enumerate() {
        assert_eq!(want, found, "{told}: gradient {i}");
    }
    assert!(want[0].is_some() && want.iter().skip(2).all(Option::is_some), "{told}");
    assert_eq!(want[1].is_some(), memory, "{told}");
}

#[test]
fn a_stack_learns_the_same() {
    let _turn = alone();
    for (told, config) in cases() {
        let root = Scope::root(5, Device::Cpu);
        let stack = Transformer::new(&root.child("text"), &config).unwrap();
        let params = root.finish();
        for compute in [None, Some(Kind::BFloat16)] {
            same(told, &stack, &params, false, Pass { compute, ..Pass::TRAIN });
        }
    }
}

#[test]
fn a_decoder_learns_the_same() {
    let _turn = alone();
    for place in [CrossPlace::Inside, CrossPlace::After] {
        let cross = CrossConfig { width: 10, place, first: 1 };
        let root = Scope::root(5, Device::Cpu);
        let stack = Transformer::decoder(&root.child("d"), &drawn(), Some(&cross)).unwrap();
        let params = root.finish();
        same("a memory", &stack, &params, true, Pass::TRAIN);
    }
}

/// What is frozen gets no gradient; what stands below it does.
#[test]
fn frozen_blocks_let_gradients_through() {
    let _turn = alone();
    let root = Scope::root(5, Device::Cpu);
    let stack = Transformer::new(&root, &drawn()).unwrap();
    let params = root.finish();
    for (_, param) in params.iter() {
        let _ = param.tensor.shallow_clone().set_requires_grad(false);
    }
    let run = |checkpoint| {
        tch::manual_seed(3);
        let x = wave(&[2, 4, 16], 0.37).set_requires_grad(true);
        let pass = Pass { checkpoint, ..Pass::TRAIN };
        let y = stack.forward(&x * 1.0, &Mask::None, &pass).unwrap().sum(Kind::Float);
        autograd::grad(&[&y], &[None], &[&x], false, false).unwrap().remove(0).expect("a gradient")
    };
    assert_eq!(run(false), run(true));
}

/// Single-precision masters learn through products in bfloat16, near what they learn in single precision.
#[test]
fn masters_learn_through_bfloat16() {
    let _turn = alone();
    let root = Scope::root(5, Device::Cpu);
    let stack = Transformer::new(&root, &TransformerConfig::new(16, 2, 4)).unwrap();
    let params = root.finish();
    let grads = |compute| {
        let x = wave(&[4, 5, 16], 0.37);
        let pass = Pass { compute, ..Pass::TRAIN };
        let y = stack.forward(x, &Mask::None, &pass).unwrap();
        let loss = (y * wave(&[4, 5, 16], 0.91)).sum(Kind::Float);
        let all = params.trainable();
        let of: Vec<&Tensor> = all.iter().map(|(_, t)| t).collect();
        let grads = autograd::grad(&[&loss], &[None], &of, false, false).unwrap();
        grads.into_iter().map(|g| g.expect("a gradient")).collect::<Vec<_>>()
    };
    for (want, found) in grads(None).iter().zip(grads(Some(Kind::BFloat16))) {
        assert_eq!(found.kind(), Kind::Float);
        let size = want.norm().double_value(&[]).max(0.05);
        let far = (want - &found).norm().double_value(&[]) / size;
        assert!(far < 0.05, "{far}");
    }
}

/// Packed layers have no graph: there is nothing to run again, and the numbers are those of the packed ones.
#[test]
fn prepared_blocks_are_run_once() {
    let root = Scope::root(5, Device::Cpu);
    let mut stack = Transformer::new(&root, &TransformerConfig::new(16, 2, 4)).unwrap();
    stack.prepare(Precision::Bf16).unwrap();
    tch::no_grad(|| {
        let run = |checkpoint| {
            let pass = Pass { checkpoint, ..Pass::EVAL };
            stack.forward(wave(&[2, 4, 16], 0.37), &Mask::None, &pass).unwrap()
        };
        assert_eq!(run(false), run(true));
    });
}
