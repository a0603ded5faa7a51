//! What the page shows of items: thumbnails, audio files, results, mistakes.

use crate::setup::Sources;
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use unisono_datasets::Record;
use unisono_encoders::{Modality, Model};
use unisono_eval::protocol::{Captions, Embedded, Item, gather};
use unisono_eval::report::{Hit, Media, Mistake, Query};
use unisono_eval::retrieval::Retrieved;
use unisono_media::{Blob, ImageOptions, MediaLimits, decode};

/// Longest edge of an image in the page, in pixels.
const THUMBNAIL: u32 = 128;
/// Larger audio files are left out of the page, in bytes.
const LARGEST_AUDIO: u64 = 4 << 20;
/// Items that are embedded at once.
pub(super) const BATCH: usize = 64;
/// Results shown for a query.
pub(super) const HITS: usize = 6;
/// Mistakes shown of a protocol.
const MISTAKES: usize = 3;

/// The model, and what is shown of its items.
pub(super) struct Show {
    pub(super) model: Model,
    pub(super) limits: MediaLimits,
    pub(super) sources: Sources,
    pub(super) thumbnails: HashMap<Blob, Media>,
}

impl Show {
    /// The items of some records that can be used, with their vectors.
    pub(super) fn embed(
        &self,
        records: &[&Record],
        modality: Modality,
        langs: &[String],
    ) -> Result<Embedded> {
        let side = gather(&self.model, records, modality, langs, Captions::First, &self.limits)?;
        Ok(side.embed(&self.model, BATCH, &mut Vec::new())?)
    }

    pub(super) fn image(&mut self, blob: &Blob) -> Result<Media> {
        if let Some(media) = self.thumbnails.get(blob) {
            return Ok(media.clone());
        }
        let limits = self.limits.files();
        let options = ImageOptions { svg_size: THUMBNAIL, limits, ..ImageOptions::default() };
        let full = decode::image(blob, &options)?;
        let small = Media::png(&full, THUMBNAIL, THUMBNAIL);
        let media = small.ok_or_else(|| {
            Error::io(blob.name(), std::io::Error::other("the thumbnail cannot be encoded as PNG"))
        })?;
        self.thumbnails.insert(blob.clone(), media.clone());
        Ok(media)
    }

    pub(super) fn hit(&mut self, item: &Item, score: f32, right: bool) -> Result<Hit> {
        let image = item.blob.as_ref().filter(|_| item.seconds.is_none());
        Ok(Hit {
            media: image.map(|blob| self.image(blob)).transpose()?,
            text: item.text.clone(),
            lang: item.text.as_ref().map(|_| item.lang.clone()),
            id: Some(item.id.clone()),
            score: Some(f64::from(score)),
            right: Some(right),
        })
    }

    pub(super) fn query(&mut self, item: &Item, caption: Option<String>) -> Result<Query> {
        let lang = Some(item.lang.clone()).filter(|l| !l.is_empty());
        Ok(match (&item.text, &item.blob) {
            (Some(text), _) => Query::Text { text: text.clone(), lang },
            (None, Some(blob)) if item.seconds.is_some() => {
                let media = carried(blob)?;
                Query::Audio { media, text: caption, lang, seconds: item.seconds }
            }
            (None, Some(blob)) => Query::Image { media: self.image(blob)?, text: caption },
            // An item is a text or has a file.
            (None, None) => Query::Text { text: item.id.clone(), lang },
        })
    }

    /// The worst of a protocol, one for a thing.
    pub(super) fn mistakes(&mut self, found: &Retrieved) -> Result<Vec<Mistake>> {
        let mut worst: Vec<_> =
            found.ranks.queries.iter().filter(|q| q.rank > 1.0 && q.best_wrong.is_some()).collect();
        worst.sort_by(|a, b| b.rank.total_cmp(&a.rank).then(a.query.cmp(&b.query)));
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for q in worst {
            let item = &found.queries.items[q.query];
            if out.len() == MISTAKES || !seen.insert(item.key.clone()) {
                continue;
            }
            let wrong = &found.gallery.items[q.best_wrong.unwrap_or(q.best_relevant)];
            let right = &found.gallery.items[q.best_relevant];
            let caption = right.text.clone();
            out.push(Mistake {
                query: self.query(item, caption)?,
                found: self.hit(wrong, q.wrong_score.unwrap_or(0.0), false)?,
                right: self.hit(right, q.relevant_score, true)?,
                rank: q.rank,
                gallery: Some(q.gallery),
            });
        }
        Ok(out)
    }
}

/// An audio file as the page carries it: its bytes; a large one is left out, and shows as a placeholder.
pub(super) fn carried(blob: &Blob) -> Result<Media> {
    let mut opened = blob.open()?;
    Ok(Media::new(if opened.len() > LARGEST_AUDIO { Vec::new() } else { opened.head(LARGEST_AUDIO)? }))
}

/// A stable spread of ids, so that examples are neither the first ones nor chosen.
pub(super) fn spread(id: &str) -> u64 {
    id.bytes().fold(0x9e37_79b9_7f4a_7c15, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}
