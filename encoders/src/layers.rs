//! The Transformer that every tower shares: blocks over `[B, T, W]`, configured as the published families need.

use crate::config::{Activation, NormPlace, TransformerConfig};
use crate::precision::{Packed, Precision};
use crate::{Init, Mode, Result, Scope};
use tch::{Device, Kind, Tensor};

/// `x Wᵀ + b` over the last axis.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    packed: Option<Packed>,
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
            packed: None,
        })
    }

    /// A layer over a weight `[output, input]` that another layer owns, as a language head is over the token embedding.
    pub fn over(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias, packed: None }
    }

    /// Packs the weight for inference: later changes of the parameter are not seen, and no gradient flows.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.packed = Packed::new(&self.weight, precision)?;
        Ok(())
    }

    /// `activation(forward(x))`, in one kernel where the layer is prepared.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        match &self.packed {
            Some(packed) => packed.forward(x, self.bias.as_ref(), Some(activation)),
            None => activation.forward(&self.forward(x)?),
        }
    }

    /// `[.., input]` → `[.., output]`.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(packed) = &self.packed {
            return packed.forward(x, self.bias.as_ref(), None);
        }
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
    eps: f64,
}

impl LayerNorm {
    /// Over `width` features; `eps` is added to the variance.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, width: i64, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[width], Init::Const(1.0))?,
            bias: scope.param("bias", &[width], Init::Const(0.0))?,
            width,
            eps,
        })
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_layer_norm([self.width], Some(&self.weight), Some(&self.bias), self.eps, false)?)
    }
}

impl Activation {
    /// Applied to every element.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Relu => x.f_relu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluTanh => x.f_gelu("tanh")?,
            Self::QuickGelu => x.f_mul_scalar(1.702)?.f_sigmoid()?.f_mul(x)?,
            Self::Silu => x.f_silu()?,
        })
    }
}

/// What a token may attend to, prepared once for all blocks.
#[derive(Debug)]
pub struct Attend {
    /// Bool (true = seen) or fp32 (added to the scores); broadcasts to `[B, H, T, T]`.
    mask: Option<Tensor>,
    /// Only itself and what comes before.
    causal: bool,
}

impl Attend {
    /// Everything.
    pub const ALL: Self = Self { mask: None, causal: false };

    /// From `seen` `[B, 1, T, T]` bool, true where row's token sees column's.
    pub fn pairs(seen: Tensor) -> Self {
        Self { mask: Some(seen), causal: false }
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

    fn forward(&self, x: &Tensor, attend: &Attend) -> Result<Tensor> {
        let (b, t, w) = x.size3()?;
        let qkv = self.qkv.forward(x)?.f_view([b, t, 3, self.heads, w / self.heads])?;
        // [3, B, H, T, W/H]: three views of one buffer, no copies.
        let qkv = qkv.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let mask = attend.mask.as_ref();
        let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, mask, 0.0, attend.causal, None, false)?;
        self.out.forward(&y.f_transpose(1, 2)?.f_reshape([b, t, w])?)
    }
}

/// Two linear layers with an activation between, the first one gated where the configuration says so.
#[derive(Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    gated: bool,
}

impl Mlp {
    /// `out_std` is the standard deviation of the second layer's first weights.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &TransformerConfig, out_std: f64) -> Result<Self> {
        let first = if c.gated { 2 * c.hidden() } else { c.hidden() };
        let std = (2.0 * c.width as f64).powf(-0.5);
        Ok(Self {
            fc1: Linear::new(&scope.child("fc1"), c.width, first, true, std)?,
            fc2: Linear::new(&scope.child("fc2"), c.hidden(), c.width, true, out_std)?,
            activation: c.activation,
            gated: c.gated,
        })
    }

    /// Packs both layers for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.fc1.prepare(precision)?;
        self.fc2.prepare(precision)
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.gated {
            let hidden = self.fc1.forward(x)?;
            let halves = hidden.f_chunk(2, -1)?;
            if let [gate, value] = halves.as_slice() {
                return self.fc2.forward(&self.activation.forward(gate)?.f_mul(value)?);
            }
        }
        self.fc2.forward(&self.fc1.forward_activated(x, self.activation)?)
    }
}

/// Attention, then the feed-forward part, each a residual branch.
#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    scales: Option<[Tensor; 2]>,
    messages: Option<Messages>,
    place: NormPlace,
    dropout: f64,
    drop_path: f64,
}

