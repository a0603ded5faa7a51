//! Lion: the sign of an interpolated momentum (Chen et al. 2023, "Symbolic discovery of optimization algorithms").

use super::lists::{mul_scalar_, refs};
use crate::{Arg, Result, call};
use tch::Tensor;

/// The numbers of one Lion step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub lr: f64,
    /// How much of the momentum the update is made of.
    pub beta1: f64,
    /// Decay of the momentum.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// One Lion step in place, as the authors' `lion_pytorch.py`: `p ← p (1 − lr λ) − lr sign(β₁ m + (1 − β₁) g)`, then
/// `m ← β₂ m + (1 − β₂) g`. All slices have one length.
///
/// # Errors
/// Lists that do not fit each other.
pub fn lion_step(options: Lion, params: &[&Tensor], grads: &[&Tensor], exp_avgs: &[&Tensor]) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    let Lion { lr, beta1, beta2, weight_decay } = options;
    tch::no_grad(|| {
        let updates = call("aten::_foreach_mul.Scalar", &[Arg::Tensors(exp_avgs), Arg::Double(beta1)])?;
        let updates = refs(&updates);
        let add = |to: &[&Tensor], of: &[&Tensor], alpha: f64| {
            call("aten::_foreach_add_.List", &[Arg::Tensors(to), Arg::Tensors(of), Arg::Double(alpha)])
        };
        add(&updates, grads, 1.0 - beta1)?;
        call("aten::_foreach_sign_", &[Arg::Tensors(&updates)])?;
        if weight_decay != 0.0 {
            mul_scalar_(params, 1.0 - lr * weight_decay)?;
        }
        add(params, &updates, -lr)?;
        mul_scalar_(exp_avgs, beta2)?;
        add(exp_avgs, grads, 1.0 - beta2)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::numbers;

    /// `fixtures/optimizers.py lion`.
    #[test]
    fn it_is_the_authors_own() {
        let found = numbers::three_steps(|_, params, grads, state| {
            let o = Lion { lr: 0.05, beta1: 0.9, beta2: 0.99, weight_decay: 0.1 };
            lion_step(o, params, grads, &state[0]).unwrap();
        });
        numbers::near(
            &found,
            &[
                &[0.5417887, -1.0348262, 2.019901, 0.1965175, 0.7890549, -0.4427862],
                &[1.0343262, 0.4427862, -0.1965175, 0.0733831, 0.7890549, -1.4278612],
                &[0.1477587, -0.2467662, 0.3452737],
            ],
            1e-6,
        );
        lion_step(Lion { lr: 1.0, beta1: 0.0, beta2: 0.0, weight_decay: 0.0 }, &[], &[], &[]).unwrap();
    }
}
