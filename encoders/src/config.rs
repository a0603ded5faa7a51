//! What a model is made of: read from `config.json` and from a recipe's `[model]` table.

use crate::htsat::HtsatConfig;
use crate::video::VideoConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
pub use unisono_processors::Size;

/// A model: up to three towers and the space that they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Dimension D of the shared space.
    pub embed_dim: i64,
    /// The text tower, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// The image tower, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageConfig>,
    /// The audio tower, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioConfig>,
    /// CLAP's audio tower, in place of `audio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub htsat: Option<HtsatConfig>,
    /// How a clip's frames, which the image tower sees, become one vector; absent: [`VideoConfig::default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoConfig>,
    /// A learned number is added to the scaled cosines of each pair of modalities (SigLIP, Zhai et al. 2023).
    #[serde(default, skip_serializing_if = "is_default")]
    pub logit_bias: bool,
}

/// A stack of Transformer blocks. What the published families differ in is configuration; the defaults are this project's own
/// choice: pre-norm, exact GELU, bidirectional, a final norm over the tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Width W of the residual stream.
    pub width: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads; divides `width`.
    pub heads: i64,
    /// Hidden width of the feed-forward part, in units of `width`.
    #[serde(default = "four")]
    pub mlp_ratio: f64,
    /// Dropout on each residual branch, while training.
    #[serde(default)]
    pub dropout: f64,
    /// Stochastic depth (Huang et al. 2016): the probability that the last block's branches are skipped for a sample,
    /// rising linearly from 0 at the first block.
    #[serde(default)]
    pub drop_path: f64,
    /// Between the two feed-forward layers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activation: Activation,
    /// The first feed-forward layer gives two halves, and the second takes `activation(first half) · second half`
    /// (Shazeer 2020; SwiGLU with `silu`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub gated: bool,
    /// Where the layer norms of a block stand.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: NormPlace,
    /// Added to the variance in every layer norm.
    #[serde(default = "eps", skip_serializing_if = "is_eps")]
    pub norm_eps: f64,
    /// A layer norm before the first block (CLIP's pictures, BERT's embeddings).
    #[serde(default, skip_serializing_if = "is_default")]
    pub input_norm: bool,
    /// What the last layer norm is applied to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub final_norm: FinalNorm,
    /// Each residual branch is multiplied by a learned vector that starts at this value (Touvron et al. 2021).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f64>,
    /// A token sees itself and those before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub causal: bool,
    /// A learned bias on attention scores by the distance of the two tokens (Raffel et al. 2020), one table for all blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<RelativeConfig>,
    /// In each block the frames of a clip exchange messages (X-CLIP, Ni et al. 2022). Image towers with a prefix token only; a picture is
    /// a clip of one frame.
    #[serde(default, skip_serializing_if = "is_default")]
    pub messages: bool,
}

/// Buckets of distances for relative attention biases: half of them for each direction, in each the near half one distance a
/// bucket, the rest on a logarithmic scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelativeConfig {
    /// Number of buckets, both directions together; even.
    pub buckets: i64,
    /// From here on all distances share the last bucket.
    pub max_distance: i64,
}

/// Where the layer norms of a block stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormPlace {
    /// `x + f(norm(x))`.
    #[default]
    Pre,
    /// `norm(x + f(x))`.
    Post,
}

/// What the last layer norm is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinalNorm {
    /// Every token, before pooling.
    #[default]
    Tokens,
    /// The pooled vector; the tokens are given as the last block leaves them.
    Pooled,
    /// There is none.
    None,
}

fn four() -> f64 {
    4.0
}

fn eps() -> f64 {
    1e-5
}

fn is_eps(v: &f64) -> bool {
    *v == eps()
}

fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
}

