//! Dropout draws what libtorch's draws. Alone in its program: the generator is the whole process's.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::{autograd, dropout, generator};

/// The tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_same_bits_and_the_same_state_afterwards() {
    let _turn = alone();
    tch::manual_seed(3);
    for (n, p) in [(1, 0.1), (7, 0.5), (311, 0.05), (312, 0.3), (313, 0.999), (5000, 0.1), (100_003, 0.2)] {
        let x = (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.37).sin() + 2.0;
        // An odd number of draws before: pairs lie across blocks.
        let _ = Tensor::rand([n % 3], (Kind::Float, Device::Cpu));
        let before = generator::state(Device::Cpu).unwrap();
        let want = x.dropout(p, true);
        let after = generator::state(Device::Cpu).unwrap();
        generator::set_state(Device::Cpu, &before).unwrap();
        assert_eq!(dropout(&x, p).unwrap(), want, "{n} numbers, {p}");
        assert_eq!(generator::state(Device::Cpu).unwrap(), after, "{n} numbers, {p}");
    }
}

#[test]
fn gradients_go_where_numbers_stay() {
    let _turn = alone();
    let x = Tensor::ones([40, 50], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let y = dropout(&x, 0.25).unwrap();
    let sum = y.sum(Kind::Float);
    let of = autograd::grad(&[&sum], &[None], &[&x], false, false).unwrap();
    assert_eq!(of[0].as_ref().unwrap(), &y.detach());
    // What has no draws, and what no block is made for.
    assert_eq!(dropout(&x, 0.0).unwrap(), x);
    assert_eq!(dropout(&x, 1.0).unwrap().abs().max().double_value(&[]), 0.0);
    assert!(dropout(&x, 1.5).is_err());
    let turned = dropout(&x.detach().transpose(0, 1), 0.25).unwrap();
    assert_eq!(turned.size(), [50, 40]);
}
