//! `kind = "structure"`: what was near in a frozen tower's own space stays near in the shared one. With few pairs nothing else keeps a projection from
//! bending a space that millions of items have shaped: the regulariser of Gröger, Wen, Le and Brbić, "With Limited Data for Multimodal Alignment, Let the
//! STRUCTURE Guide You", NeurIPS 2025, arXiv 2506.16895, as its authors' code has it.
//!
//! Of the n items of a modality, X are the frozen tower's pooled vectors and A the vectors behind the projection, both made unit vectors and then less their
//! mean over the batch. P(X) = softmax(X Xᵀ / τ) by rows says where a walk goes from each item, P(X)ˡ where it is after l steps. The loss is the sum over
//! levels l = 1 … L of 1/l times the divergence of P(X)ˡ and P(A)ˡ, divided by L. The divergence is ½ KL(M‖P) + ½ KL(M‖Q) with M the mean of the two, the mean over rows: the
//! paper says Jensen–Shannon, in which the two stand the other way round; its figures were reached with this one.

use super::items::all_together;
use super::pair::one;
use super::refuse::refuse;
use super::{Items, View};
use crate::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use unisono_encoders::Modality;

/// The structure of frozen features is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Structure {
    /// Modalities; empty: all whose features are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<Modality>,
    /// Factor on each modality's loss; 0 leaves the term out.
    #[serde(default = "one")]
    pub weight: f64,
    /// Levels: how many steps a walk goes at most.
    #[serde(default = "single")]
    pub levels: usize,
    /// τ, by which products are divided.
    #[serde(default = "twentieth")]
    pub temperature: f64,
}

fn single() -> usize {
    1
}

fn twentieth() -> f64 {
    0.05
}

impl Structure {
    /// Refuses levels and temperatures that are none.
    pub(super) fn validate(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        if !(1..=8).contains(&self.levels) {
            return refuse(&at("levels"), &format!("expected 1 to 8, found {}", self.levels));
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return refuse(&at("temperature"), &format!("expected more than 0, found {}", self.temperature));
        }
        Ok(())
    }

    /// The modalities that it is of.
    pub(super) fn of(&self) -> &[Modality] {
        if self.modalities.is_empty() { &Modality::ALL } else { &self.modalities }
    }

    /// The loss of a modality, a scalar in nats, 0 where nothing was bent; `None` where fewer than two items have features.
    ///
    /// # Errors
    /// libtorch's.
    pub fn loss(&self, modality: Modality, view: &View, items: &Items) -> Result<Option<Tensor>> {
        let Some(fixed) = items.features.get(&modality) else { return Ok(None) };
        let frozen = fixed.view(&view.vectors)?;
        let Some((all, _)) = all_together(&[view, &frozen])? else { return Ok(None) };
        let [projected, frozen] = all.as_slice() else { return super::refuse::arguments() };
        let (p, q) = (self.steps(frozen)?, self.steps(&projected.f_to_kind(frozen.kind())?)?);
        let (mut p_now, mut q_now) = (p.shallow_clone(), q.shallow_clone());
        let mut sum = divergence(&p_now, &q_now)?;
        for level in 2..=self.levels {
            (p_now, q_now) = (p_now.f_matmul(&p)?, q_now.f_matmul(&q)?);
            sum = sum.f_add(&divergence(&p_now, &q_now)?.f_div_scalar(level as f64)?)?;
        }
        Ok(Some(sum.f_div_scalar(self.levels.max(1) as f64)?))
    }

    /// `[n, W]` → `[n, n]`: where one step goes from each item.
    fn steps(&self, vectors: &Tensor) -> Result<Tensor> {
        let kind = vectors.kind();
        let norm = vectors.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
        let unit = vectors.f_div(&norm)?;
        let centred = unit.f_sub(&unit.f_mean_dim([0i64].as_slice(), true, kind)?)?;
        let products = centred.f_matmul(&centred.f_transpose(0, 1)?)?;
        Ok(products.f_div_scalar(self.temperature)?.f_softmax(1, kind)?)
    }
}

/// ½ KL(M‖P) + ½ KL(M‖Q) of rows, M the mean of the two: the mean over rows, in nats.
fn divergence(p: &Tensor, q: &Tensor) -> Result<Tensor> {
    // A logarithm of nothing has no gradient.
    let some = |t: &Tensor| t.f_add_scalar(1e-12);
    let middle = some(&p.f_add(q)?.f_mul_scalar(0.5)?)?;
    let apart = middle.f_log()?.f_mul_scalar(2.0)?.f_sub(&some(p)?.f_log()?)?.f_sub(&some(q)?.f_log()?)?;
    Ok(middle.f_mul(&apart)?.f_sum(p.kind())?.f_mul_scalar(0.5 / p.size2()?.0 as f64)?)
}

#[cfg(test)]
mod tests {
    use super::super::Fixed;
    use super::super::items::tests::unit;
    use super::*;
    use std::collections::BTreeMap;

