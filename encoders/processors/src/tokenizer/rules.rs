//! What a text goes through besides its tokenizer.

use super::clean::Cleaning;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What happens to a text besides its tokenizer; a part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRules {
    /// Before the tokenizer.
    #[serde(default)]
    pub clean: Cleaning,
    /// Every text is padded to the context length with this id, and the padding is attended to like any token (SigLIP). Without
    /// it texts are padded to the longest of their batch, and the padding is masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_pad: Option<i64>,
    /// Tokens of this id become 0 (OpenCLIP's `strip_sep_token`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripped: Option<i64>,
    /// A text that spells out the token of this id is refused: its library takes it for padding, and does not count its position (RoBERTa) or does
    /// not attend to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<i64>,
    /// The tokenizer's own tokens are not put around a text, and a text that is cut has no last one to keep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_special: bool,
}

impl TextRules {
    /// Refuses ids that the embedding of `vocab_size` rows has not; `at`: the key of this table.
    ///
    /// # Errors
    /// The id, with its key.
    pub fn validate(&self, at: &str, vocab_size: i64) -> Result<()> {
        for (key, id) in
            [("fixed_pad", self.fixed_pad), ("stripped", self.stripped), ("padding", self.padding)]
        {
            if let Some(id) = id.filter(|id| !(0..vocab_size).contains(id)) {
                let message = format!("expected 0 to {}, found {id}", vocab_size - 1);
                return Err(Error::config(format!("{at}.{key}"), message));
            }
        }
        Ok(())
    }
}
