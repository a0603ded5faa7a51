//! How a space looks (Wang & Isola 2020), measured beside the losses: alignment, how far the two of a pair are apart, and uniformity, how evenly
//! vectors lie on the sphere. Both fall as training goes well; uniformity that rises is a space that collapses.

use super::View;
use super::items::{together, working};
use crate::Result;
use tch::Tensor;

/// Items that are looked at, the first of a batch: the work is that of a matrix of this side.
const LOOKED_AT: i64 = 256;

/// The mean of ‖x − y‖² over the items that have both, from 0 to 4; `None` where fewer than two do.
pub(super) fn alignment(a: &View, b: &View) -> Result<Option<f64>> {
    let Some((x, y, _)) = together(a, b)? else { return Ok(None) };
    let kind = working(&x);
    let apart = x.f_detach()?.f_sub(&y.f_detach()?)?.f_to_kind(kind)?.f_square()?;
    Ok(Some(apart.f_sum(kind)?.f_double_value(&[])? / x.size2()?.0 as f64))
}

/// log of the mean of exp(−2 ‖x − y‖²) over all two of the first items; `None` where there are fewer than two.
pub(super) fn uniformity(view: &View) -> Result<Option<f64>> {
    let n = view.vectors.size2()?.0.min(LOOKED_AT);
    if n < 2 {
        return Ok(None);
    }
    let x = view.vectors.f_detach()?.f_narrow(0, 0, n)?;
    let x = x.f_to_kind(working(&x))?;
    // Of unit vectors ‖x − y‖² is 2 − 2 x · y.
    let near: Tensor = x.f_matmul(&x.f_transpose(0, 1)?)?.f_mul_scalar(4.0)?.f_sub_scalar(4.0)?.f_exp()?;
    let trace = near.f_trace()?.f_double_value(&[])?;
    let sum = near.f_sum(x.kind())?.f_double_value(&[])?;
    Ok(Some(((sum - trace) / (n * (n - 1)) as f64).ln()))
}

#[cfg(test)]
mod tests {
    use super::super::items::tests::unit;
    use super::*;

    #[test]
    fn equal_the_definitions() {
        let view = |seed, rows: Vec<usize>| View { vectors: unit(rows.len() as i64, 3, seed), rows };
        let (a, b) = (view(1, vec![0, 1, 2, 3]), view(2, vec![1, 2, 3]));
        let row = |v: &View, i: i64| Vec::<f64>::try_from(v.vectors.select(0, i)).unwrap();
        let apart = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let want = (0..3).map(|i| apart(&row(&a, i + 1), &row(&b, i))).sum::<f64>() / 3.0;
        assert!((alignment(&a, &b).unwrap().unwrap() - want).abs() < 1e-12);
        let pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
        let mean =
            pairs.iter().map(|(i, j)| (-2.0 * apart(&row(&a, *i), &row(&a, *j))).exp()).sum::<f64>() / 6.0;
        assert!((uniformity(&a).unwrap().unwrap() - mean.ln()).abs() < 1e-12);
        assert!(uniformity(&view(1, vec![4])).unwrap().is_none());
        assert!(alignment(&a, &view(2, vec![0, 9])).unwrap().is_none());
    }
}
