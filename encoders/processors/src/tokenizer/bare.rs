//! SigLIP's tokenizer, whose texts are cleaned between the special tokens that they spell out.

use super::charsmap::Charsmap;
use super::clean::Cleaning;
use crate::{Error, Result};
use base64::Engine;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{NormalizerWrapper, Tokenizer};

/// SigLIP's tokens that a text may spell out; white space around them is dropped.
pub(crate) const SPECIAL: [&str; 2] = ["</s>", "<unk>"];

/// SigLIP's tokenizer without its normaliser, which comes after the cleaning of each part between special tokens.
#[derive(Debug, Clone)]
pub(crate) struct Bare {
    /// For a text's beginning, which begins a word.
    pub(crate) first: Tokenizer,
    /// For what follows a special token, which does not.
    later: Tokenizer,
    pub(crate) map: Charsmap,
}

impl Bare {
    pub(crate) fn new(tokenizer: &Tokenizer) -> Option<Box<Self>> {
        let map = charsmap(tokenizer)?;
        let mut first = tokenizer.clone();
        first.with_normalizer(None::<NormalizerWrapper>);
        let mut later = first.clone();
        later.with_pre_tokenizer(Some(Metaspace::new('\u{2581}', PrependScheme::Never, true)));
        Some(Box::new(Self { first, later, map }))
    }

    /// Ids of a text that spells out special tokens; it is not ended twice.
    pub(crate) fn with_special(&self, text: &str) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        let mut rest = text;
        let mut tokenizer = &self.first;
        loop {
            let next = SPECIAL.iter().filter_map(|s| Some((rest.find(s)?, *s))).min();
            let part = Cleaning::Siglip.apply(next.map_or(rest, |(at, _)| &rest[..at]));
            if !part.is_empty() {
                let encoding =
                    tokenizer.encode_fast(self.map.normalize(&part), false).map_err(Error::tokenizer)?;
                ids.extend(encoding.get_ids().iter().map(|i| i64::from(*i)));
            }
            let Some((at, special)) = next else { break };
            ids.extend(self.first.token_to_id(special).map(i64::from));
            rest = &rest[at + special.len()..];
            tokenizer = &self.later;
        }
        let end = self.first.token_to_id(SPECIAL[0]).map(i64::from);
        if ids.last().copied() != end || ids.is_empty() {
            ids.extend(end);
        }
        Ok(ids)
    }
}

/// The normaliser of a tokenizer that was made from a SentencePiece model.
fn charsmap(tokenizer: &Tokenizer) -> Option<Charsmap> {
    fn find(value: &serde_json::Value) -> Option<&str> {
        if let Some(map) = value.get("precompiled_charsmap") {
            return map.as_str();
        }
        value.get("normalizers")?.as_array()?.iter().find_map(find)
    }
    let json = serde_json::to_value(tokenizer.get_normalizer()?).ok()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(find(&json)?).ok()?;
    Charsmap::new(&bytes).ok()
}
