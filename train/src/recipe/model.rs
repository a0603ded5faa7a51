//! What a recipe says of the model: what its towers see, its tokenizer, its fusion part.

use serde::{Deserialize, Serialize};
use unisono_encoders::Modality;
use unisono_encoders::config::TransformerConfig;
use unisono_fusion::config::LanguageHead;
use unisono_processors::{ImageProcessor, MelConfig, Vocabulary};

/// The text tokenizer that a run trains.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// How words are cut: `bpe` or `words`.
    #[serde(default)]
    pub vocabulary: Vocabulary,
}

/// A fusion Transformer: one stack that reads and writes texts over the tokens of other modalities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionRecipe {
    /// Its blocks.
    pub transformer: TransformerConfig,
    /// Longest text, in tokens; longer captions are cut, the end token kept.
    #[serde(default = "thirty_two")]
    pub context_length: i64,
    /// Whose tokens it attends to.
    pub memory: Vec<Modality>,
    /// Most frames of a video; 1: images.
    #[serde(default = "single")]
    pub frames: i64,
    /// In place of a tower's tokens it attends to so many tokens that one layer makes of an item's vector in the shared space, whichever modality that is
    /// of (ClipCap, Mokady et al. 2021): kept features then serve it, too, and no frozen tower runs. No gradient flows into the vectors: captions do not bend the space. 0: to the tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prefix: i64,
    /// It writes words of the data's captions and no others; the loss is over their tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known_words: bool,
    /// Of the samples of a step it is told the texts of this share, drawn anew each time: it learns of fewer, and a step costs less.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub share: f64,
    /// From the last block to next-token scores: `tied` to the token embedding, or `own`.
    #[serde(default = "tied")]
    pub head: LanguageHead,
    /// Beams with which captions are generated, in evaluations and by default afterwards; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beams: Option<usize>,
}

fn all() -> f64 {
    1.0
}

fn is_all(share: &f64) -> bool {
    *share == all()
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn tied() -> LanguageHead {
    LanguageHead::Tied
}

fn thirty_two() -> i64 {
    32
}

fn single() -> i64 {
    1
}

/// The processors, a part of the model's contract. The text processor's tokenizer is trained on the captions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorConfig {
    /// For the image tower.
    #[serde(default)]
    pub image: Option<ImageProcessor>,
    /// For the audio tower.
    #[serde(default)]
    pub audio: Option<MelConfig>,
}
