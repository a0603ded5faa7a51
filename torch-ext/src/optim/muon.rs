//! Muon: momentum of a matrix, made orthogonal by Newton–Schulz iterations (Keller Jordan 2024, <https://kellerjordan.github.io/posts/muon/>).

use super::lists::{lerp_, mul_scalar_, refs};
use crate::{Arg, Result, call};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// How the learning rate fits a matrix's shape `[A, B]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MuonScale {
    /// `√max(1, A / B)`, Keller Jordan's.
    Original,
    /// `0.2 √max(A, B)`: updates of the size that AdamW's have, so that its learning rate and weight decay fit (Liu et al. 2025, "Muon is
    /// scalable for LLM training").
    MatchRmsAdamW,
}

impl MuonScale {
    fn of(self, rows: i64, columns: i64) -> f64 {
        let (a, b) = (rows as f64, columns.max(1) as f64);
        match self {
            Self::Original => (a / b).max(1.0).sqrt(),
            Self::MatchRmsAdamW => 0.2 * a.max(b).sqrt(),
        }
    }
}

/// The numbers of one Muon step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Muon {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the momentum.
    pub momentum: f64,
    /// Looks ahead: the gradient is mixed in once more.
    pub nesterov: bool,
    /// Newton–Schulz iterations.
    pub steps: u32,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// How the learning rate fits a matrix's shape.
    pub scale: MuonScale,
    /// What the iterations compute in. `torch.optim.Muon` takes bfloat16.
    pub kind: Kind,
}

/// One Muon step in place over matrices, as `torch.optim.Muon`. Matrices of one shape go through the iterations together, as one batch. All
/// slices have one length.
///
/// # Errors
/// Something that is no matrix, or lists that do not fit each other.
pub fn muon_step(options: Muon, params: &[&Tensor], grads: &[&Tensor], momenta: &[&Tensor]) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    let Muon { lr, momentum, nesterov, steps, weight_decay, scale, kind } = options;
    tch::no_grad(|| {
        lerp_(momenta, grads, 1.0 - momentum)?;
        let ahead = match nesterov {
            true => call(
                "aten::_foreach_lerp.Scalar",
                &[Arg::Tensors(grads), Arg::Tensors(momenta), Arg::Double(momentum)],
            )?,
            false => momenta.iter().map(|m| m.shallow_clone()).collect(),
        };
        if weight_decay != 0.0 {
            mul_scalar_(params, 1.0 - lr * weight_decay)?;
        }
        let mut shapes: BTreeMap<(i64, i64), Vec<(&Tensor, &Tensor)>> = BTreeMap::new();
        for (param, update) in params.iter().zip(&ahead) {
            shapes.entry(update.size2()?).or_default().push((param, update));
        }
        for ((rows, columns), matrices) in shapes {
            let (of, updates): (Vec<&Tensor>, Vec<&Tensor>) = matrices.into_iter().unzip();
            let made = newton_schulz(&Tensor::f_stack(&updates, 0)?, steps, kind)?;
            let made = made.f_to_kind(updates.first().map_or(Kind::Float, |u| u.kind()))?.f_unbind(0)?;
            let alpha = -lr * scale.of(rows, columns);
            call(
                "aten::_foreach_add_.List",
                &[Arg::Tensors(&of), Arg::Tensors(&refs(&made)), Arg::Double(alpha)],
            )?;
        }
        Ok(())
    })
}

/// Matrices `[N, A, B]` with their singular values brought near 1 (0.7 to 1.2), computed in `kind`.
///
/// # Errors
/// libtorch's own.
pub fn newton_schulz(matrices: &Tensor, steps: u32, kind: Kind) -> Result<Tensor> {
    // Keller Jordan's quintic: steep at 0, so that few steps are enough.
    const A: f64 = 3.4445;
    const B: f64 = -4.7750;
    const C: f64 = 2.0315;
    let (_, rows, columns) = matrices.size3()?;
    let tall = rows > columns;
    let x = matrices.f_to_kind(kind)?;
    let x = if tall { x.f_transpose(1, 2)? } else { x };
    // The spectral norm is at most this one.
    let norm = x.f_norm_scalaropt_dim(2.0, [1, 2], true)?.f_clamp_min(1e-7)?;
    let mut x = x.f_div(&norm)?;
    for _ in 0..steps {
        let gram = x.f_bmm(&x.f_transpose(1, 2)?)?;
        let update = gram.f_baddbmm(&gram, &gram, B, C)?;
        x = x.f_baddbmm(&update, &x, A, 1.0)?;
    }
    Ok(if tall { x.f_transpose(1, 2)? } else { x })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::numbers;
    use tch::Device;

    fn after_three(scale: MuonScale, kind: Kind) -> Vec<Tensor> {
        let mut found = numbers::three_steps(|_, params, grads, state| {
            let o =
                Muon { lr: 0.05, momentum: 0.95, nesterov: true, steps: 5, weight_decay: 0.1, scale, kind };
            muon_step(o, &params[..2], &grads[..2], &state[0][..2]).unwrap();
        });
        found.truncate(2);
        found
    }

    /// `fixtures/optimizers.py muon`: `torch.optim.Muon`, computing in float32 and, as it does by itself, in bfloat16.
    #[test]
    fn it_is_torchs() {
        let original: [&[f64]; 2] = [
            &[0.5509595, -1.01842, 1.9873288, 0.1622319, 0.7826569, -0.4471119],
            &[1.0154855, 0.5512312, -0.2414888, 0.0241675, 0.8174131, -1.4455441],
        ];
        numbers::near(&after_three(MuonScale::Original, Kind::Float), &original, 1e-6);
        let matched: [&[f64]; 2] = [
            &[0.5127755, -0.996626, 1.9761008, 0.2171575, 0.7539965, -0.4768016],
            &[0.9936763, 0.5091385, -0.2449168, 0.0951423, 0.7610396, -1.4685422],
        ];
        numbers::near(&after_three(MuonScale::MatchRmsAdamW, Kind::Float), &matched, 1e-6);
        let original: [&[f64]; 2] = [
            &[0.5517355, -1.0187565, 1.9867728, 0.1609935, 0.784345, -0.448144],
            &[1.0170617, 0.552268, -0.2418621, 0.0247393, 0.8139647, -1.4481891],
        ];
        // Three updates of 0.05, rounded to 8 bits at each of the products.
        numbers::near(&after_three(MuonScale::Original, Kind::BFloat16), &original, 2e-3);
    }

    #[test]
    fn singular_values_come_near_one() {
        tch::manual_seed(1);
        for (rows, columns) in [(8, 20), (20, 8)] {
            let x = Tensor::randn([2, rows, columns], (Kind::Float, Device::Cpu));
            let y = newton_schulz(&x, 5, Kind::Float).unwrap();
            assert_eq!(y.size(), x.size());
            for matrix in y.unbind(0) {
                let (_, values, _) = matrix.svd(true, true);
                let (low, high) = (values.min().double_value(&[]), values.max().double_value(&[]));
                assert!(low > 0.6 && high < 1.3, "{low} {high}");
            }
        }
        let zeros = newton_schulz(&Tensor::zeros([1, 2, 3], (Kind::Float, Device::Cpu)), 5, Kind::Float);
        assert_eq!(zeros.unwrap().abs().max().double_value(&[]), 0.0);
    }
}