    /// Rows of a softmax, their powers and the divergence, number by number.
    fn naive(x: &Tensor, a: &Tensor, levels: usize, temperature: f64) -> f64 {
        let steps = |t: &Tensor| -> Vec<Vec<f64>> {
            let rows = Vec::<Vec<f64>>::try_from(t).unwrap();
            let (n, w) = (rows.len(), rows[0].len());
            let norm = |r: &Vec<f64>| r.iter().map(|v| v * v).sum::<f64>().sqrt();
            let unit: Vec<Vec<f64>> = rows.iter().map(|r| r.iter().map(|v| v / norm(r)).collect()).collect();
            let mean: Vec<f64> = (0..w).map(|k| unit.iter().map(|r| r[k]).sum::<f64>() / n as f64).collect();
            let centred = |r: &Vec<f64>| r.iter().zip(&mean).map(|(a, b)| a - b).collect::<Vec<f64>>();
            let u: Vec<Vec<f64>> = unit.iter().map(centred).collect();
            let cos = |i: usize, j: usize| u[i].iter().zip(&u[j]).map(|(a, b)| a * b).sum::<f64>();
            (0..n)
                .map(|i| {
                    let e: Vec<f64> = (0..n).map(|j| (cos(i, j) / temperature).exp()).collect();
                    let sum: f64 = e.iter().sum();
                    e.into_iter().map(|v| v / sum).collect()
                })
                .collect()
        };
        let times = |a: &Vec<Vec<f64>>, b: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let n = a.len();
            let at = |i: usize, j: usize| (0..n).map(|k| a[i][k] * b[k][j]).sum::<f64>();
            (0..n).map(|i| (0..n).map(|j| at(i, j)).collect()).collect()
        };
        let (p, q) = (steps(x), steps(a));
        let (mut pl, mut ql) = (p.clone(), q.clone());
        let mut sum = 0.0;
        for level in 1..=levels {
            let mut apart = 0.0;
            for (p, q) in pl.iter().flatten().zip(ql.iter().flatten()) {
                let m = (p + q) / 2.0;
                apart += 0.5 * m * ((m / p).ln() + (m / q).ln());
            }
            sum += apart / p.len() as f64 / level as f64;
            (pl, ql) = (times(&pl, &p), times(&ql, &q));
        }
        sum / levels as f64
    }

    // structure_reg(3 * pattern(5, 4, 1), pattern(5, 3, 2), levels, temperature, weighting="inverse") of the authors' src/loss/clip_loss.py in fp64, and the
    // first three numbers of its gradient; pattern(n, d, seed) is `unit`.
    #[test]
    fn equals_the_authors_code() {
        for (levels, temperature, want, gradient) in [
            (1, 0.05, 1.5894378355262075, [0.281674574, -1.144046794, 0.013133687]),
            (3, 0.1, 0.5124540123920887, [0.092936532, -0.377470143, 0.004333367]),
            (2, 0.5, 0.05912560910984349, [0.010324515, -0.041933953, 0.000481403]),
        ] {
            let frozen = unit(5, 4, 1) * 3.0;
            let values: Vec<f32> = Vec::try_from(frozen.to_kind(tch::Kind::Float).flatten(0, -1)).unwrap();
            let fixed = Fixed { rows: (0..5).collect(), width: 4, values };
            let items = Items { features: BTreeMap::from([(Modality::Text, fixed)]), ..Items::default() };
            let x = unit(5, 3, 2).set_requires_grad(true);
            let view = View { vectors: x.shallow_clone(), rows: (0..5).collect() };
            let term = Structure { modalities: Vec::new(), weight: 1.0, levels, temperature };
            let loss = term.loss(Modality::Text, &view, &items).unwrap().unwrap();
            let found = loss.double_value(&[]);
            // The frozen vectors are single precision here.
            assert!((found / want - 1.0).abs() < 1e-6, "{levels}: {found} {want}");
            loss.backward();
            for (at, want) in (0..).zip(gradient) {
                let found = x.grad().double_value(&[0, at]);
                assert!((found - want).abs() < 1e-6, "{levels} {at}: {found} {want}");
            }
        }
    }

    #[test]
    fn equals_a_naive_divergence_and_is_nothing_where_nothing_was_bent() {
        let (frozen, projected) = (unit(5, 7, 1), unit(5, 3, 2));
        let values: Vec<f32> = Vec::try_from(frozen.to_kind(tch::Kind::Float).flatten(0, -1)).unwrap();
        let rounded = Tensor::from_slice(&values).view([5, 7]).to_kind(tch::Kind::Double);
        let fixed = Fixed { rows: vec![0, 1, 3, 4, 6], width: 7, values };
        let items = Items { features: BTreeMap::from([(Modality::Image, fixed)]), ..Items::default() };
        let view = |vectors: Tensor| View { vectors, rows: vec![0, 1, 3, 4, 6] };
        let term = Structure { modalities: Vec::new(), weight: 1.0, levels: 3, temperature: 0.2 };
        let loss = |vectors: &Tensor| {
            term.loss(Modality::Image, &view(vectors.shallow_clone()), &items).unwrap().unwrap()
        };
        let (found, want) = (loss(&projected).double_value(&[]), naive(&rounded, &projected, 3, 0.2));
        assert!((found - want).abs() < 1e-9, "{found} {want}");
        // A stretch bends nothing.
        assert!(loss(&(&rounded * 3.0)).double_value(&[]).abs() < 1e-9);
        assert!(term.loss(Modality::Text, &view(projected.shallow_clone()), &items).unwrap().is_none());
        let x = projected.set_requires_grad(true);
        loss(&x).backward();
        let (g, step) = (x.grad(), 1e-6);
        for at in [0i64, 7, 14] {
            let moved = |by: f64| {
                let one = Tensor::zeros([15], (tch::Kind::Double, tch::Device::Cpu));
                let _ = one.narrow(0, at, 1).fill_(by);
                loss(&(x.detach() + one.view([5, 3]))).double_value(&[])
            };
            let d = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((d - g.double_value(&[at / 3, at % 3])).abs() < 1e-7, "{at}: {d}");
        }
    }
}
