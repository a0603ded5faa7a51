//! The resampling filters of Pillow.

use serde::{Deserialize, Serialize};

/// The resampling filter, antialiased (but for `nearest`). Names and results are Pillow's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Mean over the pixel's area.
    Box,
    /// Triangle filter.
    Bilinear,
    /// Raised cosine, one lobe.
    Hamming,
    /// Catmull–Rom (a = −0.5).
    Bicubic,
    /// Lanczos, three lobes.
    Lanczos,
}

impl Interpolation {
    /// Half the filter's width at scale 1.
    pub(crate) fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    pub(crate) fn at(self, x: f64) -> f64 {
        use std::f64::consts::PI;
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        let t = x.abs();
        match self {
            // Half open, so that neighbours never share a pixel.
            Self::Nearest | Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - t).max(0.0),
            Self::Hamming if t >= 1.0 => 0.0,
            Self::Hamming => sinc(t) * (0.54 + 0.46 * (t * PI).cos()),
            Self::Bicubic if t < 1.0 => (1.5 * t - 2.5) * t * t + 1.0,
            Self::Bicubic if t < 2.0 => ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0,
            Self::Bicubic => 0.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}
