//! InfoNCE by tiles: the logarithms' sums of rows and columns forward, the matrix's gradient tile by tile backward.

use super::positives::Positives;
use super::tiled::{Tiled, narrow, parts};
use crate::Result;
use std::collections::HashSet;
use std::ops::Range;
use tch::{Kind, Tensor};

/// Logits up to this need no maximum taken from them: exp(±60) and sums of a billion such are far within fp32.
const REACH: f64 = 60.0;

/// Both directions of InfoNCE over `[x, y, factor]`: `[n, D]` each, and a scalar.
pub(super) struct Softmax {
    positives: Positives,
    smoothing: f64,
    tile: i64,
    /// The tiles with positives.
    touched: HashSet<(i64, i64)>,
}

/// What the exponentials along one side add up to.
pub(super) struct Sums {
    /// `[n]`: the largest logit, which was taken from each; `None`: nothing was.
    most: Option<Tensor>,
    /// `[n]`.
    sum: Tensor,
    /// `[n]`: the sum of the positives' logits.
    right: Tensor,
}

impl Sums {
    fn new(like: &Tensor, shifted: bool) -> Result<Self> {
        let n = like.size().first().copied().unwrap_or(0);
        let options = (like.kind(), like.device());
        let most = shifted.then(|| Tensor::f_full([n], f64::NEG_INFINITY, options)).transpose()?;
        Ok(Self { most, sum: Tensor::f_zeros([n], options)?, right: Tensor::f_zeros([n], options)? })
    }

    /// Adds a tile's logits, whose exponentials along `dim` are summed; without a maximum `tile` are the exponentials.
    fn add(&mut self, part: &Range<i64>, tile: &Tensor, dim: i64) -> Result<()> {
        let mut sum = narrow(&self.sum, part)?;
        let kind = tile.kind();
        if let Some(most) = &self.most {
            let mut most = narrow(most, part)?;
            let now = most.f_maximum(&tile.f_amax([dim], false)?)?;
            let _ = sum.f_mul_(&most.f_sub(&now)?.f_exp()?)?;
            let moved = tile.f_sub(&now.f_unsqueeze(dim)?)?.f_exp_()?;
            let _ = sum.f_add_(&moved.f_sum_dim_intlist([dim].as_slice(), false, kind)?)?;
            most.f_copy_(&now)?;
        } else {
            let _ = sum.f_add_(&tile.f_sum_dim_intlist([dim].as_slice(), false, kind)?)?;
        }
        Ok(())
    }

    /// `[n]` fp64: the logarithm of the sum, less what is right of it: `share` of the positives' logits.
    fn losses(&self, share: &Tensor) -> Result<Tensor> {
        let log = self.sum.f_to_kind(Kind::Double)?.f_log()?;
        let log = match &self.most {
            // The difference of the two large ones first: where a row's own is its largest, it is nothing.
            Some(most) => log.f_add(&most.f_sub(&self.right.f_mul(share)?)?)?,
            None => log.f_sub(&self.right.f_mul(share)?)?,
        };
        Ok(log)
    }
}

impl Softmax {
    pub(super) fn new(positives: Positives, smoothing: f64, tile: i64) -> Self {
        let touched = positives.touched(tile);
        Self { positives, smoothing, tile, touched }
    }

    /// All tiles, with whether they have positives.
    fn tiles(&self, n: i64) -> impl Iterator<Item = (Range<i64>, Range<i64>, bool)> {
        let each = parts(n, self.tile).flat_map(move |r| parts(n, self.tile).map(move |c| (r.clone(), c)));
        each.map(|(r, c)| {
            let touched = self.touched.contains(&(r.start / self.tile, c.start / self.tile));
            (r, c, touched)
        })
    }
}

/// The logits of a tile.
fn logits(xs: &Tensor, y: &Tensor, (rows, columns): (&Range<i64>, &Range<i64>)) -> Result<Tensor> {
    Ok(narrow(xs, rows)?.f_mm(&narrow(y, columns)?.f_transpose(0, 1)?)?)
}

impl Tiled for Softmax {
    type Kept = [Sums; 2];

