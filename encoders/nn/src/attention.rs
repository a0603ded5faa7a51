//! Multi-head attention: to oneself, to what is behind, to a memory. Every tower, the fusion Transformer and the decoders have this one.

use crate::config::{NormKind, TransformerConfig};
use crate::{KeyValues, KvCache, Linear, Mask, Norm, Pass, Precision, Result, Rotation, Scope};
use tch::{Kind, Tensor};
use unisono_torch_ext::rows;

/// The sizes of an attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionConfig {
    /// Width W of what comes in and goes out.
    pub width: i64,
    /// Heads of queries; divides `width`.
    pub heads: i64,
    /// Heads of keys and values, each shared by as many heads of queries (Ainslie et al. 2023); divides `heads`.
    pub kv_heads: i64,
    /// Its linear layers have biases.
    pub bias: bool,
    /// Queries and keys are normed, each head by itself (Dehghani et al. 2023): the norm and what is added to its variance.
    pub qk_norm: Option<(NormKind, f64)>,
    /// Standard deviation of the last layer's first weights.
    pub out_std: f64,
}

impl AttentionConfig {
    /// Plain multi-head attention.
    pub fn new(width: i64, heads: i64) -> Self {
        let out_std = (width as f64).powf(-0.5);
        Self { width, heads, kv_heads: heads, bias: true, qk_norm: None, out_std }
    }

    /// As blocks of `c` have it.
    pub fn of(c: &TransformerConfig, out_std: f64) -> Self {
        Self {
            width: c.width,
            heads: c.heads,
            kv_heads: c.kv_heads.unwrap_or(c.heads),
            bias: c.bias,
            qk_norm: c.qk_norm.then_some((c.norm_kind, c.norm_eps)),
            out_std,
        }
    }

    /// Features of one head.
    pub fn head_width(&self) -> i64 {
        self.width / self.heads
    }
}

/// From tokens to queries, keys and values.
#[derive(Debug)]
enum Projections {
    /// All three of the same tokens, in one product.
    Fused(Linear),
    /// Keys and values of a memory.
    Cross { q: Linear, kv: Linear },
    /// Each by itself.
    Apart { q: Linear, k: Linear, v: Linear },
}

/// Multi-head attention.
#[derive(Debug)]
pub struct Attention {
    projections: Projections,
    out: Linear,
    /// Of queries and of keys.
    norms: Option<[Norm; 2]>,
    heads: i64,
    kv_heads: i64,
    head_width: i64,
    /// From so many queries on, every token gets the same alone and in any batch, which libtorch's own attention does not promise.
    alone: Option<i64>,
}

