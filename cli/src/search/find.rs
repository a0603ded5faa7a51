//! Finding by what is meant, by words, or by both.

use super::ask::Asked;
use crate::error::Error;
use unisono_jobs::index::{Filter, fuse};
use unisono_jobs::understand::{Found, Score};
use unisono_jobs::{Error as JobError, Index};

/// Hits of each kind that are put together, for one that is shown.
const DEEP: usize = 5;

/// By what is looked for.
pub(super) struct Sought<'a> {
    /// A sentence whose words count.
    pub(super) words: Option<&'a str>,
    /// Whether it is looked for what is meant.
    pub(super) meaning: bool,
    /// Whether that is ranked by chance.
    pub(super) by_chance: bool,
}

/// The `k` best hits, and what their scores are.
pub(super) fn find(
    index: &Index,
    asked: &Asked,
    sought: &Sought,
    k: usize,
    filter: &Filter,
) -> Result<Found, Error> {
    let without = &asked.without;
    let meant = |k: usize| match sought.by_chance {
        false => index.search_where(&asked.vector, k, filter, without),
        true => index.search_by_chance(&asked.vector, asked.modality(), k, filter, without),
    };
    let Some(words) = sought.words else {
        return Ok(Found::by_cosine(meant(k).map_err(JobError::from)?));
    };
    let deep = if sought.meaning { k.saturating_mul(DEEP).max(100) } else { k };
    let said = index.search_words(words, deep, filter, without).map_err(JobError::from)?;
    if !sought.meaning {
        return Ok(Found::by(Score::Words, said));
    }
    let meant = meant(deep).map_err(JobError::from)?;
    // Of several queries together no random pairs are known: then places count.
    let rare = if asked.parts.len() == 1 { index.fuse(asked.modality(), &meant, &said, k) } else { None };
    Ok(match rare {
        Some(hits) => Found::by(Score::Rarity, hits),
        None => Found::by(Score::Ranks, fuse(&[meant, said], k)),
    })
}
