//! What records say in another language, by their labels: the second texts of pairs of languages.

use crate::recipe::Recipe;
use crate::{Error, Result};
use rand::Rng;
use rand::seq::IndexedRandom;
use std::collections::HashMap;
use unisono_datasets::{Record, Sampler, words};

/// By share: the captions of one language that its source's records of its split have, by label. Shared by threads.
#[derive(Debug, Default)]
pub(crate) struct Told {
    shares: Vec<Option<HashMap<String, Vec<String>>>>,
}

impl Told {
    /// Of the shares whose second texts are of another language.
    ///
    /// # Errors
    /// A source that has none of that language in the split that is drawn from.
    pub(crate) fn open(recipe: &Recipe, sampler: &Sampler) -> Result<Self> {
        let mut shares = Vec::new();
        for (config, share) in recipe.data.iter().zip(sampler.shares()) {
            let Some(lang) = config.caption.second_lang.as_deref() else {
                shares.push(None);
                continue;
            };
            let (source, mut texts) = (share.records.source(), HashMap::<String, Vec<String>>::new());
            for at in 0..source.len() {
                let key = source.key(at);
                let drawn = config.split.is_none() || key.split == config.split.as_deref();
                if !(drawn && key.text && key.lang == Some(lang)) {
                    continue;
                }
                // What cannot be read is named when it is drawn.
                let Ok(record) = source.record(at) else { continue };
                let known = texts.entry(record.key().to_owned()).or_default();
                for text in &record.text {
                    if !known.contains(text) {
                        known.push(text.clone());
                    }
                }
            }
            if texts.is_empty() {
                let message = format!(
                    "expected records of language {lang:?} in split {:?}, found none in {}",
                    config.split.as_deref().unwrap_or("(any)"),
                    config.source.name()
                );
                return Err(Error::setting(format!("data.{}.caption.second_lang", config.name), message));
            }
            shares.push(Some(texts));
        }
        Ok(Self { shares })
    }

    /// Whether second texts of a share are of another language.
    pub(crate) fn of(&self, share: usize) -> bool {
        self.shares.get(share).is_some_and(Option::is_some)
    }

    /// A text of a record's label in the other language, each with the same probability; `None` where there is none but the `first`.
    pub(crate) fn pick(&self, share: usize, r: &Record, first: &str, rng: &mut impl Rng) -> Option<String> {
        let texts = self.shares.get(share)?.as_ref()?.get(r.key())?;
        let others: Vec<&String> =
            texts.iter().filter(|text| words::folded(text) != words::folded(first)).collect();
        others.choose(rng).map(|text| (*text).clone())
    }
}
