//! The text, image and audio towers, and what they begin and end with.

use super::{ModuleConfig, SpeechDecoderConfig};
use serde::{Deserialize, Serialize};
use unisono_nn::config::{Activation, TransformerConfig};
use unisono_processors::Size;

fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
}

/// How tokens `[B, T, W]` become one vector `[B, W]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the valid tokens that are no prefix tokens.
    Mean,
    /// Their sum, divided by the root of how many they are.
    MeanSqrt,
    /// Their mean, each weighted by its place from 1 on.
    WeightedMean,
    /// Of each feature the largest among them.
    Max,
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
    /// Several, one vector after another.
    Concat(Vec<Pooling>),
}

/// From a pooled vector to the shared space.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
        /// Each number of the pooled vector is brought to mean 0 and deviation 1 before them, by its mean and deviation over the data of the training:
        /// parts of several towers and poolings are of several sizes.
        #[serde(default, skip_serializing_if = "is_default")]
        norm: bool,
        /// Dropout before the first, while it is trained.
        #[serde(default, skip_serializing_if = "is_default")]
        input_dropout: f64,
        /// Dropout before the second, while it is trained.
        #[serde(default, skip_serializing_if = "is_default")]
        dropout: f64,
    },
}

impl ProjectionConfig {
    /// Two linear layers as most checkpoints have them.
    pub fn mlp(hidden: i64, activation: Activation, bias: bool) -> Self {
        Self::Mlp { hidden, activation, bias, norm: false, input_dropout: 0.0, dropout: 0.0 }
    }
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
    /// Tokens have learned position embeddings, unless the blocks are rotary. Without them and without blocks the order of words is not
    /// seen (StaticEmbedding of sentence-transformers).
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub positions: bool,
    /// Pooling.
    pub pooling: Pooling,
    /// The tokens of a prompt are pooled like those of the text after it.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub include_prompt: bool,
    /// Probability that a token is dropped from the sequence while training.
    #[serde(default)]
    pub token_dropout: f64,
    /// A learned token is appended at the end of the padded sequence, sees all real tokens, and is what `last` pools (CoCa).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_token: Option<ClassToken>,
    /// The pooled vector goes through a linear layer and tanh (BERT's pooler).
    #[serde(default, skip_serializing_if = "is_default")]
    pub pooler: bool,
    /// What the pooled vector goes through (the modules of sentence-transformers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleConfig>,
    /// From the pooled vector to the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub projection: ProjectionConfig,
}

impl TextConfig {
    /// A tower of these sizes that pools by the mean, everything else at its default.
    pub fn new(vocab_size: i64, context_length: i64, transformer: TransformerConfig) -> Self {
        Self {
            vocab_size,
            context_length,
            transformer,
            positions: true,
            pooling: Pooling::Mean,
            include_prompt: true,
            token_dropout: 0.0,
            class_token: None,
            pooler: false,
            modules: Vec::new(),
            projection: ProjectionConfig::default(),
        }
    }
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

/// A Transformer over the patches of an image: stem, position embeddings, blocks, final norm, pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Size of the input images, in pixels.
    pub size: Size,
    /// From pixels to tokens.
    pub stem: StemConfig,
    /// Images keep their aspect ratio (NaFlex, Tschannen et al. 2025): any multiple of the patch; `size` is
    /// the grid that was trained. The position embeddings are resized to each image's grid, bilinear, antialiased.
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
pub struct SpectrogramConfig {
    /// Mel bands M.
    pub mels: i64,
    /// Longest input, in spectrogram frames; longer audio files are cut.
    pub max_frames: i64,
    /// From spectrogram to tokens; the frequency axis is folded into the channels unless `grid` is set.
    pub stem: StemConfig,
    /// Every cell of the stem's grid of frames and bands is a token, band after band (AST). Audio files have exactly `max_frames`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grid: bool,
    /// Learned tokens before the others; needs `grid`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prefix: i64,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Pooling.
    pub pooling: Pooling,
    /// A decoder whose states stand behind the pooled vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<Box<SpeechDecoderConfig>>,
    /// From the pooled vector to the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub projection: ProjectionConfig,
}

/// From an image or spectrogram to a grid of features.
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
    /// Convolutions over three frames each, all mel bands as channels (Whisper, Radford et al. 2023). Audio files only.
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

fn yes() -> bool {
    true
}

fn one_one() -> [i64; 2] {
    [1, 1]
}
