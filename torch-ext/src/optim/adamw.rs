//! AdamW, by libtorch's fused kernel: one call for a whole list.

use crate::{Arg, Error, Result, call};
use tch::Tensor;

/// The numbers of one AdamW step (Loshchilov & Hutter 2019, as `torch.optim.AdamW(fused=True)`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// One fused AdamW step in place. `steps[i]` is a scalar tensor that counts `params[i]`'s steps and is *not* advanced here:
/// add one before the call, as `torch.optim` does. All slices have one length; moments have their parameter's shape and strides.
///
/// The kernel walks the raw memory of all four lists side by side and looks at no strides. A gradient straight from the graph
/// may be laid out otherwise than its parameter (a convolution's over channels-last images is): it is laid out anew first.
///
/// # Errors
/// Lists that do not fit each other, moments with other strides than their parameter, or a device without the kernel.
pub fn fused_adamw_step(
    options: AdamW,
    params: &[&Tensor],
    grads: &[&Tensor],
    exp_avgs: &[&Tensor],
    exp_avg_sqs: &[&Tensor],
    steps: &[&Tensor],
) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    let laid_out: Vec<Tensor> =
        params.iter().zip(grads).map(|(p, g)| laid_out_as(p, g)).collect::<Result<_>>()?;
    let grads: Vec<&Tensor> = laid_out.iter().collect();
    for (i, p) in params.iter().enumerate() {
        for moment in [exp_avgs.get(i), exp_avg_sqs.get(i)].into_iter().flatten() {
            if moment.size() != p.size() || moment.stride() != p.stride() {
                let message = format!(
                    "parameter {i} has shape {:?} and strides {:?}, its moment {:?} and {:?}",
                    p.size(),
                    p.stride(),
                    moment.size(),
                    moment.stride()
                );
                return Err(Error::Torch { what: "aten::_fused_adamw_".into(), message });
            }
        }
    }
    tch::no_grad(|| {
        call(
            "aten::_fused_adamw_",
            &[
                Arg::Tensors(params),
                Arg::Tensors(&grads),
                Arg::Tensors(exp_avgs),
                Arg::Tensors(exp_avg_sqs),
                Arg::Tensors(&[]),
                Arg::Tensors(steps),
                Arg::Double(options.lr),
                Arg::Double(options.beta1),
                Arg::Double(options.beta2),
                Arg::Double(options.weight_decay),
                Arg::Double(options.eps),
                Arg::Bool(false),
                Arg::Bool(false),
            ],
        )
    })?;
    Ok(())
}

/// `grad` with the strides of `param`: itself where it has them.
fn laid_out_as(param: &Tensor, grad: &Tensor) -> Result<Tensor> {
    if grad.stride() == param.stride() || grad.size() != param.size() {
        return Ok(grad.shallow_clone()); // another shape is the kernel's to refuse
    }
    let mut out = tch::no_grad(|| param.f_empty_like())?;
    out.f_copy_(grad)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::add_scalar_;
    use tch::{Device, Kind};

    /// The textbook update on one number, in f64.
    fn naive(o: AdamW, p: f64, grads: &[f64]) -> f64 {
        let (mut p, mut m, mut v) = (p, 0.0, 0.0);
        for (t, g) in grads.iter().enumerate() {
            let t = t as i32 + 1;
            p -= o.lr * o.weight_decay * p;
            m = o.beta1 * m + (1.0 - o.beta1) * g;
            v = o.beta2 * v + (1.0 - o.beta2) * g * g;
            let (mh, vh) = (m / (1.0 - o.beta1.powi(t)), v / (1.0 - o.beta2.powi(t)));
            p -= o.lr * mh / (vh.sqrt() + o.eps);
        }
        p
    }

    #[test]
    fn fused_adamw_is_the_textbook_update() {
        let o = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.05 };
        let p = Tensor::from_slice(&[1f64, -2.0]);
        let (m, v) = (p.zeros_like(), p.zeros_like());
        let step = Tensor::zeros([], (Kind::Float, Device::Cpu));
        let seq = [[0.5, -1.0], [0.25, 2.0], [-3.0, 0.125]];
        for g in seq {
            let g = Tensor::from_slice(&g);
            add_scalar_(&[&step], 1.0).unwrap();
            fused_adamw_step(o, &[&p], &[&g], &[&m], &[&v], &[&step]).unwrap();
        }
        for (i, start) in [1.0, -2.0].into_iter().enumerate() {
            let want = naive(o, start, &seq.map(|g| g[i]));
            let got = p.double_value(&[i as i64]);
            assert!((got - want).abs() < 1e-9, "{got} {want}");
        }
    }

    /// The gradient of a convolution over channels-last images comes with channels-last strides.
    #[test]
    fn fused_adamw_minds_the_strides_of_gradients() {
        let o = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.0 };
        let run = |permute: bool| {
            let p = Tensor::zeros([2, 3, 3, 3], (Kind::Float, Device::Cpu));
            let (m, v) = (p.zeros_like(), p.zeros_like());
            let step = Tensor::from(1f32);
            let g = Tensor::arange(54, (Kind::Float, Device::Cpu)).view([2, 3, 3, 3]) - 26.5;
            let g = if permute { g.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]) } else { g };
            assert_eq!(g.is_contiguous(), !permute);
            fused_adamw_step(o, &[&p], &[&g], &[&m], &[&v], &[&step]).unwrap();
            (p, m)
        };
        assert_eq!(run(true), run(false));
        let p = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let moment = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)).transpose(0, 1);
        let refused = fused_adamw_step(o, &[&p], &[&p], &[&moment], &[&p], &[&Tensor::from(1f32)]);
        assert!(refused.unwrap_err().to_string().contains("strides"));
    }
}
