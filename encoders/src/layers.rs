//! The Transformer that every tower shares: pre-norm blocks over `[B, T, W]` with optional key padding.

use crate::config::TransformerConfig;
use crate::{Init, Mode, Result, Scope};
use tch::{Device, Kind, Tensor};

/// `x Wᵀ + b` over the last axis.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A layer from `input` to `output` features, weights normal with `std`, bias zero.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, input: i64, output: i64, bias: bool, std: f64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[output, input], Init::Normal(std))?,
            bias: if bias { Some(scope.param("bias", &[output], Init::Const(0.0))?) } else { None },
        })
    }

    /// `[.., input]` → `[.., output]`.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let shape = x.size();
        let (Some(&input), rows) =
            (shape.last(), x.numel() as i64 / shape.last().copied().unwrap_or(1).max(1))
        else {
            return Ok(x.f_linear(&self.weight, self.bias.as_ref())?);
        };
        if x.device() != Device::Cpu || rows < MANY_ROWS || x.kind() != Kind::Float {
            return Ok(x.f_linear(&self.weight, self.bias.as_ref())?);
        }
        // The same product as a 1×1 convolution over channels-last memory: it goes to oneDNN instead of MKL, whose
        // single-precision product runs at half speed on AMD processors, forward and backward; on Intel both are alike.
        let x = x.f_reshape([1, rows, 1, input])?.f_permute([0, 3, 1, 2])?;
        let kernel = self.weight.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
        let y = x.f_conv2d(&kernel, self.bias.as_ref(), [1, 1], [0, 0], [1, 1], 1)?;
        let mut out = shape;
        if let Some(last) = out.last_mut() {
            *last = self.weight.size()[0];
        }
        Ok(y.f_permute([0, 2, 3, 1])?.f_reshape(&out)?)
    }
}

/// Below this many rows the convolution's set-up costs more than it saves.
const MANY_ROWS: i64 = 256;

/// Layer normalisation over the last axis (Ba et al. 2016).
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    width: i64,
}

impl LayerNorm {
    /// Over `width` features.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, width: i64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[width], Init::Const(1.0))?,
            bias: scope.param("bias", &[width], Init::Const(0.0))?,
            width,
        })
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_layer_norm([self.width], Some(&self.weight), Some(&self.bias), 1e-5, false)?)
    }
}

/// Multi-head self-attention with one fused projection for queries, keys and values.
#[derive(Debug)]
struct Attention {
    qkv: Linear,
    out: Linear,
    heads: i64,
}

impl Attention {
    fn new(scope: &Scope, width: i64, heads: i64, out_std: f64) -> Result<Self> {
        let std = (width as f64).powf(-0.5);
        Ok(Self {
            qkv: Linear::new(&scope.child("qkv"), width, 3 * width, true, std)?,
            out: Linear::new(&scope.child("out"), width, width, true, out_std)?,
            heads,
        })
    }

    fn forward(&self, x: &Tensor, keys: Option<&Tensor>) -> Result<Tensor> {
        let (b, t, w) = x.size3()?;
        let qkv = self.qkv.forward(x)?.f_view([b, t, 3, self.heads, w / self.heads])?;
        // [3, B, H, T, W/H]: three views of one buffer, no copies.
        let qkv = qkv.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, keys, 0.0, false, None, false)?;
        self.out.forward(&y.f_transpose(1, 2)?.f_reshape([b, t, w])?)
    }
}

/// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    dropout: f64,
    drop_path: f64,
}

impl Block {
    fn new(scope: &Scope, c: &TransformerConfig, index: i64) -> Result<Self> {
        // Residual branches start small so that a deep stack starts near the identity (GPT-2's rule).
        let out_std = (c.width as f64).powf(-0.5) * (2.0 * c.depth as f64).powf(-0.5);
        let mlp = scope.child("mlp");
        Ok(Self {
            norm1: LayerNorm::new(&scope.child("norm1"), c.width)?,
            attention: Attention::new(&scope.child("attention"), c.width, c.heads, out_std)?,
            norm2: LayerNorm::new(&scope.child("norm2"), c.width)?,
            fc1: Linear::new(
                &mlp.child("fc1"),
                c.width,
                c.hidden(),
                true,
                (2.0 * c.width as f64).powf(-0.5),
            )?,
            fc2: Linear::new(&mlp.child("fc2"), c.hidden(), c.width, true, out_std)?,
            dropout: c.dropout,
            drop_path: if c.depth > 1 {
                c.drop_path * index as f64 / (c.depth - 1) as f64
            } else {
                c.drop_path
            },
        })
    }

    fn forward(&self, x: &Tensor, keys: Option<&Tensor>, mode: Mode) -> Result<Tensor> {
        let branch = self.attention.forward(&self.norm1.forward(x)?, keys)?;
        let x = x.f_add(&self.regularise(branch, mode)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?.f_gelu("none")?;
        let branch = self.fc2.forward(&hidden)?;
        Ok(x.f_add(&self.regularise(branch, mode)?)?)
    }

    fn regularise(&self, branch: Tensor, mode: Mode) -> Result<Tensor> {
        if mode == Mode::Eval {
            return Ok(branch);
        }
        let mut branch = branch;
        if self.dropout > 0.0 {
            branch = branch.f_dropout(self.dropout, true)?;
        }
        if self.drop_path > 0.0 {
            let keep = 1.0 - self.drop_path;
            let samples = Tensor::f_rand([branch.size()[0], 1, 1], (Kind::Float, branch.device()))?;
            let kept = samples.f_lt(keep)?.f_to_kind(Kind::Float)?.f_div_scalar(keep)?;
            branch = branch.f_mul(&kept)?;
        }
        Ok(branch)
    }
}

/// Blocks and the final norm.
#[derive(Debug)]
pub struct Transformer {
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Transformer {
    /// A stack of `config.depth` blocks.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, config: &TransformerConfig) -> Result<Self> {
        let blocks = (0..config.depth).map(|i| Block::new(&scope.child(format!("blocks.{i}")), config, i));
        Ok(Self {
            blocks: blocks.collect::<Result<_>>()?,
            norm: LayerNorm::new(&scope.child("norm"), config.width)?,
        })
    }

    /// `[B, T, W]` → `[B, T, W]`. `mask` `[B, T]` bool is true where a token is real; each row needs one real token.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: Tensor, mask: Option<&Tensor>, mode: Mode) -> Result<Tensor> {
        let keys = mask.map(|m| m.f_unsqueeze(1).and_then(|m| m.f_unsqueeze(1))).transpose()?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x, keys.as_ref(), mode))?;
        self.norm.forward(&x)
    }
}