/// Cross-frame messages (X-CLIP, Ni et al. 2022): what each frame's class token has to say, after the frames of a clip have heard each
/// other, is one more token that its patches attend to.
#[derive(Debug)]
struct Messages {
    fc: Linear,
    norm: LayerNorm,
    attention: Attention,
}

impl Messages {
    fn new(scope: &Scope, c: &TransformerConfig) -> Result<Self> {
        let std = (c.width as f64).powf(-0.5);
        Ok(Self {
            fc: Linear::new(&scope.child("fc"), c.width, c.width, true, std)?,
            norm: LayerNorm::new(&scope.child("norm"), c.width, c.norm_eps)?,
            attention: Attention::new(&scope.child("attention"), c.width, c.heads, std)?,
        })
    }

    /// Clips of `frames` frames, one after another: `[B·F, T, W]` → `[B·F, 1, W]`.
    fn forward(&self, x: &Tensor, frames: i64) -> Result<Tensor> {
        let (rows, _, width) = x.size3()?;
        let message = self.fc.forward(&x.f_select(1, 0)?)?.f_reshape([rows / frames, frames, width])?;
        let heard = self.attention.forward(&self.norm.forward(&message)?, &Attend::ALL)?;
        Ok(message.f_add(&heard)?.f_reshape([rows, 1, width])?)
    }

    fn prepare(&mut self, precision: Precision) -> Result<()> {
        for linear in [&mut self.fc, &mut self.attention.qkv, &mut self.attention.out] {
            linear.prepare(precision)?;
        }
        Ok(())
    }
}

impl Block {
    fn new(scope: &Scope, c: &TransformerConfig, index: i64) -> Result<Self> {
        // Residual branches start small so that a deep stack starts near the identity (GPT-2's rule).
        let out_std = (c.width as f64).powf(-0.5) * (2.0 * c.depth as f64).powf(-0.5);
        let scale = |name: &str, value: f64| scope.param(name, &[c.width], Init::Const(value));
        Ok(Self {
            norm1: LayerNorm::new(&scope.child("norm1"), c.width, c.norm_eps)?,
            attention: Attention::new(&scope.child("attention"), c.width, c.heads, out_std)?,
            norm2: LayerNorm::new(&scope.child("norm2"), c.width, c.norm_eps)?,
            mlp: Mlp::new(&scope.child("mlp"), c, out_std)?,
            scales: match c.layer_scale {
                Some(value) => Some([scale("scale1", value)?, scale("scale2", value)?]),
                None => None,
            },
            messages: match c.messages {
                true => Some(Messages::new(&scope.child("message"), c)?),
                false => None,
            },
            place: c.norm,
            dropout: c.dropout,
            drop_path: if c.depth > 1 {
                c.drop_path * index as f64 / (c.depth - 1) as f64
            } else {
                c.drop_path
            },
        })
    }

    fn forward(&self, x: &Tensor, attend: &Attend, frames: i64, mode: Mode) -> Result<Tensor> {
        if let Some(messages) = &self.messages {
            let t = x.size()[1];
            let x = Tensor::f_cat(&[x, &messages.forward(x, frames)?], 1)?;
            let branch = self.attention.forward(&self.norm1.forward(&x)?, attend)?;
            let x = self.branch(branch, 0, mode)?.f_add_(&x)?.f_narrow(1, 0, t)?;
            let branch = self.mlp.forward(&self.norm2.forward(&x)?)?;
            return Ok(self.branch(branch, 1, mode)?.f_add_(&x)?);
        }
        match self.place {
            NormPlace::Pre => {
                let branch = self.attention.forward(&self.norm1.forward(x)?, attend)?;
                // The branch is nobody else's: the sum takes its memory.
                let x = self.branch(branch, 0, mode)?.f_add_(x)?;
                let branch = self.mlp.forward(&self.norm2.forward(&x)?)?;
                Ok(self.branch(branch, 1, mode)?.f_add_(&x)?)
            }
            NormPlace::Post => {
                let branch = self.attention.forward(x, attend)?;
                let x = self.norm1.forward(&self.branch(branch, 0, mode)?.f_add_(x)?)?;
                let branch = self.mlp.forward(&x)?;
                self.norm2.forward(&self.branch(branch, 1, mode)?.f_add_(&x)?)
            }
        }
    }

