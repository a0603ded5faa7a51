//! From tokens `[B, T, W]` to one vector `[B, W]`.

use crate::config::Pooling;
use crate::layers::Linear;
use crate::{Result, Scope};
use tch::{Kind, Tensor};

/// A pooling with its parameters, if it has any.
#[derive(Debug)]
pub struct Pool {
    kind: Pooling,
    scores: Option<Linear>,
    heads: i64,
}

impl Pool {
    pub fn new(scope: &Scope, kind: Pooling, width: i64, heads: i64) -> Result<Self> {
        // Scores start near zero: attention pooling starts as the mean.
        let scores = match kind {
            Pooling::Attention => Some(Linear::new(&scope.child("scores"), width, heads, true, 0.02)?),
            _ => None,
        };
        Ok(Self { kind, scores, heads })
    }

    /// `tokens` `[B, T, W]`, `mask` `[B, T]` bool (true = real; `None` = all real) → `[B, W]`.
    pub fn forward(&self, tokens: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (b, t, w) = tokens.size3()?;
        match (self.kind, mask) {
            (Pooling::First, _) | (Pooling::Last, None) => {
                Ok(tokens.f_select(1, if self.kind == Pooling::First { 0 } else { t - 1 })?)
            }
            (Pooling::Mean, None) => Ok(tokens.f_mean_dim([1i64].as_slice(), false, Kind::Float)?),
            (Pooling::Mean, Some(mask)) => {
                let m = mask.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
                let sum = tokens.f_mul(&m)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
                Ok(sum
                    .f_div(&m.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_clamp_min(1.0)?)?)
            }
            (Pooling::Last, Some(mask)) => {
                let last = mask
                    .f_sum_dim_intlist([1i64].as_slice(), true, Kind::Int64)?
                    .f_sub_scalar(1)?
                    .f_clamp_min(0)?;
                let index = last.f_unsqueeze(-1)?.f_expand([b, 1, w], false)?;
                Ok(tokens.f_gather(1, &index, false)?.f_squeeze_dim(1)?)
            }
            (Pooling::Attention, mask) => {
                let Some(layer) = &self.scores else {
                    return Err(crate::Error::config("pooling", "attention pooling without scores"));
                };
                let mut scores = layer.forward(tokens)?;
                if let Some(mask) = mask {
                    scores =
                        scores.f_masked_fill(&mask.f_logical_not()?.f_unsqueeze(-1)?, f64::NEG_INFINITY)?;
                }
                let weights = scores.f_softmax(1, Kind::Float)?; // [B, T, H]
                let values = tokens.f_view([b, t, self.heads, w / self.heads])?;
                let pooled = values.f_mul(&weights.f_unsqueeze(-1)?)?;
                Ok(pooled.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_reshape([b, w])?)
            }
        }
    }
}
