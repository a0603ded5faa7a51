//! From tokens `[B, T, W]` to one vector `[B, W]`: the final norm and the pooling.

use crate::config::{FinalNorm, Pooling, TransformerConfig};
use crate::{Error, Result};
use tch::{Kind, Tensor};
use unisono_nn::{Attention, AttentionConfig, Init, Linear, Mlp, Norm, Pass, Precision, Scope};

/// The end of every tower.
#[derive(Debug)]
pub struct Head {
    norm: Option<Norm>,
    place: FinalNorm,
    pool: Pool,
    /// BERT's pooler.
    dense: Option<Linear>,
    /// Tokens at the beginning that are not pooled.
    left_out: i64,
}

impl Head {
    /// For tokens from blocks of `c`, the first `prefix` of which are no input's; `dense` adds a linear layer and tanh.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(
        scope: &Scope,
        c: &TransformerConfig,
        pooling: &Pooling,
        prefix: i64,
        dense: bool,
    ) -> Result<Self> {
        let width = pooling.out_width(c.width);
        let norm = match c.final_norm {
            FinalNorm::None => None,
            // Over the tokens, however many vectors are pooled of them.
            FinalNorm::Tokens if matches!(pooling, Pooling::Concat(_)) => {
                Some(Norm::of(&scope.child("norm"), c, c.width)?)
            }
            _ => Some(Norm::of(&scope.child("norm"), c, width)?),
        };
        let std = (width as f64).powf(-0.5);
        Ok(Self {
            norm,
            place: c.final_norm,
            pool: Pool::new(&scope.child("pool"), pooling, c, prefix)?,
            dense: if dense {
                Some(Linear::new(&scope.child("pooler"), width, width, true, std)?)
            } else {
                None
            },
            left_out: 0,
        })
    }

    /// The first `tokens` of every sample are not pooled from here on: those of a prompt.
    pub(crate) fn leave_out(&mut self, tokens: i64) {
        self.left_out = tokens;
    }

    /// Prepares it for inference after blocks of `precision`. A head is small and computes in single precision; what those blocks promise of
    /// a batch it keeps.
    ///
    /// # Errors
    /// libtorch's.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        if let Some(dense) = &mut self.dense {
            dense.prepare_beside(precision)?;
        }
        self.pool.prepare(precision)
    }

    /// What the blocks give `[B, T, W]`, `mask` `[B, T]` bool (true = real; `None` = all), `at` `[B]` int64 where the pooling
    /// goes by token ids → the tower's tokens and pooled vectors.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(
        &self,
        tokens: Tensor,
        mask: Option<&Tensor>,
        at: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let normed = |x: Tensor| match &self.norm {
            Some(norm) => Ok::<_, Error>(norm.forward(&x)?),
            None => Ok(x),
        };
        let (tokens, pooled) = match (&self.pool.kind, self.place) {
            (Kinds::Queries(q), _) => {
                let answers = normed(q.forward(&tokens)?)?;
                let first = answers.f_select(1, 0)?;
                (answers, first)
            }
            (_, FinalNorm::Pooled) => {
                let pooled = normed(self.pool.forward(&tokens, mask, at, self.left_out)?)?;
                (tokens, pooled)
            }
            _ => {
                let tokens = normed(tokens)?;
                let pooled = self.pool.forward(&tokens, mask, at, self.left_out)?;
                (tokens, pooled)
            }
        };
        let pooled = match &self.dense {
            Some(dense) => dense.forward(&pooled)?.f_tanh()?,
            None => pooled,
        };
        Ok((tokens, pooled))
    }
}

/// A pooling with its parameters, if it has any.
#[derive(Debug)]
struct Pool {
    kind: Kinds,
    prefix: i64,
}

#[derive(Debug)]
enum Kinds {
    Mean,
    MeanSqrt,
    WeightedMean,
    Max,
    First,
    Last,
    At,
    Prefix,
    Attention(Linear, i64),
    Map(Box<MapHead>),
    Queries(Box<Queries>),
    Concat(Vec<Pool>),
}

impl Pool {
    fn prepare(&mut self, precision: Precision) -> Result<()> {
        match &mut self.kind {
            Kinds::Attention(scores, _) => scores.prepare_beside(precision)?,
            Kinds::Map(map) => {
                map.attention.prepare_beside(precision)?;
                map.mlp.prepare_beside(precision)?;
            }
            Kinds::Queries(queries) => queries.attention.prepare_beside(precision)?,
            Kinds::Concat(pools) => {
                for pool in pools {
                    pool.prepare(precision)?;
                }
            }
            Kinds::Mean
            | Kinds::MeanSqrt
            | Kinds::WeightedMean
            | Kinds::Max
            | Kinds::First
            | Kinds::Last
            | Kinds::At
            | Kinds::Prefix => (),
        }
        Ok(())
    }

