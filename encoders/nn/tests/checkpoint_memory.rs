//! A deep stack that is run again needs less memory at its peak. Alone in its program: memory is counted for the whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use tch::{Device, Kind, Tensor};
use unisono_nn::{Mask, Pass, Scope, Transformer, TransformerConfig};
use unisono_torch_ext::autograd;

/// The most memory that this process has had, KiB. Threads count for themselves, so that it may fall by a little.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_deep_stack_has_a_low_peak() {
    tch::set_num_threads(1);
    let root = Scope::root(1, Device::Cpu);
    let stack = Transformer::new(&root, &TransformerConfig::new(64, 24, 4)).unwrap();
    let params = root.finish().trainable();
    let step = |checkpoint| {
        let x = Tensor::ones([16, 64, 64], (Kind::Float, Device::Cpu));
        let pass = Pass { checkpoint, ..Pass::TRAIN };
        let loss = stack.forward(x, &Mask::None, &pass).unwrap().mean(Kind::Float);
        let of: Vec<&Tensor> = params.iter().map(|(_, t)| t).collect();
        let _ = autograd::grad(&[&loss], &[None], &of, false, false).unwrap();
    };
    // The first step's kernels and threads are nobody's activations.
    step(true);
    let before = peak();
    step(true);
    let low = peak().saturating_sub(before);
    step(false);
    let high = peak().saturating_sub(before);
    // 24 blocks of 1,024 tokens keep about 4 MiB each, of which the first step has had some.
    assert!(high > 32 << 10 && low * 4 < high, "{low} KiB with checkpoints, {high} KiB without");
}
