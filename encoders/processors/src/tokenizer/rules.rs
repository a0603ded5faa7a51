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
}

impl TextRules {
    /// Refuses an id that the embedding of `vocab_size` rows has not; `at`: the key of this table.
    ///
    /// # Errors
    /// The id, with its key.
    pub fn validate(&self, at: &str, vocab_size: i64) -> Result<()> {
        match self.fixed_pad {
            Some(pad) if !(0..vocab_size).contains(&pad) => Err(Error::config(
                format!("{at}.fixed_pad"),
                format!("expected 0 to {}, found {pad}", vocab_size - 1),
            )),
            _ => Ok(()),
        }
    }
}
