//! What the text tower sees of a caption's tokens, where an augmentation leaves some out.

use crate::{Error, Result};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use unisono_datasets::augment::TextAugment;
use unisono_datasets::{Stage, timed};
use unisono_processors::TextProcessor;

/// What the augmentation has to know of a tokenizer.
#[derive(Default)]
pub(crate) struct Words {
    /// Tokens of the prompt before each text.
    prompt: usize,
    special: BTreeSet<i64>,
    mask: Option<i64>,
}

impl Words {
    pub(crate) fn of(text: &TextProcessor, augment: &TextAugment) -> Result<Self> {
        let words = Self { prompt: text.prompt_tokens()?, special: text.special_ids(), mask: text.mask_id() };
        if augment.mask > 0.0 && words.mask.is_none() {
            let message =
                "the tokenizer has no mask token ([MASK] or <mask>): leave tokens out with augment.text.drop";
            return Err(Error::setting("augment.text.mask", message));
        }
        Ok(words)
    }

    /// The tokens that the text tower sees; `None`: all.
    pub(crate) fn thinned(
        &self,
        augment: &TextAugment,
        ids: &[i64],
        stream: &mut ChaCha8Rng,
    ) -> Option<Vec<i64>> {
        let fixed = |at, id| at < self.prompt || self.special.contains(&id);
        let apply = || augment.apply(ids, fixed, self.mask, stream);
        (*augment != TextAugment::default()).then(|| timed(Stage::Augment, apply))
    }
}
