//! `kind = "sigmoid"`: every pair of a batch by itself belongs together or does not (Zhai et al. 2023).

use super::items::{together, working};
use super::pair::one;
use super::positives::Positives;
use super::tiled::{Tiled, narrow, parts};
use super::{Items, Pair, View, tiled};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::Range;
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
    /// Items are told from those of their own source only (`[[data]]`), not from the whole batch, as trainers of homogeneous batches have it: telling
    /// drawings from photographs, or one data set's way of writing from another's, teaches little. The loss is the mean over all rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_source: bool,
    /// Matryoshka (Kusupati et al. 2022): the same loss, of the first so many numbers of the vectors, made unit vectors; a loss for each width.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dims: Vec<i64>,
    /// The weights of these losses beside the whole vectors'; empty: 1 each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dim_weights: Vec<f64>,
    /// The matrix of similarities is made in tiles of this side, never whole; 0: whole. Without the key it is tiled from 2,049 items on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
}

impl Default for Sigmoid {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            weight: one(),
            by_source: false,
            dims: Vec::new(),
            dim_weights: Vec::new(),
            tile: None,
        }
    }
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
        let (n, kind, device) = (rows.len(), working(&x), x.device());
        if let Some(tile) = tiled::side(n, self.tile, (kind, device)) {
            let positives = Positives::new(items, (&rows, &rows), &[], (kind, device))?;
            let touched = positives.touched(tile);
            let given = [&x, &y, &scale.f_exp()?, bias].map(|t| t.f_to_kind(kind));
            let given = given.into_iter().collect::<Result<Vec<_>, _>>()?;
            let given: Vec<&Tensor> = given.iter().collect();
            return tiled::loss(&given, Tiles { positives, tile, touched }).map(Some);
        }
        let logits = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul(&scale.f_exp()?)?.f_add(bias)?;
        let sign = |at: usize| if items.positive(rows[at / n], rows[at % n]) { 1f32 } else { -1f32 };
        let signs: Vec<f32> = (0..n * n).map(sign).collect();
        let signs = Tensor::f_from_slice(&signs)?.f_view([n as i64, n as i64])?;
        let right = logits.f_mul(&signs.f_to_device(device)?)?.f_log_sigmoid()?;
        Ok(Some(right.f_sum(kind)?.f_mul_scalar(-1.0 / n as f64)?))
    }
}

/// The loss of `[x, y, factor, bias]`, tile by tile: `[n, D]` each, and scalars.
struct Tiles {
    positives: Positives,
    tile: i64,
    /// The tiles with positives.
    touched: HashSet<(i64, i64)>,
}

impl Tiles {
    /// Calls `each` with the logits of every tile, positives' signs turned: all of them are to be small. With it come the positives, where there are any.
    fn each(
        &self,
        (xs, y, bias): (&Tensor, &Tensor, &Tensor),
        mut each: impl FnMut(Tensor, Option<Tensor>, (&Range<i64>, &Range<i64>)) -> Result<()>,
    ) -> Result<()> {
        let n = xs.size2()?.0;
        for r in parts(n, self.tile) {
            for c in parts(n, self.tile) {
                let mut z = narrow(xs, &r)?.f_mm(&narrow(y, &c)?.f_transpose(0, 1)?)?.f_add_(bias)?;
                let mut positive = None;
                if self.touched.contains(&(r.start / self.tile, c.start / self.tile)) {
                    let mask = self.positives.mask(&r, &c)?;
                    z = z.f_neg()?.f_where_self(&mask, &z)?;
                    positive = Some(mask);
                }
                each(z, positive, (&r, &c))?;
            }
        }
        Ok(())
    }
}

impl Tiled for Tiles {
    /// Nothing: every logit is a question of its own.
    type Kept = ();

    fn value(&self, given: &[Tensor]) -> Result<(Tensor, ())> {
        let [x, y, factor, bias] = given else { return super::refuse::arguments() };
        let mut sum = Tensor::f_zeros([0i64; 0].as_slice(), (Kind::Double, x.device()))?;
        self.each((&x.f_mul(factor)?, y, bias), |z, _, _| {
            let _ = sum.f_add_(&z.f_softplus()?.f_sum(z.kind())?)?;
            Ok(())
        })?;
        Ok((sum.f_div_scalar(x.size2()?.0 as f64)?.f_to_kind(x.kind())?, ()))
    }

    fn gradients(&self, given: &[Tensor], (): &()) -> Result<Vec<Tensor>> {
        let [x, y, factor, bias] = given else { return super::refuse::arguments() };
        let (n, kind, wants_y) = (x.size2()?.0, x.kind(), y.requires_grad());
        let xs = x.f_mul(factor)?;
        let (of_x, of_y) = (x.f_zeros_like()?, y.f_zeros_like()?);
        let mut of_bias = Tensor::f_zeros([0i64; 0].as_slice(), (Kind::Double, x.device()))?;
        self.each((&xs, y, bias), |mut z, positive, (r, c)| {
            let mut g = z.f_sigmoid_()?;
            if let Some(positive) = positive {
                g = g.f_neg()?.f_where_self(&positive, &g)?;
            }
            let _ = of_bias.f_add_(&g.f_sum(kind)?)?;
            let _ = narrow(&of_x, r)?.f_addmm_(&g, &narrow(y, c)?)?;
            if wants_y {
                let _ = narrow(&of_y, c)?.f_addmm_(&g.f_transpose(0, 1)?, &narrow(&xs, r)?)?;
            }
            Ok(())
        })?;
        let each = 1.0 / n as f64;
        let of_factor = x.f_mul(&of_x)?.f_sum(Kind::Double)?.f_mul_scalar(each)?;
        let of_bias = of_bias.f_mul_scalar(each)?.f_to_kind(kind)?.f_view_as(bias)?;
        Ok(vec![
            of_x.f_mul(factor)?.f_mul_scalar(each)?,
            of_y.f_mul_scalar(each)?,
            of_factor.f_to_kind(kind)?.f_view_as(factor)?,
            of_bias,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::items::tests::unit;

    #[test]
    fn equals_a_naive_loss_with_several_positives() {
        let items = Items {
            labels: vec![1, 2, 1, 3],
            texts: vec![Some(9), Some(8), None, Some(9)],
            ..Items::default()
        };
        let rows = vec![0, 1, 2, 3];
        let (x, y) = (unit(4, 3, 1), unit(4, 3, 2));
        let view = |vectors: &Tensor| View { vectors: vectors.shallow_clone(), rows: rows.clone() };
        let (log, bias) = (1.2f64, -3.0f64);
        let term = Sigmoid::default();
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