/// How tokens `[B, T, W]` become one vector `[B, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the valid tokens that are no prefix tokens.
    Mean,
    /// The first token.
    First,
    /// The last valid token.
    Last,
    /// One learned attention distribution a head over the valid tokens.
    Attention,
    /// The first of the tokens with the highest id (the end token of CLIP's first vocabulary is its highest). Texts only.
    Highest,
    /// The first token with this id; the first of all where there is none. Texts only.
    End(i64),
    /// The mean of the prefix tokens.
    Prefix,
    /// A learned query attends to the tokens; its answer goes through a residual feed-forward part (SigLIP's head, Zhai et al.
    /// 2022). Heads, hidden width and activation are the blocks'.
    Map,
    /// Learned queries attend to the tokens; their answers, after the final norm, are the tower's tokens and the first of them
    /// is the pooled vector (CoCa, Yu et al. 2022).
    Queries {
        /// Width of the queries and of what comes out.
        width: i64,
        /// Attention heads; divides `width`.
        heads: i64,
        /// Number of queries.
        count: i64,
    },
}

/// From a pooled vector to the shared space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ProjectionConfig {
    /// The pooled vector itself; its width is the shared space's.
    None,
    /// One linear layer.
    Linear {
        /// With a bias.
        #[serde(default)]
        bias: bool,
    },
    /// Two linear layers.
    Mlp {
        /// Width between them.
        hidden: i64,
        /// Between them.
        activation: Activation,
        /// Both with a bias.
        #[serde(default)]
        bias: bool,
    },
}

impl Default for ProjectionConfig {
    fn default() -> Self {
        Self::Linear { bias: false }
    }
}

/// The text tower: token and position embeddings, blocks, final norm, pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Size of the token embedding. A tokenizer may use fewer ids, never more.
    pub vocab_size: i64,
    /// Longest sequence, in tokens; longer texts are cut, the end token kept.
    pub context_length: i64,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Pooling.
    pub pooling: Pooling,
    /// Probability that a token is dropped from the sequence while training.
    #[serde(default)]
    pub token_dropout: f64,
    /// A learned token is appended at the end of the padded sequence, sees all real tokens, and is what `last` pools (CoCa).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_token: Option<ClassToken>,
    /// The pooled vector goes through a linear layer and tanh (BERT's pooler).
    #[serde(default, skip_serializing_if = "is_default")]
    pub pooler: bool,
    /// From the pooled vector to the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub projection: ProjectionConfig,
}

/// How an appended class token sees the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassToken {
    /// Tokens of this id are padding and not seen.
    pub pad: i64,
    /// The class token's mask is shifted by one position: it sees the first token always and token j when token j − 1 is no
    /// padding, itself when the last token is none. OpenCLIP's published CoCa weights were trained so.
    #[serde(default)]
    pub shifted: bool,
}

/// The image tower: stem, position embeddings, blocks, final norm, pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Size of the input pictures, in pixels.
    pub size: Size,
    /// From pixels to tokens.
    pub stem: StemConfig,
    /// Pictures keep their aspect ratio (NaFlex, Tschannen et al. 2025): any multiple of the patch, at most as many patches as
    /// `size` holds. The position embeddings are resized to each picture's grid, bilinear, antialiased.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flexible: bool,
    /// Learned tokens before the patches: a class token, registers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prefix: i64,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Pooling.
    pub pooling: Pooling,
    /// From the pooled vector to the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub projection: ProjectionConfig,
}

/// The audio tower over log-mel spectrograms `[B, T, M]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioConfig {
    /// Mel bands M.
    pub mels: i64,
    /// Longest input, in spectrogram frames; longer sounds are cut.
    pub max_frames: i64,
    /// From spectrogram to tokens; the frequency axis is folded into the channels unless `grid` is set.
    pub stem: StemConfig,
    /// Every cell of the stem's grid of frames and bands is a token, band after band (AST). Sounds have exactly `max_frames`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grid: bool,
    /// Learned tokens before the others; needs `grid`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prefix: i64,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Pooling.
    pub pooling: Pooling,
    /// From the pooled vector to the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub projection: ProjectionConfig,
}

