//! One direction of InfoNCE with all that can be asked of it: mined negatives behind the batch's own, and more weight on the hard ones.

use super::positives::Positives;
use super::tiled::narrow;
use crate::Result;
use std::ops::Range;
use tch::Tensor;
use unisono_torch_ext::checkpoint;

/// What stands in place of a logit that is left out. Not −∞, whose differences are no numbers.
const OUT: f64 = -1e30;

/// Rows that each find their own among columns, the first of which are the rows' own partners.
#[derive(Clone)]
pub(super) struct Direction {
    /// Which of them belong together.
    pub(super) positives: Positives,
    /// Share of each target spread evenly over the batch.
    pub(super) smoothing: f64,
    /// How much hard negatives outweigh easy ones; 0: not.
    pub(super) beta: f64,
}

impl Direction {
    /// The sum of the losses of the rows `block` of all rows `x`; `again`: nothing of it is kept, it is made again when the backward pass comes to it.
    pub(super) fn block(
        &self,
        (x, y, factor): (&Tensor, &Tensor, &Tensor),
        block: &Range<i64>,
        again: bool,
    ) -> Result<Tensor> {
        let rows = narrow(x, block)?;
        if !again {
            return self.rows(&rows, y, factor, block);
        }
        let (direction, block) = (self.clone(), block.clone());
        checkpoint(&[&rows, y, factor], &[], move |given: &[Tensor]| match given {
            [x, y, factor] => direction.rows(x, y, factor, &block),
            _ => super::refuse::arguments(),
        })
    }

    /// The sum of the losses of a block of rows. `x`: `[T, D]`, the rows `block` of all; `y`: `[m, D]`; `factor`: a scalar.
    pub(super) fn rows(&self, x: &Tensor, y: &Tensor, factor: &Tensor, block: &Range<i64>) -> Result<Tensor> {
        let z = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul(factor)?;
        let (n, (_, m), kind) = (self.positives.shares.size1()?, z.size2()?, z.kind());
        // A mined negative that is a positive is left out of everything.
        let same = self.positives.mask(block, &(0..m))?;
        let own = same.f_narrow(1, 0, n)?;
        let sum = |t: &Tensor| t.f_sum_dim_intlist([1i64].as_slice(), false, kind);
        let shares = self.positives.shares.f_narrow(0, block.start, block.end - block.start)?;
        let partners = z.f_narrow(1, 0, n)?;
        let mut right = sum(&partners.f_mul(&own)?)?.f_mul(&shares)?.f_mul_scalar(1.0 - self.smoothing)?;
        if self.smoothing > 0.0 {
            right = right.f_add(&sum(&partners)?.f_mul_scalar(self.smoothing / n as f64)?)?;
        }
        let dim = [1i64];
        let positive = partners.f_masked_fill(&own.f_logical_not()?, OUT)?.f_logsumexp(dim, false)?;
        let negatives = z.f_masked_fill(&same, OUT)?;
        let wrong = if self.beta > 0.0 {
            let count = sum(&same.f_logical_not()?)?.f_clamp_min(1)?.f_log()?;
            let weighted = negatives.f_mul_scalar(1.0 + self.beta)?.f_logsumexp(dim, false)?;
            let weights = negatives.f_mul_scalar(self.beta)?.f_logsumexp(dim, false)?;
            weighted.f_sub(&weights)?.f_add(&count)?
        } else {
            negatives.f_logsumexp(dim, false)?
        };
        Ok(positive.f_logaddexp(&wrong)?.f_sub(&right)?.f_sum(kind)?)
    }
}
