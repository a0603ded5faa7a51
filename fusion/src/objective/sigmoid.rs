//! `kind = "sigmoid"`: every pair of a batch by itself belongs together or does not (Zhai et al. 2023).

use super::items::together;
use super::pair::one;
use super::{Items, Pair, View};
use crate::Result;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Each pair of items is a question of its own, answered by a sigmoid; for models with a bias (`logit_bias` of their configuration).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {
    /// Pairs of modalities; empty: every pair that the model has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    /// Factor on each pair's loss; 0 leaves the term out.
    #[serde(default = "one")]
    pub weight: f64,
}

impl Sigmoid {
    /// The loss of a pair of modalities, summed over columns and averaged over rows, a scalar in nats; `None` where fewer than two items
    /// have both. `scale`: the logarithm of the factor on cosines; `bias`: what is added to them.
    ///
    /// # Errors
    /// libtorch's.
    pub fn loss(
        &self,
        a: &View,
        b: &View,
        items: &Items,
        scale: &Tensor,
        bias: &Tensor,
    ) -> Result<Option<Tensor>> {
        let Some((x, y, rows)) = together(a, b)? else { return Ok(None) };
        let logits = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul(&scale.f_exp()?)?.f_add(bias)?;
        let n = rows.len();
        let sign = |at: usize| if items.positive(rows[at / n], rows[at % n]) { 1f32 } else { -1f32 };
        let signs: Vec<f32> = (0..n * n).map(sign).collect();
        let signs = Tensor::f_from_slice(&signs)?.f_view([n as i64, n as i64])?;
        let right = logits.f_mul(&signs.f_to_device(logits.device())?)?.f_log_sigmoid()?;
        Ok(Some(right.f_sum(Kind::Float)?.f_mul_scalar(-1.0 / n as f64)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::items::tests::unit;

    #[test]
    fn equals_a_naive_loss_with_several_positives() {
        let items = Items { labels: vec![1, 2, 1, 3], texts: vec![Some(9), Some(8), None, Some(9)] };
        let rows = vec![0, 1, 2, 3];
        let (x, y) = (unit(4, 3, 1), unit(4, 3, 2));
        let view = |vectors: &Tensor| View { vectors: vectors.shallow_clone(), rows: rows.clone() };
        let (log, bias) = (1.2f64, -3.0f64);
        let term = Sigmoid { pairs: Vec::new(), weight: 1.0 };
        let found = term.loss(&view(&x), &view(&y), &items, &Tensor::from(log), &Tensor::from(bias));
        let mut want = 0.0;
        for i in 0..4 {
            for j in 0..4 {
                let dot: f64 = (0..3).map(|k| x.double_value(&[i, k]) * y.double_value(&[j, k])).sum();
                let z = if items.positive(i as usize, j as usize) { 1.0 } else { -1.0 };
                want += (1.0 + (-z * (log.exp() * dot + bias)).exp()).ln() / 4.0;
            }
        }
        let found = found.unwrap().unwrap().double_value(&[]);
        assert!((found - want).abs() < 1e-5, "{found} {want}");
    }
}