/// From a picture or spectrogram to a grid of features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum StemConfig {
    /// One convolution whose kernel is its stride (Dosovitskiy et al. 2021), the input padded at its end with zeros.
    Patch {
        /// Patch height and width: pixels, or frames and mel bands.
        size: [i64; 2],
        /// The step from patch to patch where patches overlap; the input is not padded then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<[i64; 2]>,
    },
    /// A stack of 3×3 convolutions, each with batch norm and an activation (Xiao et al. 2021): small data learn faster.
    Conv {
        /// The layers from the input up.
        layers: Vec<ConvConfig>,
        /// After each layer's norm.
        activation: Activation,
    },
    /// Convolutions over three frames each, all mel bands as channels (Whisper, Radford et al. 2023). Sounds only.
    Frames {
        /// The stride of each layer, from the input up; every layer has as many channels as the blocks are wide.
        strides: Vec<i64>,
        /// After each layer.
        activation: Activation,
    },
}

/// One 3×3 convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Output channels.
    pub channels: i64,
    /// Stride over height and width (frames and mel bands).
    #[serde(default = "one_one")]
    pub stride: [i64; 2],
    /// Adds the layer's input to its output, before the activation; needs stride 1 and equal channels.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub residual: bool,
}

fn one_one() -> [i64; 2] {
    [1, 1]
}

/// A pointwise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x Φ(x), exact.
    #[default]
    Gelu,
    /// The approximation of GELU by a hyperbolic tangent (Hendrycks & Gimpel 2016).
    GeluTanh,
    /// x σ(1.702 x), the approximation that OpenAI's CLIP was trained with.
    QuickGelu,
    /// x σ(x).
    Silu,
}

/// Bounds that keep a configuration from a stranger's file buildable: no tensor can outgrow memory by its numbers alone.
const MOST: i64 = 1 << 20;

/// Refuses a `value` that is not 1 to `most`, by its key.
///
/// # Errors
/// [`Error::Config`].
pub fn within(field: &str, value: i64, most: i64) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected 1 to {most}, found {value}")))
}

fn probability(field: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected a probability below 1, found {value}")))
}

impl ModelConfig {
    /// Whether there is an audio tower of either kind.
    pub fn hears(&self) -> bool {
        self.audio.is_some() || self.htsat.is_some()
    }

    /// Checks every size before anything is allocated.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self) -> Result<()> {
        within("embed_dim", self.embed_dim, 1 << 16)?;
        if self.text.is_none() && self.image.is_none() && !self.hears() {
            return Err(Error::config("model", "expected at least one of text, image, audio; found none"));
        }
        if let Some(t) = &self.text {
            within("text.vocab_size", t.vocab_size, 1 << 24)?;
            within("text.context_length", t.context_length, MOST)?;
            probability("text.token_dropout", t.token_dropout)?;
            t.transformer.validate("text.transformer")?;
            no_messages("text.transformer", &t.transformer)?;
            t.pooling.validate("text.pooling", 0)?;
            if let Pooling::End(id) = t.pooling {
                token_id("text.pooling.end", id)?;
            }
            if let Some(class) = t.class_token {
                token_id("text.class_token.pad", class.pad)?;
            }
            if t.class_token.is_some() && (t.pooling != Pooling::Last || !t.transformer.causal) {
                return Err(Error::config("text.class_token", "needs pooling \"last\" and causal blocks"));
            }
            t.projection.validate("text.projection", t.out_width(), self.embed_dim)?;
        }
        if let Some(i) = &self.image {
            within("image.size", i.size.sides[0], 1 << 14)?;
            within("image.size", i.size.sides[1], 1 << 14)?;
            i.stem.validate("image.stem", i.size.sides)?;
            i.transformer.validate("image.transformer")?;
            prefix("image.prefix", i.prefix)?;
            let t = &i.transformer;
            if t.messages && (i.prefix == 0 || t.norm == NormPlace::Post || t.relative.is_some() || t.causal)
            {
                return Err(Error::config(
                    "image.transformer.messages",
                    "needs a prefix token and plain pre-norm blocks: neither relative nor causal",
                ));
            }
            i.pooling.validate("image.pooling", i.prefix)?;
            no_ids("image.pooling", i.pooling)?;
            if matches!(i.stem, StemConfig::Frames { .. }) {
                return Err(Error::config("image.stem.kind", "frames are of sounds; expected patch or conv"));
            }
            if i.flexible && !matches!(i.stem, StemConfig::Patch { stride: None, .. }) {
                return Err(Error::config("image.flexible", "needs a patch stem without overlap"));
            }
            i.projection.validate("image.projection", i.out_width(), self.embed_dim)?;
        }
        if let Some(a) = &self.audio {
            within("audio.mels", a.mels, 4096)?;
            within("audio.max_frames", a.max_frames, MOST)?;
            a.stem.validate("audio.stem", [a.max_frames, a.mels])?;
            a.transformer.validate("audio.transformer")?;
            no_messages("audio.transformer", &a.transformer)?;
            prefix("audio.prefix", a.prefix)?;
            a.pooling.validate("audio.pooling", a.prefix)?;
            no_ids("audio.pooling", a.pooling)?;
            if a.prefix > 0 && !a.grid {
                return Err(Error::config("audio.prefix", "needs grid = true"));
            }
            if a.grid && !matches!(a.stem, StemConfig::Patch { .. }) {
                return Err(Error::config("audio.grid", "needs a patch stem"));
            }
            a.projection.validate("audio.projection", a.out_width(), self.embed_dim)?;
        }
        if let Some(h) = &self.htsat {
            if self.audio.is_some() {
                return Err(Error::config("htsat", "expected one audio tower, found audio besides"));
            }
            h.validate()?;
            h.projection.validate("htsat.projection", h.out_width(), self.embed_dim)?;
        }
        match &self.video {
            Some(video) => video.validate(self),
            None => Ok(()),
        }
    }

    /// Width of the pooled vector of the audio tower; 0 without one.
    pub(crate) fn heard_width(&self) -> i64 {
        let audio = self.audio.as_ref().map(AudioConfig::out_width);
        audio.or(self.htsat.as_ref().map(HtsatConfig::out_width)).unwrap_or(0)
    }
}

