//! What a fusion Transformer is made of: read from `fusion.json`, from a recipe's `[fusion]` table, and from other libraries' files.

mod generation;
mod stack;

use crate::bounds::{VOCABULARY, range};
use crate::{Error, Result};
pub use generation::{EarlyStopping, Generation};
use serde::{Deserialize, Serialize};
pub use stack::{LanguageHead, StackConfig};
use unisono_encoders::Modality;
pub use unisono_nn::config::CrossPlace;
use unisono_nn::config::within;

fn size(key: &str, value: usize, least: i64, most: i64) -> Result<()> {
    range(key, i64::try_from(value).unwrap_or(i64::MAX), least, most)
}

/// The fusion part of a model: `fusion.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// What the stacks attend to.
    pub memory: MemoryConfig,
    /// The stack that reads texts in both directions; absent: the writing one reads too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<StackConfig>,
    /// The stack that writes texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<StackConfig>,
    /// There is a matching head.
    #[serde(default)]
    pub matching: bool,
    /// The matching head looks at a text's last token and not at its first.
    #[serde(default)]
    pub last_token: bool,
    /// The reader considers a question, the writer attends to what it makes of it (BLIP's question answering).
    #[serde(default)]
    pub answers: bool,
    /// Ids that mean something.
    pub tokens: Tokens,
    /// How texts are generated, where nobody says otherwise.
    #[serde(default)]
    pub generation: Generation,
    /// The words that the writer knows, each as its tokens: it writes no others. Empty: any token may follow any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Vec<i64>>,
    /// The writer writes what is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech: Option<SpeechConfig>,
}

/// What the stacks attend to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum MemoryConfig {
    /// One tower's tokens as they are.
    Tower {
        /// Whose.
        modality: Modality,
        /// So many of the first are left out (CoCa's pooled one).
        #[serde(default)]
        skip: i64,
    },
    /// Tokens of any towers, one sequence after another, each projected to one width and told by its modality and frame.
    Own {
        /// The width.
        width: i64,
        /// Whose tokens.
        modalities: Vec<Modality>,
        /// Most frames of a video; 1: images only.
        #[serde(default = "one")]
        frames: i64,
        /// In place of its tokens, an item's vector in the shared space is made so many tokens, by one layer whichever modality it is of (ClipCap,
        /// Mokady et al. 2021). 0: its tokens.
        #[serde(default, skip_serializing_if = "is_zero")]
        prefix: i64,
    },
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn one() -> i64 {
    1
}

/// Ids that mean something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Begins what is written.
    pub start: i64,
    /// End what is written.
    pub end: Vec<i64>,
    /// Fills rows up.
    pub pad: i64,
    /// What the tokenizer puts before a text, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<i64>,
}

/// Ids and rules of a model that writes what is said (Whisper, Radford et al. 2023).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeechConfig {
    /// Language code → id; empty: English only.
    #[serde(default)]
    pub languages: std::collections::BTreeMap<String, i64>,
    /// The ids of the tasks; absent: English only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcribe: Option<i64>,
    /// See `transcribe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translate: Option<i64>,
    /// The id that says that no times are wanted; those of the times follow it.
    pub no_timestamps: i64,
    /// The id before the text of earlier windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<i64>,
    /// The first time may be at most so many steps from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_initial_timestamp: Option<i64>,
    /// Spectrogram frames of a window.
    pub frames: usize,
    /// Spectrogram frames to one step of time.
    pub stride: usize,
}

impl FusionConfig {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self) -> Result<()> {
        for (name, stack) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            if let Some(stack) = stack {
                stack.validate(name)?;
            }
        }
        let Some(first) = self.decoder.as_ref().or(self.encoder.as_ref()) else {
            return Err(Error::Config("fusion: expected an encoder, a decoder, or both".into()));
        };
        if self.answers && (self.encoder.is_none() || self.decoder.is_none()) {
            return Err(Error::Config("fusion.answers: needs an encoder and a decoder".into()));
        }
        self.memory.validate()?;
        self.tokens.validate(first.vocab_size - 1)?;
        self.generation.validate()?;
        size("words", self.words.len(), 0, 1 << 20)?;
        self.words.iter().flatten().try_for_each(|id| range("words", *id, 0, first.vocab_size - 1))?;
        if let Some(speech) = &self.speech {
            speech.validate(first.vocab_size - 1)?;
        }
        Ok(())
    }
}

impl MemoryConfig {
    /// Whether items are seen by their vectors, and no tokens of towers are wanted.
    pub const fn by_vectors(&self) -> bool {
        matches!(self, Self::Own { prefix: 1.., .. })
    }

    fn validate(&self) -> Result<()> {
        match self {
            Self::Tower { skip, .. } => range("memory.skip", *skip, 0, 1 << 16),
            Self::Own { width, modalities, frames, prefix } => {
                within("memory.width", *width, 1 << 16)?;
                range("memory.prefix", *prefix, 0, 1024)?;
                within("memory.frames", *frames, 4096)?;
                let twice = modalities.iter().enumerate().any(|(i, m)| modalities[..i].contains(m));
                if modalities.is_empty() || twice {
                    return Err(Error::Config(format!(
                        "memory.modalities: expected one or more, each once, found {}",
                        modalities.len()
                    )));
                }
                Ok(())
            }
        }
    }
}

impl Tokens {
    /// `last`: the vocabulary's last id.
    fn validate(&self, last: i64) -> Result<()> {
        range("tokens.start", self.start, 0, last)?;
        range("tokens.pad", self.pad, 0, last)?;
        size("tokens.end", self.end.len(), 1, 64)?;
        self.end
            .iter()
            .chain(&self.first)
            .try_for_each(|id| range("tokens.end and tokens.first", *id, 0, last))
    }
}

impl SpeechConfig {
    /// `last`: the vocabulary's last id.
    fn validate(&self, last: i64) -> Result<()> {
        size("speech.frames", self.frames, 1, 1 << 20)?;
        size("speech.stride", self.stride, 1, 64)?;
        size("speech.languages", self.languages.len(), 0, 1024)?;
        for (language, id) in &self.languages {
            range(&format!("speech.languages.{language}"), *id, 0, last)?;
        }
        // Below 0 where a vocabulary has no times at all; what asks for the id before it says so.
        range("speech.no_timestamps", self.no_timestamps, -VOCABULARY, last)?;
        for (key, id) in
            [("transcribe", self.transcribe), ("translate", self.translate), ("previous", self.previous)]
        {
            id.map_or(Ok(()), |id| range(&format!("speech.{key}"), id, 0, last))?;
        }
        self.max_initial_timestamp.map_or(Ok(()), |n| range("speech.max_initial_timestamp", n, 0, 1 << 20))
    }
}
