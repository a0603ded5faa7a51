//! Rotary positions (Su et al. 2021): queries and keys are turned by angles that grow with their places, so that scores depend on
//! distances.

use crate::Result;
use crate::config::RotaryConfig;
use tch::{Device, Kind, Tensor};

/// The angles of one head.
#[derive(Debug, Clone)]
pub struct Rotary {
    base: f64,
    /// How many of a head's features are turned, from the first on; even.
    turned: i64,
}

impl Rotary {
    /// For heads of `head_width` features.
    pub fn new(c: &RotaryConfig, head_width: i64) -> Self {
        let share = (head_width as f64 * c.share).round() as i64;
        Self { base: c.base, turned: share - share % 2 }
    }

    /// For the `t` places from `first` on.
    ///
    /// # Errors
    /// libtorch's.
    pub fn places(&self, first: i64, t: i64, device: Device) -> Result<Rotation> {
        self.at(&Tensor::f_arange_start(first, first + t, (Kind::Float, device))?)
    }

    /// For `positions` `[T]`, or `[B, 1, T]` where the samples of a batch have their own.
    ///
    /// # Errors
    /// libtorch's.
    pub fn at(&self, positions: &Tensor) -> Result<Rotation> {
        let speeds: Vec<f32> = (0..self.turned / 2)
            .map(|i| self.base.powf(-2.0 * i as f64 / self.turned as f64) as f32)
            .collect();
        let speeds = Tensor::f_from_slice(&speeds)?.f_to_device(positions.device())?;
        let angles = positions.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?.f_mul(&speeds)?;
        let angles = Tensor::f_cat(&[&angles, &angles], -1)?;
        Ok(Rotation { cos: angles.f_cos()?, sin: angles.f_sin()?, turned: self.turned })
    }
}

/// The angles of some places, as they are applied.
#[derive(Debug)]
pub struct Rotation {
    /// `[.., T, D]` of the features that are turned.
    cos: Tensor,
    sin: Tensor,
    turned: i64,
}

impl Rotation {
    /// The same angles.
    pub(crate) fn shallow_clone(&self) -> Self {
        Self { cos: self.cos.shallow_clone(), sin: self.sin.shallow_clone(), turned: self.turned }
    }

    /// Queries or keys `[B, H, T, D]`, turned: a feature of the first half together with that of the second half, as LLaMA and
    /// GPT-NeoX do.
    ///
    /// # Errors
    /// libtorch's, for another number of places.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (d, half) = (x.size().last().copied().unwrap_or(0), self.turned / 2);
        let part = x.f_narrow(-1, 0, self.turned)?;
        let (a, b) = (part.f_narrow(-1, 0, half)?, part.f_narrow(-1, half, half)?);
        let across = Tensor::f_cat(&[&b.f_neg()?, &a], -1)?;
        let turned = part.f_mul(&self.cos)?.f_add(&across.f_mul(&self.sin)?)?;
        if self.turned == d {
            return Ok(turned);
        }
        Ok(Tensor::f_cat(&[&turned, &x.f_narrow(-1, self.turned, d - self.turned)?], -1)?)
    }
}