    fn prepare(&mut self, precision: Precision) -> Result<()> {
        for linear in [&mut self.attention.qkv, &mut self.attention.out, &mut self.mlp.fc1, &mut self.mlp.fc2]
        {
            linear.prepare(precision)?;
        }
        match &mut self.messages {
            Some(messages) => messages.prepare(precision),
            None => Ok(()),
        }
    }

    /// A residual branch as it is added: scaled, and regularised while training.
    fn branch(&self, branch: Tensor, which: usize, mode: Mode) -> Result<Tensor> {
        let mut branch = branch;
        if let Some(scales) = &self.scales {
            branch = branch.f_mul(&scales[which])?;
        }
        if mode == Mode::Eval {
            return Ok(branch);
        }
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

/// A norm on what comes in, where there is one, and the blocks. The final norm is the [`Head`](crate::pool::Head)'s.
#[derive(Debug)]
pub struct Transformer {
    input_norm: Option<LayerNorm>,
    blocks: Vec<Block>,
    causal: bool,
    relative: Option<Relative>,
}

impl Transformer {
    /// A stack of `config.depth` blocks.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, config: &TransformerConfig) -> Result<Self> {
        let blocks = (0..config.depth).map(|i| Block::new(&scope.child(format!("blocks.{i}")), config, i));
        let norm = || LayerNorm::new(&scope.child("input_norm"), config.width, config.norm_eps);
        Ok(Self {
            input_norm: if config.input_norm { Some(norm()?) } else { None },
            blocks: blocks.collect::<Result<_>>()?,
            causal: config.causal,
            relative: Relative::new(scope, config)?,
        })
    }

    /// Packs the blocks' weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.blocks.iter_mut().try_for_each(|block| block.prepare(precision))
    }

    /// What tokens `[B, t, W]` attend to. `keys` `[B, t]` bool is true where a token is real; each row needs one real token.
    ///
    /// # Errors
    /// libtorch's.
    pub fn attend(&self, t: i64, keys: Option<&Tensor>) -> Result<Attend> {
        let keys = keys.map(|m| m.f_unsqueeze(1).and_then(|m| m.f_unsqueeze(1))).transpose()?; // [B, 1, 1, T]
        let Some(device) = keys.as_ref().map(Tensor::device) else {
            return match &self.relative {
                Some(relative) => Ok(Attend { mask: Some(relative.bias(t)?), causal: self.causal }),
                None => Ok(Attend { mask: None, causal: self.causal }),
            };
        };
        let mut mask = keys;
        if self.causal {
            let before = Tensor::f_ones([t, t], (Kind::Bool, device))?.f_tril(0)?;
            mask = mask.map(|m| m.f_logical_and(&before)).transpose()?;
        }
        if let (Some(relative), Some(seen)) = (&self.relative, &mask) {
            mask = Some(relative.bias(t)?.f_masked_fill(&seen.f_logical_not()?, f64::NEG_INFINITY)?);
        }
        Ok(Attend { mask, causal: false })
    }

    /// `[B, T, W]` → `[B, T, W]`, without the final norm.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: Tensor, attend: &Attend, mode: Mode) -> Result<Tensor> {
        self.forward_clips(x, attend, 1, mode)
    }

    /// [`forward`](Self::forward) over the frames of clips, `frames` of each one after another: blocks with messages let a clip's frames
    /// hear each other.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward_clips(&self, x: Tensor, attend: &Attend, frames: i64, mode: Mode) -> Result<Tensor> {
        let x = match &self.input_norm {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        self.blocks.iter().try_fold(x, |x, block| block.forward(&x, attend, frames, mode))
    }
}

/// Biases on attention scores by distance.
#[derive(Debug)]
struct Relative {
    /// `[buckets, heads]`.
    weight: Tensor,
    max_distance: i64,
}

impl Relative {
    fn new(scope: &Scope, c: &TransformerConfig) -> Result<Option<Self>> {
        let Some(r) = c.relative else { return Ok(None) };
        let weight = scope.child("relative").param("weight", &[r.buckets, c.heads], Init::Normal(0.02))?;
        Ok(Some(Self { weight, max_distance: r.max_distance }))
    }

    /// `[1, H, t, t]`.
    fn bias(&self, t: i64) -> Result<Tensor> {
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
