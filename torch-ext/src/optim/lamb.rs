//! LAMB: Adam's update, scaled for each tensor by the norm of its weights over its own (You et al. 2020, "Large batch optimization for deep
//! learning: training BERT in 76 minutes").

use super::lists::{add_scalar_, lerp_, mul_scalar_, norms, refs};
use crate::{Arg, Result, call};
use tch::Tensor;

/// The numbers of one LAMB step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lamb {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay, added to the update before it is scaled. Without it the update is not scaled either: biases and norms take Adam's
    /// step, as in NVIDIA's and timm's.
    pub weight_decay: f64,
}

/// One LAMB step in place, as `timm.optim.Lamb` without its own clipping. `step` counts the steps of these parameters, this one among them.
/// All slices have one length.
///
/// # Errors
/// Lists that do not fit each other.
pub fn lamb_step(
    options: Lamb,
    params: &[&Tensor],
    grads: &[&Tensor],
    exp_avgs: &[&Tensor],
    exp_avg_sqs: &[&Tensor],
    step: f64,
) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    let Lamb { lr, beta1, beta2, eps, weight_decay } = options;
    let (first, second) = (1.0 - beta1.powf(step), (1.0 - beta2.powf(step)).sqrt());
    tch::no_grad(|| {
        lerp_(exp_avgs, grads, 1.0 - beta1)?;
        mul_scalar_(exp_avg_sqs, beta2)?;
        let squares = [Arg::Tensors(exp_avg_sqs), Arg::Tensors(grads), Arg::Tensors(grads)];
        call("aten::_foreach_addcmul_.Scalar", &[&squares[..], &[Arg::Double(1.0 - beta2)]].concat())?;
        let below = call("aten::_foreach_sqrt", &[Arg::Tensors(exp_avg_sqs)])?;
        let below = refs(&below);
        call("aten::_foreach_div_.Scalar", &[Arg::Tensors(&below), Arg::Double(second)])?;
        add_scalar_(&below, eps)?;
        let updates = call("aten::_foreach_div.Scalar", &[Arg::Tensors(exp_avgs), Arg::Double(first)])?;
        let updates = refs(&updates);
        call("aten::_foreach_div_.List", &[Arg::Tensors(&updates), Arg::Tensors(&below)])?;
        let add = |to: &[&Tensor], of: &[&Tensor], alpha: f64| {
            call("aten::_foreach_add_.List", &[Arg::Tensors(to), Arg::Tensors(of), Arg::Double(alpha)])
        };
        if weight_decay != 0.0 {
            add(&updates, params, weight_decay)?;
            let (weights, own) = (norms(params)?, norms(&updates)?);
            // A tensor or an update of zeros has no scale to give.
            let both = weights.f_gt(0.0)?.f_logical_and(&own.f_gt(0.0)?)?;
            let ratios = weights.f_div(&own)?.f_where_self(&both, &weights.f_ones_like()?)?.f_unbind(0)?;
            call("aten::_foreach_mul_.List", &[Arg::Tensors(&updates), Arg::Tensors(&refs(&ratios))])?;
        }
        add(params, &updates, -lr)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::numbers;

    /// `fixtures/optimizers.py lamb`: matrices with a weight decay of 0.1, the vector with none.
    #[test]
    fn it_is_timms() {
        let found = numbers::three_steps(|t, params, grads, state| {
            for (range, weight_decay) in [(0..2, 0.1), (2..3, 0.0)] {
                let o = Lamb { lr: 0.05, beta1: 0.9, beta2: 0.98, eps: 1e-6, weight_decay };
                let of = |list: &[&Tensor]| -> Vec<Tensor> {
                    list[range.clone()].iter().map(|t| t.shallow_clone()).collect()
                };
                let [p, g, m, v] = [of(params), of(grads), of(&state[0]), of(&state[1])];
                lamb_step(o, &refs(&p), &refs(&g), &refs(&m), &refs(&v), t).unwrap();
            }
        });
        numbers::near(
            &found,
            &[
                &[0.5974647, -0.9692305, 2.0011127, 0.0553824, 0.7954658, -0.3557554],
                &[1.0721718, 0.4960345, -0.2047306, -0.0287251, 0.7913898, -1.3643552],
                &[0.1793717, -0.224903, 0.3506891],
            ],
            1e-6,
        );
    }

    #[test]
    fn a_tensor_of_zeros_moves_and_one_without_a_gradient_does_not_blow_up() {
        let zeros = || Tensor::from_slice(&[0f32, 0.0]);
        let o = Lamb { lr: 0.1, beta1: 0.9, beta2: 0.9, eps: 1e-6, weight_decay: 0.1 };
        let (p, m, v) = (zeros(), zeros(), zeros());
        lamb_step(o, &[&p], &[&Tensor::from_slice(&[1f32, 0.0])], &[&m], &[&v], 1.0).unwrap();
        numbers::near(&[p], &[&[-0.1, 0.0]], 1e-6);
        let (p, m, v) = (zeros(), zeros(), zeros());
        lamb_step(o, &[&p], &[&zeros()], &[&m], &[&v], 1.0).unwrap();
        numbers::near(&[p], &[&[0.0, 0.0]], 1e-12);
    }
}