    fn value(&self, given: &[Tensor]) -> Result<(Tensor, Self::Kept)> {
        let [x, y, factor] = given else { return super::refuse::arguments() };
        let (n, kind) = (x.size2()?.0, x.kind());
        let longest = |t: &Tensor| -> Result<f64> {
            Ok(t.f_norm_scalaropt_dim(2, [1i64].as_slice(), false)?.f_max()?.f_double_value(&[])?)
        };
        let reach = factor.f_double_value(&[])?.abs() * longest(x)? * longest(y)?;
        let shifted = reach > REACH;
        let xs = x.f_mul(factor)?;
        let (mut rows, mut columns) = (Sums::new(x, shifted)?, Sums::new(y, shifted)?);
        for (r, c, touched) in self.tiles(n) {
            let mut z = logits(&xs, y, (&r, &c))?;
            if touched {
                let right = z.f_mul(&self.positives.mask(&r, &c)?)?;
                for (sums, part, dim) in [(&rows, &r, 1i64), (&columns, &c, 0)] {
                    let all = right.f_sum_dim_intlist([dim].as_slice(), false, kind)?;
                    let _ = narrow(&sums.right, part)?.f_add_(&all)?;
                }
            }
            if !shifted {
                z = z.f_exp_()?;
            }
            rows.add(&r, &z, 1)?;
            columns.add(&c, &z, 0)?;
        }
        let share = self.positives.shares.f_mul_scalar(1.0 - self.smoothing)?;
        let mut all = rows.losses(&share)?.f_add(&columns.losses(&share)?)?.f_sum(Kind::Double)?;
        if self.smoothing > 0.0 {
            // All logits add up to one product.
            let sum = |t: &Tensor| t.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
            let spread = sum(&xs)?.f_dot(&sum(y)?)?;
            all = all.f_sub(&spread.f_mul_scalar(2.0 * self.smoothing / n as f64)?)?;
        }
        Ok((all.f_mul_scalar(0.5 / n as f64)?.f_to_kind(kind)?, [rows, columns]))
    }

    fn gradients(&self, given: &[Tensor], kept: &Self::Kept) -> Result<Vec<Tensor>> {
        let [x, y, factor] = given else { return super::refuse::arguments() };
        let ([rows, columns], (n, kind)) = (kept, (x.size2()?.0, x.kind()));
        let xs = x.f_mul(factor)?;
        // Of the mean over rows and directions: what each exponential counts.
        let each = 0.5 / n as f64;
        let [a, b] =
            [rows, columns].map(|sums| Ok::<_, crate::Error>(sums.sum.f_reciprocal()?.f_mul_scalar(each)?));
        let (a, b) = (a?.f_unsqueeze(1)?, b?);
        let shares = self.positives.shares.f_mul_scalar((1.0 - self.smoothing) * each)?;
        let (of_x, of_y) = (x.f_zeros_like()?, y.f_zeros_like()?);
        let wants_y = y.requires_grad();
        for (r, c, touched) in self.tiles(n) {
            let mut z = logits(&xs, y, (&r, &c))?;
            let (a, b) = (narrow(&a, &r)?, narrow(&b, &c)?);
            let mut g = match (&rows.most, &columns.most) {
                (Some(row), Some(column)) => {
                    let by_row = z.f_sub(&narrow(row, &r)?.f_unsqueeze(1)?)?.f_exp_()?.f_mul_(&a)?;
                    let by_column = z.f_sub_(&narrow(column, &c)?)?.f_exp_()?.f_mul_(&b)?;
                    by_column.f_add(&by_row)?
                }
                _ => z.f_exp_()?.f_mul_(&a.f_add(&b)?)?,
            };
            if touched {
                let share = narrow(&shares, &r)?.f_unsqueeze(1)?.f_add(&narrow(&shares, &c)?)?;
                g = g.f_sub_(&share.f_mul(&self.positives.mask(&r, &c)?)?)?;
            }
            if self.smoothing > 0.0 {
                g = g.f_sub_scalar_(2.0 * each * self.smoothing / n as f64)?;
            }
            let _ = narrow(&of_x, &r)?.f_addmm_(&g, &narrow(y, &c)?)?;
            if wants_y {
                let _ = narrow(&of_y, &c)?.f_addmm_(&g.f_transpose(0, 1)?, &narrow(&xs, &r)?)?;
            }
        }
        // A logit is factor · x · y: what x gets, times x, is what the factor gets.
        let of_factor = x.f_mul(&of_x)?.f_sum(Kind::Double)?.f_to_kind(kind)?.f_view_as(factor)?;
        Ok(vec![of_x.f_mul(factor)?, of_y, of_factor])
    }
}
