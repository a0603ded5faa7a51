//! How alike a frame is to those around it: by what the stages see in it, and by its colours.

use crate::config::TransNetConfig;
use tch::{Kind, Tensor};
use unisono_nn::Linear;
use unisono_nn::{Result, Scope};

/// Colours are counted in eight steps of red, green and blue.
const BINS: i64 = 512;

/// Comparisons of the stages' features, averaged over the image.
#[derive(Debug)]
pub(crate) struct Similarity {
    projection: Linear,
    fc: Linear,
    lookup: i64,
}

impl Similarity {
    pub(crate) fn new(scope: &Scope, c: &TransNetConfig) -> Result<Self> {
        let width: i64 = (0..c.stages).map(|s| c.channels(s)).sum();
        let std = |n: i64| (n as f64).powf(-0.5);
        Ok(Self {
            projection: Linear::new(&scope.child("projection"), width, c.similarity, true, std(width))?,
            fc: Linear::new(&scope.child("fc"), c.lookup, c.compared, true, std(c.lookup))?,
            lookup: c.lookup,
        })
    }

    /// The stages' features over the image, `[B, T, C]` each → `[B, T, compared]`.
    pub(crate) fn forward(&self, features: &[Tensor]) -> Result<Tensor> {
        let x = self.projection.forward(&Tensor::f_cat(features, 2)?)?;
        Ok(self.fc.forward(&around(&x, self.lookup)?)?.f_relu()?)
    }
}

/// Comparisons of colours.
#[derive(Debug)]
pub(crate) struct Histogram {
    fc: Linear,
    lookup: i64,
}

impl Histogram {
    pub(crate) fn new(scope: &Scope, c: &TransNetConfig) -> Result<Self> {
        let std = (c.lookup as f64).powf(-0.5);
        Ok(Self { fc: Linear::new(&scope.child("fc"), c.lookup, c.compared, true, std)?, lookup: c.lookup })
    }

    /// Frames `[B, T, H, W, 3]` of bytes → `[B, T, compared]`.
    pub(crate) fn forward(&self, frames: &Tensor) -> Result<Tensor> {
        Ok(self.fc.forward(&around(&histograms(frames)?, self.lookup)?)?.f_relu()?)
    }
}

/// Frames `[B, T, H, W, 3]` of bytes → how often each colour is in them, `[B, T, 512]`.
pub(crate) fn histograms(frames: &Tensor) -> Result<Tensor> {
    let [b, t, h, w, _] = frames.size()[..] else {
        return Err(unisono_nn::Error::Input(format!(
            "expected frames [B, T, H, W, 3], found {:?}",
            frames.size()
        )));
    };
    let steps = frames.f_floor_divide_scalar(32)?.f_to_kind(Kind::Int64)?.f_view([b * t, h * w, 3])?;
    let (red, green, blue) = (steps.f_select(2, 0)?, steps.f_select(2, 1)?, steps.f_select(2, 2)?);
    let first =
        Tensor::f_arange(b * t, (Kind::Int64, frames.device()))?.f_mul_scalar(BINS)?.f_unsqueeze(1)?;
    let bins = red.f_mul_scalar(64)?.f_add(&green.f_mul_scalar(8)?)?.f_add(&blue)?.f_add(&first)?;
    let counts = bins.f_view([-1])?.f_bincount(None::<&Tensor>, b * t * BINS)?;
    Ok(counts.f_view([b, t, BINS])?.f_to_kind(Kind::Float)?)
}

/// Cosines of each frame's `[B, T, N]` with the `lookup` frames around it, zeros where there are none: `[B, T, lookup]`.
fn around(x: &Tensor, lookup: i64) -> Result<Tensor> {
    let norm = x.f_norm_scalaropt_dim(2, [2i64].as_slice(), true)?.f_clamp_min(1e-12)?;
    let x = x.f_div(&norm)?;
    let (b, t, _) = x.size3()?;
    let all = x.f_bmm(&x.f_transpose(1, 2)?)?;
    let half = (lookup - 1) / 2;
    // Row t of the padded square starts `half` before frame 0: the frames around t start t further on.
    let padded = all.f_constant_pad_nd([half, half])?.f_contiguous()?;
    let row = t + lookup - 1;
    Ok(padded.f_as_strided([b, t, lookup], [t * row, row + 1, 1], None)?)
}
