//! Hits of a search ranked anew by a model that looks at them together with the sentence.

use super::{Match, Understander, understand};
use crate::{EmbedOptions, Error, Flow, Hit, Index, Item, Items, Listing, Modality, Progress, Result, Skip};
use unisono_fusion::Ability;

/// What a hit's score says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The cosine of its vector with the query's.
    Cosine,
    /// How well it and the sentence belong together: a probability, or a number without bounds where the model gives such.
    Match,
    /// How many of the sentence's words it has, the rare ones more: BM25.
    Words,
    /// Its places among what is meant and what has the words, put together.
    Ranks,
    /// How rare it is among random pairs, and how rare the words are that it has: logarithms, added up.
    Rarity,
}

impl Score {
    /// `cosine`, `match`, `words`, `ranks` or `rarity`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Match => "match",
            Self::Words => "words",
            Self::Ranks => "ranks",
            Self::Rarity => "rarity",
        }
    }
}

/// What was found, best first. Two kinds of scores are never one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Hits with a score of one kind.
    pub hits: Vec<Hit>,
    /// Which kind.
    pub score: Score,
    /// Hits that the model could not look at, by their cosine.
    pub others: Vec<Hit>,
    /// Those of them whose files could not be used.
    pub skipped: Vec<Skip>,
}

impl Found {
    /// As [`Index::search`] found them.
    pub fn by_cosine(hits: Vec<Hit>) -> Self {
        Self { hits, score: Score::Cosine, others: Vec::new(), skipped: Vec::new() }
    }

    /// Hits with scores of this kind.
    pub fn by(score: Score, hits: Vec<Hit>) -> Self {
        Self { score, ..Self::by_cosine(hits) }
    }

    /// Keeps the best `top` of all.
    pub fn keep(&mut self, top: usize) {
        self.hits.truncate(top);
        self.others.truncate(top - self.hits.len());
    }

    /// One list, in the order in which they are shown.
    pub fn all(&self) -> Vec<Hit> {
        [self.hits.as_slice(), &self.others].concat()
    }
}

/// Hits in the order of their match with `text`, which their score becomes; what the model cannot look at stays apart in its old order.
///
/// # Errors
/// A model that does not match, a text that is too long for it, libtorch's, or [`Error::Interrupted`].
pub fn rerank(
    model: &Understander,
    index: &Index,
    text: &str,
    hits: Vec<Hit>,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Found> {
    model.require(Ability::Match)?;
    model.model().fits("a sentence", text)?;
    let known = model.sees();
    // An image and an audio file of one record share its id: here each hit has its place for one. Of a video the frames are looked at.
    let item = |(place, hit): (usize, &Hit)| {
        let mut item = index.item(hit.index)?;
        if item.modality == Modality::Video {
            (item.modality, item.video) = (Modality::Image, true);
        }
        known.contains(&item.modality).then(|| Item { id: place.to_string(), ..item })
    };
    let items: Items = hits.iter().enumerate().filter_map(item).collect();
    if items.is_empty() {
        return Ok(Found { hits: Vec::new(), score: Score::Match, others: hits, skipped: Vec::new() });
    }
    // Files that are gone have no match.
    let options = EmbedOptions { max_skip: usize::MAX, ..Default::default() };
    let listing = Listing { items, ..Default::default() };
    let mut task = Match { texts: vec![text.to_owned()] };
    let (rows, skipped) = match understand(model, listing, &mut task, &options, progress) {
        Ok(found) => (found.rows, found.skipped),
        // None of their files can be used any more: the cosines are all there is.
        Err(Error::AllSkipped { id, reason, .. }) => (Vec::new(), vec![Skip { id, reason }]),
        Err(e) => return Err(e),
    };
    // The place among the hits that the job knows an item by, as the item's own name.
    let named = |skip: Skip| {
        let hit = skip.id.parse().ok().and_then(|place: usize| hits.get(place));
        let item = hit.and_then(|hit| index.item(hit.index));
        Skip { id: item.map_or(skip.id, |item| item.id.clone()), reason: skip.reason }
    };
    let skipped = skipped.into_iter().map(named).collect();
    let mut probability: Vec<Option<f32>> = vec![None; hits.len()];
    for row in &rows {
        if let Some(slot) = row.id.parse().ok().and_then(|i: usize| probability.get_mut(i)) {
            *slot = row.value.matches.first().map(|m| m.fit.number() as f32);
        }
    }
    let (mut matched, mut others) = (Vec::new(), Vec::new());
    for (hit, p) in hits.into_iter().zip(probability) {
        match p {
            Some(score) => matched.push(Hit { score, ..hit }),
            None => others.push(hit),
        }
    }
    matched.sort();
    Ok(Found { hits: matched, score: Score::Match, others, skipped })
}
