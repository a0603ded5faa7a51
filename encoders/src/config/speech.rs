//! What writes down what an audio tower hears.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use unisono_nn::config::{CrossConfig, CrossPlace, FinalNorm, TransformerConfig, within};

/// A decoder behind an audio tower (Whisper's, Radford et al. 2023). It writes what it hears, the best token at a time; mean and maximum of what its
/// last block gives for each written token stand behind the tower's pooled vector.
///
/// Tokens above `end` stand for languages, tasks and times, as in Whisper's vocabulary: they are asked for, never written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeechDecoderConfig {
    /// Rows of the token embedding, by which tokens are scored, too.
    pub vocab_size: i64,
    /// Rows of the position embedding.
    pub context_length: i64,
    /// The blocks; causal, each with attention to the tower's tokens.
    pub transformer: TransformerConfig,
    /// The first token.
    pub start: i64,
    /// Tokens of the languages, of which the likeliest follows the first; empty: none follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<i64>,
    /// What follows that: the task, and that there are no times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompt: Vec<i64>,
    /// The token that ends a text.
    pub end: i64,
    /// Tokens that are never written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppress: Vec<i64>,
    /// Tokens that no text begins with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begin_suppress: Vec<i64>,
    /// Most tokens of a text, its end included.
    pub most: i64,
    /// The text tower reads what is written: its vector, of length 1 and of this width, which is the shared space's, stands behind mean and maximum,
    /// and is added to what the projection gives, times a learned factor. 0: nobody reads it.
    #[serde(default, skip_serializing_if = "nobody")]
    pub reads: i64,
}

fn nobody(reads: &i64) -> bool {
    *reads == 0
}

impl SpeechDecoderConfig {
    /// Width of mean and maximum together, and of the text's vector where the text tower reads it.
    pub fn out_width(&self) -> i64 {
        self.transformer.width.saturating_mul(2).saturating_add(self.reads)
    }

    /// The memory that the blocks attend to: tokens of width `width`.
    pub(crate) fn memory(&self, width: i64) -> CrossConfig {
        CrossConfig { width, place: CrossPlace::Inside, first: 0 }
    }

    pub(super) fn validate(&self, embed_dim: i64) -> Result<()> {
        const AT: &str = "audio.decoder";
        within(&format!("{AT}.vocab_size"), self.vocab_size, 1 << 20)?;
        within(&format!("{AT}.context_length"), self.context_length, 1 << 16)?;
        within(&format!("{AT}.most"), self.most, self.context_length)?;
        if self.reads != 0 && self.reads != embed_dim {
            let message = format!("expected 0 or embed_dim {embed_dim}, found {}", self.reads);
            return Err(Error::config(format!("{AT}.reads"), message));
        }
        let t = &self.transformer;
        t.validate(&format!("{AT}.transformer"))?;
        if !t.causal || t.relative.is_some() || t.messages || t.final_norm != FinalNorm::Tokens {
            let message =
                "expected causal blocks with a norm behind them, neither relative nor with messages";
            return Err(Error::config(format!("{AT}.transformer"), message));
        }
        let ids = [self.start, self.end].into_iter().chain(self.languages.iter().copied());
        let ids = ids.chain(self.prompt.iter().copied());
        for id in ids.chain(self.suppress.iter().copied()).chain(self.begin_suppress.iter().copied()) {
            if !(0..self.vocab_size).contains(&id) {
                let message = format!("expected tokens of 0 to below {}, found {id}", self.vocab_size);
                return Err(Error::config(AT, message));
            }
        }
        let before = self.before();
        if before + self.most > self.context_length {
            let message = format!(
                "{} tokens after {before} of the prompt, but there are {} places: expected fewer",
                self.most, self.context_length
            );
            return Err(Error::config(format!("{AT}.most"), message));
        }
        Ok(())
    }

    /// Tokens before the first written one.
    pub(crate) fn before(&self) -> i64 {
        1 + i64::from(!self.languages.is_empty()) + i64::try_from(self.prompt.len()).unwrap_or(i64::MAX >> 1)
    }
}
