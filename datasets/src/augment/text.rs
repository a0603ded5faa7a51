//! Tokens that are left out or hidden.

use rand::Rng;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::{chance, check_value};
use crate::Result;

/// Random changes to the tokens of a text that the text tower sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextAugment {
    /// Probability that a token is left out.
    pub drop: f32,
    /// Probability that a token which is not left out becomes the tokenizer's mask token.
    pub mask: f32,
}

impl TextAugment {
    /// Checks every parameter; call it before a run starts.
    ///
    /// # Errors
    /// [`crate::Error::Options`] naming the parameter, its allowed range and its value.
    pub fn validate(&self) -> Result<()> {
        check_value("drop", self.drop, [0.0, 1.0])?;
        check_value("mask", self.mask, [0.0, 1.0])
    }

    /// A changed copy of a text's `ids`; with the defaults it is equal. What `fixed` says of a place and its id (a prompt, the tokenizer's own
    /// tokens) stays, and of the others at least one. `mask`: the mask token's id; without one nothing is masked.
    pub fn apply(
        &self,
        ids: &[i64],
        fixed: impl Fn(usize, i64) -> bool,
        mask: Option<i64>,
        rng: &mut impl Rng,
    ) -> Vec<i64> {
        let mut seen: Vec<Option<i64>> = ids.iter().copied().map(Some).collect();
        let words: Vec<usize> =
            ids.iter().enumerate().filter(|(i, id)| !fixed(*i, **id)).map(|(i, _)| i).collect();
        let mut left = words.is_empty();
        for &word in &words {
            if chance(self.drop, rng) {
                seen[word] = None;
            } else if mask.is_some() && chance(self.mask, rng) {
                seen[word] = mask;
            } else {
                left = true;
            }
        }
        if !left && let Some(&word) = words.choose(rng) {
            seen[word] = Some(ids[word]);
        }
        seen.into_iter().flatten().collect()
    }
}

#[cfg(test)]
#[path = "../tests/augment_text.rs"]
mod tests;
