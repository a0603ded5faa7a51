//! Parts that are run again: values and gradients are those of the part run once, to the last bit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::{Error, Result, autograd, checkpoint, generator};

/// libtorch's generator is the whole process's, and a part that is run again sets it back: tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn leaf(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).set_requires_grad(true)
}

/// `dropout(x · w + sin(x)) · y`.
fn part(x: &Tensor, y: &Tensor, w: &Tensor) -> Result<Tensor> {
    Ok(((x * w) + x.f_sin()?).f_dropout(0.5, true)?.f_mul(y)?)
}

#[test]
fn gradients_of_inputs_and_parameters_are_those_of_one_run() {
    let _turn = alone();
    let (a, b, w) = (leaf(&[0.3; 64]), leaf(&[1.7; 64]), leaf(&[-0.9; 64]));
    let run = |checkpointed: bool| {
        tch::manual_seed(5);
        let (x, y) = (&a * 2.0, &b + 1.0);
        let own = w.shallow_clone();
        let out = match checkpointed {
            true => {
                checkpoint(&[&x, &y], &[w.shallow_clone()], move |given| part(&given[0], &given[1], &own))
            }
            false => part(&x, &y, &w),
        };
        // What is drawn afterwards is drawn from where the first run left off, and the second run does not move it.
        let loss = out.unwrap().dropout(0.5, true).sum(Kind::Double);
        let grads = autograd::grad(&[&loss], &[None], &[&a, &b, &w], false, false).unwrap();
        let after = Tensor::rand([4], (Kind::Double, Device::Cpu));
        (loss, grads.into_iter().map(|g| g.expect("a gradient")).collect::<Vec<_>>(), after)
    };
    let (want, found) = (run(false), run(true));
    assert_eq!((want.0, want.2), (found.0, found.2));
    assert_eq!(want.1, found.1);
    assert!(want.1[0].count_nonzero(0).int64_value(&[]) < 64, "nothing was dropped");
}

#[test]
fn backward_into_leaves_and_frozen_inputs() {
    let _turn = alone();
    let (x, w) = (leaf(&[2.0]), Tensor::from_slice(&[3f64]));
    let own = w.shallow_clone();
    let out: Tensor = checkpoint(&[&x], &[w.shallow_clone()], move |g| Ok::<_, Error>(&g[0] * &own)).unwrap();
    autograd::backward(&[&out], &[None], false).unwrap();
    assert_eq!(x.grad().double_value(&[0]), 3.0);
    assert!(!w.grad().defined());
}

#[test]
fn a_part_without_gradients_is_called_once() {
    let _turn = alone();
    let calls = Arc::new(AtomicUsize::new(0));
    let run = |x: &Tensor| {
        let calls = calls.clone();
        checkpoint(&[x], &[], move |g| {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Error>(&g[0] + 1.0)
        })
        .unwrap()
    };
    assert!(!run(&Tensor::from_slice(&[1f64])).requires_grad());
    assert!(!tch::no_grad(|| run(&leaf(&[1.0]))).requires_grad());
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    let out = run(&leaf(&[1.0]));
    assert!(out.requires_grad());
    assert_eq!((calls.load(Ordering::Relaxed), Arc::strong_count(&calls)), (3, 2));
    autograd::backward(&[&out], &[None], false).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    // What the part holds goes with the graph.
    drop(out);
    assert_eq!(Arc::strong_count(&calls), 1);
}

#[test]
fn parts_within_parts() {
    let _turn = alone();
    let run = |depth: u32| {
        let x = leaf(&[0.4, -1.2]);
        let inner = |x: &Tensor, checkpointed: bool| -> Result<Tensor> {
            match checkpointed {
                true => checkpoint(&[x], &[], |g| Ok(g[0].f_exp()?)),
                false => Ok(x.f_exp()?),
            }
        };
        let outer = move |x: &Tensor| inner(&x.f_sin()?, depth > 1).map(|y| y * x);
        let y = match depth {
            0 => outer(&x),
            _ => checkpoint(&[&x], &[], move |g| outer(&g[0])),
        };
        autograd::grad(&[&y.unwrap().sum(Kind::Double)], &[None], &[&x], false, false).unwrap().remove(0)
    };
    assert_eq!(run(0), run(1));
    assert_eq!(run(0), run(2));
}

#[test]
fn a_retained_graph_can_be_gone_through_again_and_a_freed_one_not() {
    let _turn = alone();
    let x = leaf(&[3.0]);
    let y = checkpoint(&[&x], &[], |g| Ok::<_, Error>(&g[0] * &g[0])).unwrap();
    let grad = |retain| autograd::grad(&[&y], &[None], &[&x], retain, false);
    for retain in [true, true, false] {
        assert_eq!(grad(retain).unwrap()[0].as_ref().unwrap().double_value(&[0]), 6.0);
    }
    let e = grad(false).unwrap_err().to_string();
    assert!(e.contains("second time"), "{e}");
}

#[test]
fn second_derivatives_and_changed_parameters_are_refused() {
    let _turn = alone();
    let x = leaf(&[3.0]);
    let y = checkpoint(&[&x], &[], |g| Ok::<_, Error>(&g[0] * &g[0])).unwrap();
    let e = autograd::grad(&[&y], &[None], &[&x], true, true).unwrap_err().to_string();
    assert!(e.contains("no second derivatives"), "{e}");
    let _ = tch::no_grad(|| x.shallow_clone().fill_(1.0));
    let e = autograd::grad(&[&y], &[None], &[&x], true, false).unwrap_err().to_string();
    assert!(e.contains("modified by an inplace operation"), "{e}");
}

/// An error of a crate that stands above this one.
#[derive(Debug, thiserror::Error)]
enum Above {
    #[error("no {0}")]
    Own(u32),
    #[error(transparent)]
    Below(#[from] Error),
}

#[test]
fn errors_and_panics_come_back_and_the_draws_with_them() {
    let _turn = alone();
    let x = leaf(&[1.0]);
    let never: Result<Tensor, Above> = checkpoint(&[&x], &[], |_| Err(Above::Own(7)));
    assert!(matches!(never, Err(Above::Own(7))));
    for (panics, told) in [(false, "no 8"), (true, "panicked: out of luck")] {
        let calls = AtomicUsize::new(0);
        let y: Tensor = checkpoint(&[&x], &[], move |g| {
            let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            let y = g[0].dropout(0.5, true);
            match (first, panics) {
                (true, _) => Ok(y),
                (false, false) => Err(Above::Own(8)),
                (false, true) => panic!("out of {}", "luck"),
            }
        })
        .unwrap();
        let before = generator::state(Device::Cpu).unwrap();
        let e = autograd::grad(&[&y], &[None], &[&x], false, false).unwrap_err().to_string();
        assert!(e.contains(told), "{e}");
        assert_eq!(generator::state(Device::Cpu).unwrap(), before);
    }
}
