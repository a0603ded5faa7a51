//! Two texts as one sequence, as a model reads them that compares them.

use super::TextProcessor;
use crate::{Cleaning, Error, Result};
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};
use tokenizers::{Encoding, PostProcessor};

/// Two texts as one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Token ids with what the tokenizer puts before, between and behind the texts.
    pub ids: Vec<i64>,
    /// Of each id: it is of the second segment, as the tokenizer's template for pairs says.
    pub second: Vec<bool>,
}

impl TextProcessor {
    /// Two texts as one sequence of at most the context length. Where they are too long, tokens are cut off the end of the longer one until both are as
    /// long, then off both (`longest_first` of `transformers`).
    ///
    /// # Errors
    /// The tokenizer's own; a tokenizer whose library makes no pairs.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Pair> {
        if self.simple || self.bare.is_some() || self.rules.clean != Cleaning::None {
            return Err(Error::Input("this model's tokenizer makes no pairs of texts".into()));
        }
        let (first, second) = (self.bare_text(first)?, self.bare_text(second)?);
        let added = self.tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(true));
        let max_length = self.context_length.saturating_sub(added);
        let params = TruncationParams { max_length, ..TruncationParams::default() };
        let (first, second) = truncate_encodings(first, Some(second), &params).map_err(Error::tokenizer)?;
        let whole = self.tokenizer.post_process(first, second, true).map_err(Error::tokenizer)?;
        let second = whole.get_type_ids().iter().map(|segment| *segment == 1).collect();
        Ok(Pair { ids: self.checked(whole.get_ids())?, second })
    }

    /// A text without the tokens that are put around it.
    fn bare_text(&self, text: &str) -> Result<Encoding> {
        self.short(text)?;
        self.tokenizer.encode_fast(text, false).map_err(Error::tokenizer)
    }
}
