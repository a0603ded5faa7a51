//! Attention of a text to itself, with a cache of what is behind it, and to a memory.

use crate::Result;
use tch::{Device, Kind, Tensor};
use unisono_encoders::layers::Linear;
use unisono_encoders::{Precision, Scope};

/// What the tokens of a text see of each other.
#[derive(Debug)]
pub enum See {
    /// Themselves and what comes before them.
    Before,
    /// Everything.
    All,
    /// `[B, 1, 1, T]` or `[B, 1, T, T]` bool, true where a row's token sees a column's.
    Where(Tensor),
}

impl See {
    /// From `[B, T]` bool, true at tokens that are no padding; everybody sees those.
    ///
    /// # Errors
    /// libtorch's.
    pub fn tokens(real: &Tensor) -> Result<Self> {
        Ok(Self::Where(real.f_unsqueeze(1)?.f_unsqueeze(1)?))
    }
}

fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool) -> Result<Tensor> {
    Ok(Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, causal, None, false)?)
}

/// Keys and values `[B, H, capacity, W/H]` of one block's text.
#[derive(Debug)]
pub(crate) struct KeyValues {
    keys: Tensor,
    values: Tensor,
}

impl KeyValues {
    pub fn new(shape: [i64; 4], device: Device) -> Result<Self> {
        let empty = || Tensor::f_empty(shape, (Kind::Float, device));
        Ok(Self { keys: empty()?, values: empty()? })
    }

    pub fn rows(&self) -> i64 {
        self.keys.size().first().copied().unwrap_or(0)
    }

    /// Row `i` becomes what row `rows[i]` was, as far as `length` tokens.
    pub fn reorder(&mut self, rows: &Tensor, length: i64) -> Result<()> {
        let n = rows.size()[0];
        for side in [&mut self.keys, &mut self.values] {
            let taken = side.f_narrow(2, 0, length)?.f_index_select(0, rows)?;
            if side.size()[0] != n {
                let mut shape = side.size();
                shape[0] = n;
                *side = Tensor::f_empty(&shape, (Kind::Float, side.device()))?;
            }
            side.f_narrow(2, 0, length)?.f_copy_(&taken)?;
        }
        Ok(())
    }
}

/// Multi-head self-attention with one fused projection.
#[derive(Debug)]
pub(crate) struct SelfAttention {
    qkv: Linear,
    out: Linear,
    heads: i64,
}

impl SelfAttention {
    pub fn new(scope: &Scope, width: i64, heads: i64, out_std: f64) -> Result<Self> {
        let std = (width as f64).powf(-0.5);
        Ok(Self {
            qkv: Linear::new(&scope.child("qkv"), width, 3 * width, true, std)?,
            out: Linear::new(&scope.child("out"), width, width, true, out_std)?,
            heads,
        })
    }

    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.qkv.prepare(precision)?;
        Ok(self.out.prepare(precision)?)
    }

    /// `x` `[B, T, W]` → `[B, T, W]`. With a cache that holds `behind` tokens, those are seen too, and x's are added to it; `see` is then
    /// [`See::Before`].
    pub fn forward(&self, x: &Tensor, see: &See, cache: Option<(&mut KeyValues, i64)>) -> Result<Tensor> {
        let (b, t, w) = x.size3()?;
        let qkv = self.qkv.forward(x)?.f_view([b, t, 3, self.heads, w / self.heads])?;
        let qkv = qkv.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let y = match cache {
            Some((cache, behind)) => {
                cache.keys.f_narrow(2, behind, t)?.f_copy_(&k)?;
                cache.values.f_narrow(2, behind, t)?.f_copy_(&v)?;
                let k = cache.keys.f_narrow(2, 0, behind + t)?;
                let v = cache.values.f_narrow(2, 0, behind + t)?;
                if t == 1 {
                    attend(&q, &k, &v, None, false)?
                } else if behind == 0 {
                    attend(&q, &k, &v, None, true)?
                } else {
                    let mask = Tensor::f_ones([t, behind + t], (Kind::Bool, x.device()))?.f_tril(behind)?;
                    attend(&q, &k, &v, Some(&mask), false)?
                }
            }
            None => match see {
                See::Before => attend(&q, &k, &v, None, true)?,
                See::All => attend(&q, &k, &v, None, false)?,
                See::Where(mask) => attend(&q, &k, &v, Some(mask), false)?,
            },
        };
        Ok(self.out.forward(&y.f_transpose(1, 2)?.f_reshape([b, t, w])?)?)
    }
}

/// Attention of a text to a memory of another width.
#[derive(Debug)]
pub(crate) struct CrossAttention {
    q: Linear,
    kv: Linear,
    out: Linear,
    heads: i64,
}

impl CrossAttention {
    pub fn new(scope: &Scope, width: i64, memory: i64, heads: i64, out_std: f64) -> Result<Self> {
        let std = (width as f64).powf(-0.5);
        Ok(Self {
            q: Linear::new(&scope.child("q"), width, width, true, std)?,
            kv: Linear::new(&scope.child("kv"), memory, 2 * width, true, (memory as f64).powf(-0.5))?,
            out: Linear::new(&scope.child("out"), width, width, true, out_std)?,
            heads,
        })
    }

    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.q.prepare(precision)?;
        self.kv.prepare(precision)?;
        Ok(self.out.prepare(precision)?)
    }

    /// A memory `[N, S, M]` → its keys and values `[N, H, S, W/H]`, which every token of every text about it attends to.
    pub fn remember(&self, memory: &Tensor) -> Result<[Tensor; 2]> {
        let (n, s, _) = memory.size3()?;
        let kv = self.kv.forward(memory)?;
        let w = kv.size()[2] / 2;
        let kv = kv.f_view([n, s, 2, self.heads, w / self.heads])?.f_permute([2, 0, 3, 1, 4])?;
        Ok([kv.f_select(0, 0)?, kv.f_select(0, 1)?])
    }

    /// `x` `[N·R, T, W]`, R texts about each item of the memory one after another, → `[N·R, T, W]`. `mask` `[N, 1, 1, S]` bool.
    pub fn forward(&self, x: &Tensor, [k, v]: &[Tensor; 2], mask: Option<&Tensor>) -> Result<Tensor> {
        let (b, t, w) = x.size3()?;
        let n = k.size()[0];
        // The texts about one item are more queries to the same keys: nothing of the memory is repeated.
        let rows = b / n.max(1) * t;
        let q = self.q.forward(x)?.f_view([n, rows, self.heads, w / self.heads])?.f_transpose(1, 2)?;
        let y = attend(&q, k, v, mask, false)?;
        Ok(self.out.forward(&y.f_transpose(1, 2)?.f_reshape([b, t, w])?)?)
    }
}
