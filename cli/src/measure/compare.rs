//! Numbers beside each other.

/// The largest difference of two lists of numbers.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    let largest =
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, |m, d| if d.is_nan() { d } else { m.max(d) });
    if a.len() == b.len() { largest } else { f32::NAN }
}

/// The least cosine of rows of `dim` numbers.
pub(super) fn cosine(a: &[f32], b: &[f32], dim: usize) -> f64 {
    let of = |(a, b): (&[f32], &[f32])| {
        let dot =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-30)
    };
    a.chunks(dim.max(1))
        .zip(b.chunks(dim.max(1)))
        .map(of)
        .fold(1.0, |m, c| if c < m || c.is_nan() { c } else { m })
}

/// What went wrong, as text: the parts have errors of several crates.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_and_cosines() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
        assert!(difference(&[1.0], &[f32::NAN]).is_nan() && difference(&[1.0], &[]).is_nan());
        assert!((cosine(&[1.0, 0.0, 0.0, 2.0], &[2.0, 0.0, 3.0, 3.0], 2) - 0.5f64.sqrt()).abs() < 1e-12);
    }
}