    fn new(scope: &Scope, kind: &Pooling, c: &TransformerConfig, prefix: i64) -> Result<Self> {
        let kind = match kind {
            Pooling::Mean => Kinds::Mean,
            Pooling::MeanSqrt => Kinds::MeanSqrt,
            Pooling::WeightedMean => Kinds::WeightedMean,
            Pooling::Max => Kinds::Max,
            Pooling::First => Kinds::First,
            Pooling::Last => Kinds::Last,
            Pooling::Highest | Pooling::End(_) => Kinds::At,
            Pooling::Prefix => Kinds::Prefix,
            Pooling::Attention => {
                // Scores start near zero: attention pooling starts as the mean.
                Kinds::Attention(Linear::new(&scope.child("scores"), c.width, c.heads, true, 0.02)?, c.heads)
            }
            Pooling::Map => Kinds::Map(Box::new(MapHead::new(scope, c)?)),
            Pooling::Queries { width, heads, count } => {
                Kinds::Queries(Box::new(Queries::new(scope, c, *width, *heads, *count)?))
            }
            Pooling::Concat(all) => Kinds::Concat(
                all.iter().map(|kind| Self::new(scope, kind, c, prefix)).collect::<Result<_>>()?,
            ),
        };
        Ok(Self { kind, prefix })
    }

    /// `left_out`: tokens at the beginning that are as if they were not there, but for their places.
    fn forward(
        &self,
        tokens: &Tensor,
        mask: Option<&Tensor>,
        at: Option<&Tensor>,
        left_out: i64,
    ) -> Result<Tensor> {
        let (b, t, w) = tokens.size3()?;
        // Something is pooled, however short the text.
        let left_out = left_out.clamp(0, (t - self.prefix - 1).max(0));
        // What a mean, a sum or a maximum is over.
        let from = self.prefix + left_out;
        let pooled = || -> Result<(Tensor, Option<Tensor>)> {
            let mask = mask.map(|m| m.f_narrow(1, from, t - from)).transpose()?;
            Ok((tokens.f_narrow(1, from, t - from)?, mask))
        };
        match &self.kind {
            Kinds::Concat(all) => {
                let each = all.iter().map(|pool| pool.forward(tokens, mask, at, left_out));
                Ok(Tensor::f_cat(&each.collect::<Result<Vec<_>>>()?, -1)?)
            }
            Kinds::First => Ok(tokens.f_select(1, left_out)?),
            Kinds::Prefix => mean(&tokens.f_narrow(1, 0, self.prefix)?, None),
            Kinds::Mean => {
                let (tokens, mask) = pooled()?;
                mean(&tokens, mask.as_ref())
            }
            Kinds::MeanSqrt => {
                let (tokens, mask) = pooled()?;
                let (sum, count) = sum(&tokens, mask.as_ref(), None)?;
                Ok(sum.f_div(&count.f_sqrt()?)?)
            }
            Kinds::WeightedMean => {
                let (tokens, mask) = pooled()?;
                let places = Tensor::f_arange_start(from + 1, t + 1, (Kind::Float, tokens.device()))?;
                let (sum, weight) = sum(&tokens, mask.as_ref(), Some(&places))?;
                Ok(sum.f_div(&weight)?)
            }
            Kinds::Max => {
                let (tokens, mask) = pooled()?;
                let tokens = match mask {
                    Some(mask) => {
                        tokens.f_masked_fill(&mask.f_logical_not()?.f_unsqueeze(-1)?, f64::NEG_INFINITY)?
                    }
                    None => tokens,
                };
                Ok(tokens.f_amax([1i64].as_slice(), false)?)
            }
            Kinds::Last => match mask {
                None => Ok(tokens.f_select(1, t - 1)?),
                Some(mask) => {
                    let last = mask.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)?;
                    row(tokens, &last.f_sub_scalar(1)?.f_clamp_min(0)?)
                }
            },
            Kinds::At => match at {
                Some(at) => row(tokens, at),
                None => Err(Error::config("pooling", "pooling by token ids without ids")),
            },
            Kinds::Attention(scores, heads) => {
                let mut scores = scores.forward(tokens)?;
                if let Some(mask) = mask {
                    scores =
                        scores.f_masked_fill(&mask.f_logical_not()?.f_unsqueeze(-1)?, f64::NEG_INFINITY)?;
                }
                let weights = scores.f_softmax(1, Kind::Float)?; // [B, T, H]
                let values = tokens.f_view([b, t, *heads, w / heads])?;
                let pooled = values.f_mul(&weights.f_unsqueeze(-1)?)?;
                Ok(pooled.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_reshape([b, w])?)
            }
            Kinds::Map(map) => map.forward(tokens),
            Kinds::Queries(queries) => Ok(queries.forward(tokens)?.f_select(1, 0)?),
        }
    }
}

