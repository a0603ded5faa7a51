//! Rows of numbers.

use crate::codes::kernel::dot;

/// Vectors in the shared space, `[N, D]` row-major fp32. Those of an embedder have length 1, so that
/// their [`similarity`] is their cosine.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// Width D.
    pub dim: usize,
    /// N · D values.
    pub data: Vec<f32>,
}

impl Vectors {
    /// Number of rows N.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The rows in order, each `[D]`.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.dim.max(1))
    }
}

/// The dot product of two vectors `[D]`; of unit vectors, their cosine. Of two lengths, the shorter counts. The same bits on every processor.
#[inline]
pub fn similarity(a: &[f32], b: &[f32]) -> f32 {
    dot(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_the_dot_product() {
        for n in [0, 1, 15, 16, 17, 100, 512] {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 1.3).cos()).collect();
            let naive: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((f64::from(similarity(&a, &b)) - naive).abs() < 1e-4, "{n}");
        }
        assert_eq!(similarity(&[1.0, 2.0], &[3.0]), 3.0);
    }

    #[test]
    fn rows_of_nothing() {
        let none = Vectors { dim: 0, data: vec![] };
        assert_eq!((none.len(), none.rows().len()), (0, 0));
    }
}
