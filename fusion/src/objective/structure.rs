//! `kind = "structure"`: what was near in a frozen tower's own space stays near in the shared one. With few pairs nothing else keeps a projection from
//! bending a space that millions of items have shaped (after the regulariser of Gröger, Wen, Le and Brbić, "With Limited Data for Multimodal Alignment,
//! Let the STRUCTURE Guide You", NeurIPS 2025, arXiv 2506.16895, which keeps the
//! neighbourhoods of each tower's own space; the form below follows its idea and was not compared with its code).
//!
//! Of the n items of a modality, X are the frozen tower's pooled vectors and A the vectors behind the projection, both less their mean over the batch and made
//! unit vectors. P(X) = softmax(X Xᵀ / τ) by rows says where a walk goes from each item, P(X)ˡ where it is after l steps. The loss is the mean over levels
//! l = 1 … L, weighted by 1/l, of the Jensen–Shannon divergence of P(X)ˡ and P(A)ˡ, the mean over rows.

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
    /// τ, by which cosines are divided.
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

    /// The loss of a modality, a scalar in nats, from 0 to ln 2 a level; `None` where fewer than two items have features.
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
        let mut weights = 1.0;
        for level in 2..=self.levels {
            (p_now, q_now) = (p_now.f_matmul(&p)?, q_now.f_matmul(&q)?);
            let weight = 1.0 / level as f64;
            sum = sum.f_add(&divergence(&p_now, &q_now)?.f_mul_scalar(weight)?)?;
            weights += weight;
        }
        Ok(Some(sum.f_div_scalar(weights)?))
    }

    /// `[n, W]` → `[n, n]`: where one step goes from each item.
    fn steps(&self, vectors: &Tensor) -> Result<Tensor> {
        let kind = vectors.kind();
        let centred = vectors.f_sub(&vectors.f_mean_dim([0i64].as_slice(), true, kind)?)?;
        let norm = centred.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
        let unit = centred.f_div(&norm)?;
        let cosines = unit.f_matmul(&unit.f_transpose(0, 1)?)?;
        Ok(cosines.f_div_scalar(self.temperature)?.f_softmax(1, kind)?)
    }
}

/// Jensen–Shannon divergence of rows, their mean, in nats.
fn divergence(p: &Tensor, q: &Tensor) -> Result<Tensor> {
    // A logarithm of nothing has no gradient; what is so small counts for nothing.
    let log = |t: &Tensor| t.f_clamp_min(1e-30)?.f_log();
    let middle = log(&p.f_add(q)?.f_mul_scalar(0.5)?)?;
    let from = |t: &Tensor| t.f_mul(&log(t)?.f_sub(&middle)?)?.f_sum(t.kind());
    let rows = p.size2()?.0 as f64;
    Ok(from(p)?.f_add(&from(q)?)?.f_mul_scalar(0.5 / rows)?)
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
            let mean: Vec<f64> = (0..w).map(|k| rows.iter().map(|r| r[k]).sum::<f64>() / n as f64).collect();
            let unit = |r: &Vec<f64>| {
                let c: Vec<f64> = r.iter().zip(&mean).map(|(a, b)| a - b).collect();
                let norm = c.iter().map(|v| v * v).sum::<f64>().sqrt();
                c.into_iter().map(|v| v / norm).collect::<Vec<f64>>()
            };
            let u: Vec<Vec<f64>> = rows.iter().map(unit).collect();
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
        let (mut sum, mut weights) = (0.0, 0.0);
        for level in 1..=levels {
            let mut js = 0.0;
            for (p, q) in pl.iter().flatten().zip(ql.iter().flatten()) {
                let m = (p + q) / 2.0;
                js += 0.5 * (p * (p / m).ln() + q * (q / m).ln());
            }
            sum += js / p.len() as f64 / level as f64;
            weights += 1.0 / level as f64;
            (pl, ql) = (times(&pl, &p), times(&ql, &q));
        }
        sum / weights
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
        // A turn and a stretch bend nothing.
        assert!(loss(&(&rounded * 3.0 + 1.0)).double_value(&[]).abs() < 1e-9);
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