fn no_messages(at: &str, t: &TransformerConfig) -> Result<()> {
    if t.messages {
        return Err(Error::config(format!("{at}.messages"), "belongs to an image tower"));
    }
    Ok(())
}

fn prefix(field: &str, value: i64) -> Result<()> {
    if (0..=4096).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected 0 to 4096, found {value}")))
}

/// Larger than any vocabulary is an id that no tokenizer gives.
fn token_id(field: &str, id: i64) -> Result<()> {
    if (-1..1 << 24).contains(&id) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected a token's id below 16777216, or -1 for none, found {id}")))
}

fn no_ids(field: &str, pooling: Pooling) -> Result<()> {
    if matches!(pooling, Pooling::Highest | Pooling::End(_)) {
        return Err(Error::config(field, "pools by token ids, which only texts have"));
    }
    Ok(())
}

impl Pooling {
    fn validate(self, at: &str, prefix: i64) -> Result<()> {
        if self == Self::Prefix && prefix == 0 {
            return Err(Error::config(at, "the mean of the prefix tokens, of which there are none"));
        }
        if let Self::Queries { width, heads, count } = self {
            within(&format!("{at}.width"), width, 1 << 16)?;
            within(&format!("{at}.heads"), heads, 1 << 12)?;
            within(&format!("{at}.count"), count, 1 << 16)?;
            if width % heads != 0 {
                return Err(Error::config(
                    format!("{at}.heads"),
                    format!("{heads} does not divide width {width}"),
                ));
            }
        }
        Ok(())
    }

    /// Width of the pooled vector of tokens of this width.
    pub fn out_width(self, tokens: i64) -> i64 {
        if let Self::Queries { width, .. } = self { width } else { tokens }
    }
}

impl ProjectionConfig {
    fn validate(self, at: &str, width: i64, embed_dim: i64) -> Result<()> {
        match self {
            Self::None if width != embed_dim => Err(Error::config(
                at,
                format!("none, but the tower's width {width} is not embed_dim {embed_dim}"),
            )),
            Self::Mlp { hidden, .. } => within(&format!("{at}.hidden"), hidden, 1 << 16),
            _ => Ok(()),
        }
    }
}

impl TextConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.transformer.width)
    }
}