impl Attention {
    /// To oneself, with one fused projection `qkv`: queries' heads, keys', values'.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &AttentionConfig) -> Result<Self> {
        let std = (c.width as f64).powf(-0.5);
        let kv = c.kv_heads * c.head_width();
        let parts = [("q", c.heads * c.head_width()), ("k", kv), ("v", kv)];
        let qkv = Linear::adaptable(&scope.child("qkv"), c.width, &parts, c.bias, std)?;
        Self::with(scope, c, Projections::Fused(qkv))
    }

    /// To a memory of width `memory`, with the projections `q` and `kv`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn cross(scope: &Scope, c: &AttentionConfig, memory: i64) -> Result<Self> {
        let std = |n: i64| (n as f64).powf(-0.5);
        let each = c.kv_heads * c.head_width();
        let q = Linear::adaptable(&scope.child("q"), c.width, &[("q", c.width)], c.bias, std(c.width))?;
        let parts = [("k", each), ("v", each)];
        let kv = Linear::adaptable(&scope.child("kv"), memory, &parts, c.bias, std(memory))?;
        Self::with(scope, c, Projections::Cross { q, kv })
    }

    /// To a memory of the same width, with projections `q`, `k`, `v` without biases (X-CLIP's prompts).
    ///
    /// # Errors
    /// The names are taken.
    pub fn apart(scope: &Scope, c: &AttentionConfig) -> Result<Self> {
        let std = (c.width as f64).powf(-0.5);
        let linear = |name: &str, heads: i64| {
            let parts = [(name, heads * c.head_width())];
            Linear::adaptable(&scope.child(name), c.width, &parts, false, std)
        };
        let (q, k, v) = (linear("q", c.heads)?, linear("k", c.kv_heads)?, linear("v", c.kv_heads)?);
        Self::with(scope, c, Projections::Apart { q, k, v })
    }

    fn with(scope: &Scope, c: &AttentionConfig, projections: Projections) -> Result<Self> {
        let norm = |name: &str, (kind, eps)| Norm::new(&scope.child(name), kind, c.head_width(), eps);
        Ok(Self {
            projections,
            out: Linear::adaptable(&scope.child("out"), c.width, &[("out", c.width)], c.bias, c.out_std)?,
            norms: match c.qk_norm {
                Some(of) => Some([norm("q_norm", of)?, norm("k_norm", of)?]),
                None => None,
            },
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_width: c.head_width(),
            alone: None,
        })
    }

    /// Packs the weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        // One query is a text that is being written: libtorch's way is the faster one for it.
        self.alone = (precision == Precision::Int8).then_some(2);
        self.each(|layer| layer.prepare(precision))
    }

    /// Prepares its layers as [`Linear::prepare_beside`] does.
    ///
    /// # Errors
    /// libtorch's.
    pub fn prepare_beside(&mut self, precision: Precision) -> Result<()> {
        self.alone = (precision == Precision::Int8).then_some(1);
        self.each(|layer| layer.prepare_beside(precision))
    }

    fn each(&mut self, mut f: impl FnMut(&mut Linear) -> Result<()>) -> Result<()> {
        match &mut self.projections {
            Projections::Fused(qkv) => f(qkv)?,
            Projections::Cross { q, kv } => [q, kv].into_iter().try_for_each(&mut f)?,
            Projections::Apart { q, k, v } => [q, k, v].into_iter().try_for_each(&mut f)?,
        }
        f(&mut self.out)
    }

    /// An empty cache for `rows` texts of at most `capacity` tokens, for passes that compute as this one.
    ///
    /// # Errors
    /// No room.
    pub fn cache(&self, rows: i64, capacity: i64, device: tch::Device, pass: &Pass) -> Result<KvCache> {
        KvCache::new([rows, self.kv_heads, capacity, self.head_width], (pass.kind(), device))
    }

    /// Self-attention: `x` `[B, T, W]`, or `[B, G, T, W]` of G groups whose tokens attend within their own, → the same shape. The mask
    /// of groups has G · H heads, a group's one after another: one serves every sample of the batch. With a cache the tokens that it
    /// holds are seen too, x's are added to it, and nothing that comes after, whatever the mask.
    ///
    /// # Errors
    /// An attention to a memory, or libtorch's.
    pub fn forward(
        &self,
        x: &Tensor,
        mask: &Mask,
        rotation: Option<&Rotation>,
        cache: Option<&mut KvCache>,
        pass: &Pass,
    ) -> Result<Tensor> {
        self.forward_onto(x, mask, rotation, cache, None, pass)
    }

    /// [`forward`](Self::forward) with `onto` of its shape added.
    pub(crate) fn forward_onto(
        &self,
        x: &Tensor,
        mask: &Mask,
        rotation: Option<&Rotation>,
        cache: Option<&mut KvCache>,
        onto: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let Projections::Fused(qkv) = &self.projections else {
            return self.cross_onto(x, &self.cross_kv(x, pass)?, mask.parts().0, onto, pass);
        };
        let (h, kv) = (self.heads, self.kv_heads);
        let all = self.split(&qkv.forward_inner(x, None, pass)?, h + 2 * kv)?;
        let (q, k, v) = (self.taken(&all, 0, h)?, self.taken(&all, h, kv)?, self.taken(&all, h + kv, kv)?);
        let (q, k) = self.normed(q, k)?;
        let (q, k) = match rotation {
            Some(rotation) => (rotation.forward(&q)?, rotation.forward(&k)?),
            None => (q, k),
        };
        let (seen, causal) = mask.parts();
        let y = match cache {
            None => self.attend(&q, &k, &v, seen, causal)?,
            Some(cache) => {
                let (behind, t) = (cache.length(), q.size()[2]);
                let KeyValues { keys, values } = cache.append(&k, &v)?;
                if t == 1 {
                    self.attend(&q, &keys, &values, None, false)?
                } else if behind == 0 {
                    self.attend(&q, &keys, &values, None, true)?
                } else {
                    let shape = [t, behind + t];
                    let mask = Tensor::f_ones(shape, (Kind::Bool, x.device()))?.f_tril(behind)?;
                    self.attend(&q, &keys, &values, Some(&mask), false)?
                }
            }
        };
        self.merge(&y, &x.size(), onto, pass)
    }

    /// A memory `[N, S, M]` → its keys and values, which every token of every text about it attends to.
    ///
    /// # Errors
    /// Another width, or libtorch's.
    pub fn cross_kv(&self, memory: &Tensor, pass: &Pass) -> Result<KeyValues> {
        let kv = self.kv_heads;
        let (keys, values) = match &self.projections {
            Projections::Cross { kv: both, .. } => {
                let both = self.split(&both.forward_inner(memory, None, pass)?, 2 * kv)?;
                (both.f_narrow(1, 0, kv)?, both.f_narrow(1, kv, kv)?)
            }
            Projections::Apart { k, v, .. } => {
                let part = |of: &Linear| self.split(&of.forward_inner(memory, None, pass)?, kv);
                (part(k)?, part(v)?)
            }
            Projections::Fused(qkv) => {
                let all = self.split(&qkv.forward_inner(memory, None, pass)?, self.heads + 2 * kv)?;
                (all.f_narrow(1, self.heads, kv)?, all.f_narrow(1, self.heads + kv, kv)?)
            }
        };
        let keys = match &self.norms {
            Some([_, norm]) => normed(norm, &keys)?,
            None => keys,
        };
        // Every token of every text reads them: each head's side by side, they come from memory half as fast again.
        Ok(KeyValues { keys: keys.f_contiguous()?, values: values.f_contiguous()? })
    }

    /// `x` `[N·R, T, W]`, R texts about each of N items one after another, → `[N·R, T, W]`; `[1, T, W]`, the same queries for every item,
    /// → `[N, T, W]`. `mask` `[N, 1, 1, S]` bool.
    ///
    /// # Errors
    /// An attention to oneself, a number of texts that is no multiple of the items, or libtorch's.
    pub fn forward_cross(
        &self,
        x: &Tensor,
        kv: &KeyValues,
        mask: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Tensor> {
        self.cross_onto(x, kv, mask, None, pass)
    }

    /// [`forward_cross`](Self::forward_cross) with `onto` of its shape added.
    pub(crate) fn cross_onto(
        &self,
        x: &Tensor,
        kv: &KeyValues,
        mask: Option<&Tensor>,
        onto: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let q = match &self.projections {
            Projections::Cross { q, .. } | Projections::Apart { q, .. } => q.forward_inner(x, None, pass)?,
            Projections::Fused(_) => {
                return Err(crate::Error::Input("this attention has no queries to a memory".into()));
            }
        };
        let ((b, t, w), n) = (x.size3()?, kv.keys.size()[0]);
        let shared = b == 1 && n > 1;
        // The texts about one item are more queries to the same keys: nothing of the memory is repeated.
        let (items, rows) = if shared { (1, t) } else { (n, b / n.max(1) * t) };
        let q = q.f_view([items, rows, self.heads, self.head_width])?.f_transpose(1, 2)?;
        let q = match &self.norms {
            Some([norm, _]) => normed(norm, &q)?,
            None => q,
        };
        let q = if shared { q.f_expand([n, self.heads, t, self.head_width], false)? } else { q };
        let y = self.attend(&q, &kv.keys, &kv.values, mask, false)?;
        self.merge(&y, &[if shared { n } else { b }, t, w], onto, pass)
    }

    fn attend(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: Option<&Tensor>,
        causal: bool,
    ) -> Result<Tensor> {
        if self.alone.is_some_and(|least| q.size()[2] >= least) && rows::attends(self.head_width, q.device())
        {
            let seen = match (mask, causal) {
                (Some(mask), _) => rows::Seen::Mask(mask),
                (None, true) => rows::Seen::Causal,
                (None, false) => rows::Seen::All,
            };
            return Ok(rows::attend(q, k, v, seen)?);
        }
        let grouped = self.kv_heads != self.heads;
        // Norms and rotations are in single precision; what they give goes on in the arithmetic of the values. What is there already is not copied.
        let kind = v.kind();
        let (q, k) = (q.f_to_kind(kind)?, k.f_to_kind(kind)?);
        let added = mask.filter(|m| m.kind() != Kind::Bool).map(|m| m.f_to_kind(kind)).transpose()?;
        let mask = added.as_ref().or(mask);
        Ok(Tensor::f_scaled_dot_product_attention(&q, &k, v, mask, 0.0, causal, None, grouped)?)
    }

    fn normed(&self, q: Tensor, k: Tensor) -> Result<(Tensor, Tensor)> {
        match &self.norms {
            Some([of_queries, of_keys]) => Ok((normed(of_queries, &q)?, normed(of_keys, &k)?)),
            None => Ok((q, k)),
        }
    }

    /// `[B, T, heads · D]` → `[B, heads, T, D]`; `[B, G, T, heads · D]` → `[B, G, heads, T, D]`: views, no copies.
    fn split(&self, x: &Tensor, heads: i64) -> Result<Tensor> {
        let mut shape = x.size();
        shape.pop();
        shape.extend([heads, self.head_width]);
        let tokens = shape.len() as i64 - 3;
        Ok(x.f_view(shape.as_slice())?.f_transpose(tokens, tokens + 1)?)
    }

    /// Some of the heads that [`split`](Self::split) gave; those of groups side by side.
    fn taken(&self, all: &Tensor, first: i64, heads: i64) -> Result<Tensor> {
        let part = all.f_narrow(-3, first, heads)?;
        match *part.size() {
            [b, groups, heads, t, d] => Ok(part.f_reshape([b, groups * heads, t, d])?),
            _ => Ok(part),
        }
    }

    /// `[B, H, T, D]` → tokens of `shape`, through the last layer, and `onto` added.
    fn merge(&self, y: &Tensor, shape: &[i64], onto: Option<&Tensor>, pass: &Pass) -> Result<Tensor> {
        let y = match *shape {
            [b, groups, t, _] => y.f_view([b, groups, self.heads, t, self.head_width])?.f_transpose(2, 3)?,
            _ => y.f_transpose(1, 2)?,
        };
        self.out.forward_onto(&y.f_reshape(shape)?, onto, pass)
    }
}

/// In single precision, whatever the arithmetic of the layers.
fn normed(norm: &Norm, x: &Tensor) -> Result<Tensor> {
    norm.forward(&x.f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests;