/// `[B, T, W]` → `[B, W]`: the mean of the real tokens.
pub(crate) fn mean(tokens: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let Some(mask) = mask else {
        return Ok(tokens.f_mean_dim([1i64].as_slice(), false, Kind::Float)?);
    };
    let m = mask.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
    let sum = tokens.f_mul(&m)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
    Ok(sum.f_div(&m.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_clamp_min(1.0)?)?)
}

/// The weighted sum `[B, W]` over tokens `[B, T, W]` that are real, and their weights together `[B, 1]`, at least a bit; without `weights` `[T]`
/// each counts once.
fn sum(tokens: &Tensor, mask: Option<&Tensor>, weights: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
    let (b, t, _) = tokens.size3()?;
    let each = match mask {
        Some(mask) => mask.f_to_kind(Kind::Float)?,
        None => Tensor::f_ones([b, t], (Kind::Float, tokens.device()))?,
    };
    let each = match weights {
        Some(weights) => each.f_mul(weights)?,
        None => each,
    };
    let sum =
        tokens.f_mul(&each.f_unsqueeze(-1)?)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
    let all = each.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Float)?;
    Ok((sum, all.f_clamp_min(1e-9)?))
}

/// Token `at[b]` of each row.
fn row(tokens: &Tensor, at: &Tensor) -> Result<Tensor> {
    let (b, _, w) = tokens.size3()?;
    let index = at.f_view([b, 1, 1])?.f_expand([b, 1, w], false)?;
    Ok(tokens.f_gather(1, &index, false)?.f_squeeze_dim(1)?)
}

/// `queries` `[Q, W]`, the same for every sample, and `tokens` `[B, T, C]` → `[B, Q, W]`.
fn look(attention: &Attention, queries: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    // Heads are small: they compute in single precision, whatever the blocks do.
    let kv = attention.cross_kv(tokens, &Pass::EVAL)?;
    Ok(attention.forward_cross(&queries.f_unsqueeze(0)?, &kv, None, &Pass::EVAL)?)
}

/// SigLIP's head: one query, then a residual feed-forward part.
#[derive(Debug)]
struct MapHead {
    probe: Tensor,
    attention: Attention,
    norm: Norm,
    mlp: Mlp,
}

impl MapHead {
    fn new(scope: &Scope, c: &TransformerConfig) -> Result<Self> {
        Ok(Self {
            probe: scope.param("probe", &[1, c.width], Init::Normal(0.02))?,
            attention: Attention::cross(scope, &AttentionConfig::new(c.width, c.heads), c.width)?,
            norm: Norm::of(&scope.child("norm"), c, c.width)?,
            mlp: Mlp::new(&scope.child("mlp"), c, (c.width as f64).powf(-0.5))?,
        })
    }

    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let x = look(&self.attention, &self.probe, tokens)?;
        Ok(x.f_add(&self.mlp.forward(&self.norm.forward(&x)?, &Pass::EVAL)?)?.f_squeeze_dim(1)?)
    }
}

/// CoCa's attentional pooler.
#[derive(Debug)]
struct Queries {
    queries: Tensor,
    query_norm: Norm,
    token_norm: Norm,
    attention: Attention,
}

impl Queries {
    fn new(scope: &Scope, c: &TransformerConfig, width: i64, heads: i64, count: i64) -> Result<Self> {
        Ok(Self {
            queries: scope.param("queries", &[count, width], Init::Normal(1.0))?,
            query_norm: Norm::of(&scope.child("query_norm"), c, width)?,
            token_norm: Norm::of(&scope.child("token_norm"), c, c.width)?,
            attention: Attention::cross(scope, &AttentionConfig::new(width, heads), c.width)?,
        })
    }

    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let queries = self.query_norm.forward(&self.queries)?;
        look(&self.attention, &queries, &self.token_norm.forward(tokens)?)
    }
}

#[cfg(test)]
mod tests;
