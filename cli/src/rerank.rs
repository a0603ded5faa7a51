//! `unisono search --rerank`: hits ranked anew by a model that looks at them together with the sentence.

use crate::error::Error;
use crate::inputs::name_skipped;
use serde_json::json;
use std::path::Path;
use unisono_fusion::{Ability, FusionModel};
use unisono_jobs::understand::{How, sees, understand};
use unisono_jobs::{Device, EmbedOptions, Error as JobError, Hit, Index, Item, Listing, Modality, Skip};
use unisono_media::MediaLimits;

/// What a hit's score says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Score {
    /// The cosine of its vector with the query's.
    Cosine,
    /// The probability that it and the sentence belong together.
    Match,
}

impl Score {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Match => "match",
        }
    }
}

/// What was found, best first. Two kinds of scores are never one order.
#[derive(Debug)]
pub(crate) struct Found {
    /// Hits with a score of one kind.
    pub(crate) hits: Vec<Hit>,
    pub(crate) score: Score,
    /// Hits that the model could not look at, by their cosine.
    pub(crate) others: Vec<Hit>,
}

impl Found {
    pub(crate) fn by_cosine(hits: Vec<Hit>) -> Self {
        Self { hits, score: Score::Cosine, others: Vec::new() }
    }

    /// The best `top` of all.
    pub(crate) fn keep(&mut self, top: usize) {
        self.hits.truncate(top);
        self.others.truncate(top - self.hits.len());
    }

    /// One list, in the order in which they are shown.
    pub(crate) fn all(&self) -> Vec<Hit> {
        [self.hits.as_slice(), &self.others].concat()
    }
}

/// Hits in the order of their match with `text`, which their score becomes; what the model cannot look at stays apart in its old order.
pub(crate) fn rerank(
    dir: &Path,
    device: Device,
    text: &str,
    index: &Index,
    hits: Vec<Hit>,
    (ffmpeg, limits): (Option<&Path>, MediaLimits),
) -> Result<Found, Error> {
    let failed = |e: unisono_fusion::Error| Error::Jobs(JobError::from(e));
    let model = FusionModel::load(dir, device).map_err(failed)?;
    model.require(Ability::Match).map_err(|e| Error::Failed(format!("{}: {e}", dir.display())))?;
    model.fits("a sentence", text).map_err(failed)?;
    let known = sees(&model);
    // A picture and a sound of one record share its id: here each hit has its place for one. Of a video the frames are looked at.
    let item = |(place, hit): (usize, &Hit)| {
        let mut item = index.items().get(hit.index)?.clone();
        if item.modality == Modality::Video {
            (item.modality, item.video) = (Modality::Image, true);
        }
        known.contains(&item.modality).then(|| Item { id: place.to_string(), ..item })
    };
    let items: Vec<Item> = hits.iter().enumerate().filter_map(item).collect();
    let Some(first) = items.first().map(|item| item.id.clone()) else {
        return Ok(Found { hits: Vec::new(), score: Score::Match, others: hits });
    };
    let alone = items.len() == 1;
    // Files that are gone have no match.
    let options = EmbedOptions { max_skip: usize::MAX, ..Default::default() };
    let listing = Listing { items, ..Default::default() };
    let looked = understand(
        &model,
        listing,
        How {
            stage: "rerank",
            options: &options,
            whole: false,
            frames: 8,
            ffmpeg,
            limits,
            audio_track: None,
            lines: None,
        },
        &mut |items, media, _| {
            let p = model.matches(&vec![text; items.len()], &media.tokens(&model)?)?;
            Ok(p.into_iter().map(|p| Ok(json!(p))).collect())
        },
        &mut |_| {},
        &mut |_| crate::interrupt::flow(),
    );
    // The place among the hits that the job knows an item by, as the item's own name.
    let named = |place: &str| {
        let hit = place.parse().ok().and_then(|i: usize| hits.get(i));
        hit.and_then(|hit| index.items().get(hit.index))
            .map_or_else(|| place.to_owned(), |item| item.id.clone())
    };
    let done = match looked {
        Ok(found) => {
            let skipped = found.skipped.into_iter().map(|s| Skip { id: named(&s.id), ..s });
            name_skipped(&skipped.collect::<Vec<_>>());
            found.done
        }
        // None of their files can be used any more: the cosines are all there is.
        Err(JobError::AllSkipped { id, reason, .. }) => {
            name_skipped(&[Skip { id: named(&id), reason }]);
            Vec::new()
        }
        Err(JobError::Input(message)) if alone => {
            let reason = message.strip_prefix(&format!("{first}: ")).unwrap_or(&message).to_owned();
            name_skipped(&[Skip { id: named(&first), reason }]);
            Vec::new()
        }
        Err(e) => return Err(e.into()),
    };
    let mut probability: Vec<Option<f32>> = vec![None; hits.len()];
    for (place, p) in &done {
        if let Some(slot) = place.parse().ok().and_then(|i: usize| probability.get_mut(i)) {
            *slot = p.as_f64().map(|p| p as f32);
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
    Ok(Found { hits: matched, score: Score::Match, others })
}
