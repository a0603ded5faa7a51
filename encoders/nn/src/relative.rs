//! A learned bias on attention scores by the distance of the two tokens (Raffel et al. 2020).

use crate::config::TransformerConfig;
use crate::{Init, Result, Scope};
use tch::Tensor;

/// Biases on attention scores by distance.
#[derive(Debug)]
pub(crate) struct Relative {
    /// `[buckets, heads]`.
    weight: Tensor,
    max_distance: i64,
}

impl Relative {
    pub fn new(scope: &Scope, c: &TransformerConfig) -> Result<Option<Self>> {
        let Some(r) = c.relative else { return Ok(None) };
        let weight = scope.child("relative").param("weight", &[r.buckets, c.heads], Init::Normal(0.02))?;
        Ok(Some(Self { weight, max_distance: r.max_distance }))
    }

    /// `[1, H, t, t]`.
    pub fn bias(&self, t: i64) -> Result<Tensor> {
        let (buckets, _) = self.weight.size2()?;
        let index: Vec<i64> = (0..t)
            .flat_map(|query| (0..t).map(move |key| key - query))
            .map(|distance| bucket(distance, buckets, self.max_distance))
            .collect();
        let index = Tensor::f_from_slice(&index)?.f_to_device(self.weight.device())?.f_view([t, t])?;
        let bias = Tensor::f_embedding(&self.weight, &index, -1, false, false)?;
        Ok(bias.f_permute([2, 0, 1])?.f_unsqueeze(0)?.f_contiguous()?)
    }
}

/// The bucket of a distance (key − query), as T5 counts them: later keys in the upper half.
fn bucket(distance: i64, buckets: i64, max_distance: i64) -> i64 {
    let half = buckets / 2;
    let side = if distance > 0 { half } else { 0 };
    let (n, exact) = (distance.abs(), half / 2);
    if n < exact {
        return side + n;
    }
    // In single precision, as the tables were trained.
    let place = ((n as f32 / exact as f32).ln() / (max_distance as f64 / exact as f64).ln() as f32)
        * (half - exact) as f32;
    side + (exact + place as i64).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_t5s() {
        // 32 buckets to 128: 8 exact distances, then logarithmic ones, in each direction.
        let near: Vec<i64> = (-7..=7).map(|d| bucket(d, 32, 128)).collect();
        assert_eq!(near, [7, 6, 5, 4, 3, 2, 1, 0, 17, 18, 19, 20, 21, 22, 23]);
        let far: Vec<i64> = [8, 11, 12, 16, 32, 64, 127, 128, 5000].map(|d| bucket(-d, 32, 128)).to_vec();
        assert_eq!(far, [8, 8, 9, 10, 12, 14, 15, 15, 15]);
        assert_eq!(bucket(5000, 32, 128), 31);
    }
}
