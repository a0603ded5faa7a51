//! What a model is made of: read from `config.json` and from a recipe's `[model]` table.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

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
}

/// A stack of pre-norm Transformer blocks.
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
}

fn four() -> f64 {
    4.0
}

/// How tokens `[B, T, W]` become one vector `[B, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the valid tokens.
    Mean,
    /// The first token.
    First,
    /// The last valid token.
    Last,
    /// One learned attention distribution a head over the valid tokens.
    Attention,
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
}

/// The image tower: stem, position embeddings, blocks, final norm, pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Input pictures are `size` × `size` pixels.
    pub size: i64,
    /// From pixels to tokens.
    pub stem: StemConfig,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Pooling.
    pub pooling: Pooling,
}

/// The audio tower over log-mel spectrograms `[B, T, M]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioConfig {
    /// Mel bands M.
    pub mels: i64,
    /// Longest input, in spectrogram frames; longer sounds are cut.
    pub max_frames: i64,
    /// From spectrogram to tokens; the frequency axis is folded into the channels.
    pub stem: StemConfig,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Pooling.
    pub pooling: Pooling,
}

/// From a picture or spectrogram to a grid of features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum StemConfig {
    /// One convolution whose kernel is its stride (Dosovitskiy et al. 2021).
    Patch {
        /// Patch height and width: pixels, or frames and mel bands.
        size: [i64; 2],
    },
    /// A stack of 3×3 convolutions, each with batch norm and an activation (Xiao et al. 2021): small data learn faster.
    Conv {
        /// The layers from the input up.
        layers: Vec<ConvConfig>,
        /// After each layer's norm.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x Φ(x), exact.
    Gelu,
    /// x σ(x).
    Silu,
}

/// Bounds that keep a configuration from a stranger's file buildable: no tensor can outgrow memory by its numbers alone.
const MOST: i64 = 1 << 20;

fn within(field: &str, value: i64, most: i64) -> Result<()> {
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
    /// Checks every size before anything is allocated.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self) -> Result<()> {
        within("embed_dim", self.embed_dim, 1 << 16)?;
        if self.text.is_none() && self.image.is_none() && self.audio.is_none() {
            return Err(Error::config("model", "expected at least one of text, image, audio; found none"));
        }
        if let Some(t) = &self.text {
            within("text.vocab_size", t.vocab_size, 1 << 24)?;
            within("text.context_length", t.context_length, MOST)?;
            probability("text.token_dropout", t.token_dropout)?;
            t.transformer.validate("text.transformer")?;
        }
        if let Some(i) = &self.image {
            within("image.size", i.size, 1 << 14)?;
            i.stem.validate("image.stem", [i.size, i.size])?;
            i.transformer.validate("image.transformer")?;
        }
        if let Some(a) = &self.audio {
            within("audio.mels", a.mels, 4096)?;
            within("audio.max_frames", a.max_frames, MOST)?;
            a.stem.validate("audio.stem", [a.max_frames, a.mels])?;
            a.transformer.validate("audio.transformer")?;
        }
        Ok(())
    }
}

impl TransformerConfig {
    fn validate(&self, at: &str) -> Result<()> {
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
            Self::Patch { size } => {
                for axis in 0..2 {
                    within(&format!("{at}.size"), size[axis], input[axis])?;
                }
                if input[1] % size[1] != 0 {
                    return Err(Error::config(
                        format!("{at}.size"),
                        format!("patch of {} does not divide the input's {}", size[1], input[1]),
                    ));
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
            Self::Patch { size } => [ceil(input[0], size[0]), ceil(input[1], size[1])],
            Self::Conv { layers, .. } => {
                layers.iter().fold(input, |[h, w], l| [ceil(h, l.stride[0]), ceil(w, l.stride[1])])
            }
        }
    }

    /// Frames that one step along the first axis covers.
    pub fn stride(&self) -> i64 {
        match self {
            Self::Patch { size } => size[0],
            Self::Conv { layers, .. } => layers.iter().map(|l| l.stride[0]).product(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformer(width: i64, heads: i64) -> TransformerConfig {
        TransformerConfig { width, depth: 1, heads, mlp_ratio: 4.0, dropout: 0.0, drop_path: 0.0 }
    }

    fn text(width: i64, heads: i64) -> ModelConfig {
        let text = TextConfig {
            vocab_size: 10,
            context_length: 4,
            transformer: transformer(width, heads),
            pooling: Pooling::Mean,
            token_dropout: 0.0,
        };
        ModelConfig { embed_dim: 8, text: Some(text), image: None, audio: None }
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
        let none = ModelConfig { embed_dim: 8, text: None, image: None, audio: None };
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