impl ImageConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.transformer.width)
    }
}

impl AudioConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.transformer.width)
    }
}

impl TransformerConfig {
    /// Blocks of these sizes, everything else at its default.
    pub fn new(width: i64, depth: i64, heads: i64) -> Self {
        Self {
            width,
            depth,
            heads,
            mlp_ratio: four(),
            dropout: 0.0,
            drop_path: 0.0,
            activation: Activation::default(),
            gated: false,
            norm: NormPlace::default(),
            norm_eps: eps(),
            input_norm: false,
            final_norm: FinalNorm::default(),
            layer_scale: None,
            causal: false,
            relative: None,
            messages: false,
        }
    }

    /// Checks every size; `at`: the key of this table.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self, at: &str) -> Result<()> {
        within(&format!("{at}.width"), self.width, 1 << 16)?;
        within(&format!("{at}.heads"), self.heads, 1 << 12)?;
        if !(0..=1024).contains(&self.depth) {
            return Err(Error::config(
                format!("{at}.depth"),
                format!("expected 0 to 1024, found {}", self.depth),
            ));
        }
        if self.width % self.heads != 0 {
            let (w, h) = (self.width, self.heads);
            return Err(Error::config(
                format!("{at}.heads"),
                format!("{h} does not divide width {w}; choose a divisor, such as {}", nearest_divisor(w, h)),
            ));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) {
            let found = self.mlp_ratio;
            return Err(Error::config(format!("{at}.mlp_ratio"), format!("expected 0 to 64, found {found}")));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            let found = self.norm_eps;
            return Err(Error::config(format!("{at}.norm_eps"), format!("expected 0 to 1, found {found}")));
        }
        if let Some(r) = self.relative {
            within(&format!("{at}.relative.buckets"), r.buckets, 1 << 16)?;
            within(&format!("{at}.relative.max_distance"), r.max_distance, MOST)?;
            if r.buckets % 4 != 0 || r.max_distance <= r.buckets / 4 {
                return Err(Error::config(
                    format!("{at}.relative"),
                    "needs buckets divisible by 4 and a max_distance above a quarter of them",
                ));
            }
        }
        if let Some(init) = self.layer_scale.filter(|v| !(-1e6..=1e6).contains(v)) {
            return Err(Error::config(
                format!("{at}.layer_scale"),
                format!("expected -1000000 to 1000000, found {init}"),
            ));
        }
        probability(&format!("{at}.dropout"), self.dropout)?;
        probability(&format!("{at}.drop_path"), self.drop_path)
    }

    /// Hidden width of the feed-forward part.
    pub fn hidden(&self) -> i64 {
        ((self.width as f64 * self.mlp_ratio).round() as i64).max(1)
    }
}

fn ceil(a: i64, b: i64) -> i64 {
    (a + b - 1) / b
}

fn nearest_divisor(n: i64, near: i64) -> i64 {
    (1..=n).filter(|d| n % d == 0).min_by_key(|d| (d - near).abs()).unwrap_or(1)
}

impl StemConfig {
    fn validate(&self, at: &str, input: [i64; 2]) -> Result<()> {
        match self {
            Self::Patch { size, stride } => {
                for axis in 0..2 {
                    within(&format!("{at}.size"), size[axis], input[axis])?;
                    if let Some(stride) = stride {
                        within(&format!("{at}.stride"), stride[axis], size[axis])?;
                    }
                }
                if stride.is_none() && input[1] % size[1] != 0 {
                    return Err(Error::config(
                        format!("{at}.size"),
                        format!("patch of {} does not divide the input's {}", size[1], input[1]),
                    ));
                }
            }
            Self::Frames { strides, .. } => {
                if strides.is_empty() || strides.len() > 16 {
                    let n = strides.len();
                    return Err(Error::config(
                        format!("{at}.strides"),
                        format!("expected 1 to 16, found {n}"),
                    ));
                }
                for stride in strides {
                    within(&format!("{at}.strides"), *stride, 16)?;
                }
            }
            Self::Conv { layers, .. } => {
                if layers.is_empty() || layers.len() > 256 {
                    let n = layers.len();
                    return Err(Error::config(
                        format!("{at}.layers"),
                        format!("expected 1 to 256, found {n}"),
                    ));
                }
                let mut channels = 0;
                for (i, l) in layers.iter().enumerate() {
                    within(&format!("{at}.layers[{i}].channels"), l.channels, 1 << 14)?;
                    within(&format!("{at}.layers[{i}].stride"), l.stride[0].min(l.stride[1]), 16)?;
                    within(&format!("{at}.layers[{i}].stride"), l.stride[0].max(l.stride[1]), 16)?;
                    if l.residual && (l.stride != [1, 1] || l.channels != channels) {
                        return Err(Error::config(
                            format!("{at}.layers[{i}].residual"),
                            format!("needs stride 1 and as many channels as the layer before ({channels})"),
                        ));
                    }
                    channels = l.channels;
                }
            }
        }
        Ok(())
    }

