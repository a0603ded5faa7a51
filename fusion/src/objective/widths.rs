//! Matryoshka (Kusupati et al. 2022): vectors whose beginnings are vectors, too.

use super::View;
use super::refuse::refuse;
use crate::Result;

/// The first `width` numbers of each vector, made unit vectors again.
pub(super) fn beginning(view: &View, width: i64) -> Result<View> {
    let part = view.vectors.f_narrow(1, 0, width)?;
    // As the towers' own vectors are made: a vector of zeros stays one.
    let norm = part.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
    Ok(View { vectors: part.f_div(&norm)?, rows: view.rows.clone() })
}

/// Refuses widths that do not ascend, and weights that are none, or not one a width.
pub(super) fn check(at: &dyn Fn(&str) -> String, dims: &[i64], weights: &[f64]) -> Result<()> {
    if dims.first().is_some_and(|first| *first < 1) || dims.windows(2).any(|w| w[0] >= w[1]) {
        return refuse(&at("dims"), &format!("expected widths of at least 1 that ascend, found {dims:?}"));
    }
    let sound = weights.iter().all(|w| w.is_finite() && *w > 0.0);
    if !sound || !(weights.is_empty() || weights.len() == dims.len()) {
        let message = format!(
            "expected a positive weight for each of the {} dims, or none at all, found {weights:?}",
            dims.len()
        );
        return refuse(&at("dim_weights"), &message);
    }
    Ok(())
}