    /// Height and width of the grid of tokens for an input of this height and width.
    pub fn grid(&self, input: [i64; 2]) -> [i64; 2] {
        match self {
            Self::Patch { size, stride: None } => [ceil(input[0], size[0]), ceil(input[1], size[1])],
            Self::Patch { size, stride: Some(stride) } => {
                [0, 1].map(|axis| (input[axis] - size[axis]) / stride[axis] + 1)
            }
            Self::Frames { strides, .. } => [strides.iter().fold(input[0], |n, s| ceil(n, *s)), 1],
            Self::Conv { layers, .. } => {
                layers.iter().fold(input, |[h, w], l| [ceil(h, l.stride[0]), ceil(w, l.stride[1])])
            }
        }
    }

    /// Frames that one step along the first axis covers.
    pub fn stride(&self) -> i64 {
        match self {
            Self::Patch { size, stride } => stride.unwrap_or(*size)[0],
            Self::Frames { strides, .. } => strides.iter().product(),
            Self::Conv { layers, .. } => layers.iter().map(|l| l.stride[0]).product(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformer(width: i64, heads: i64) -> TransformerConfig {
        TransformerConfig::new(width, 1, heads)
    }

    fn text(width: i64, heads: i64) -> ModelConfig {
        let text = TextConfig {
            vocab_size: 10,
            context_length: 4,
            transformer: transformer(width, heads),
            pooling: Pooling::Mean,
            token_dropout: 0.0,
            class_token: None,
            pooler: false,
            projection: ProjectionConfig::default(),
        };
        ModelConfig {
            embed_dim: 8,
            text: Some(text),
            image: None,
            audio: None,
            htsat: None,
            video: None,
            logit_bias: false,
        }
    }

    #[test]
    fn heads_must_divide_width() {
        text(12, 3).validate().unwrap();
        let e = text(192, 5).validate().unwrap_err().to_string();
        assert_eq!(e, "text.transformer.heads: 5 does not divide width 192; choose a divisor, such as 4");
    }

    #[test]
    fn impossible_sizes_are_named() {
        let mut c = text(12, 3);
        c.embed_dim = 0;
        assert!(c.validate().unwrap_err().to_string().starts_with("embed_dim: expected 1 to"));
        let none = ModelConfig {
            embed_dim: 8,
            text: None,
            image: None,
            audio: None,
            htsat: None,
            video: None,
            logit_bias: false,
        };
        assert!(none.validate().is_err());
    }

    #[test]
    fn unknown_keys_are_errors() {
        let mut v = serde_json::to_value(text(12, 3)).unwrap();
        v["text"]["hight"] = 3.into();
        assert!(serde_json::from_value::<ModelConfig>(v).unwrap_err().to_string().contains("hight"));
    }

    #[test]
    fn grids_round_up() {
        let conv = StemConfig::Conv {
            layers: vec![
                ConvConfig { channels: 4, stride: [2, 2], residual: false },
                ConvConfig { channels: 4, stride: [2, 1], residual: false },
            ],
            activation: Activation::Relu,
        };
        assert_eq!(conv.grid([9, 7]), [3, 4]);
        assert_eq!(conv.stride(), 4);
    }
}
