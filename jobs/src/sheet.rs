//! The contact sheet of a search: images, and the middle frames of videos, as thumbnails, audio files as players.

use crate::{Hit, Index, Item};
use image::RgbImage;
use unisono_encoders::Modality;
use unisono_eval::report::{self, Fact, Media, Query, Search, SheetData};
use unisono_media::video::{Ffmpeg, Span, VideoLimits};
use unisono_media::{Blob, ImageOptions, decode};

/// Longest edge of a thumbnail, in pixels.
const EDGE: u32 = 320;
/// Images that browsers show and that are no larger are carried as they are, in bytes.
const SMALL: u64 = 48 << 10;
/// Larger audio files are left out of the page, in bytes.
const LARGEST_AUDIO: u64 = 4 << 20;

/// The page, whole and self-contained, as HTML. A medium that cannot be read shows as a placeholder.
pub fn html(index: &Index, query: &Item, hits: &[Hit]) -> String {
    html_of_parts(index, query, &[("cosine", hits)])
}

/// [`html`] of hits whose scores are of several kinds: each part has the name of its kind, and empty ones after the first are left out.
pub fn html_of_parts(index: &Index, query: &Item, parts: &[(&str, &[Hit])]) -> String {
    let part = |hits: &[Hit]| {
        let found = hits.iter().filter_map(|hit| Some((index.item(hit.index)?, hit.score)));
        let hits = found.map(|(item, score)| report::Hit {
            media: media(&item),
            text: item.text,
            lang: item.lang,
            id: Some(item.id),
            score: Some(f64::from(score)),
            right: None,
        });
        Search { query: asked(query), hits: hits.collect(), rank: None, gallery: None }
    };
    let full: Vec<_> =
        parts.iter().enumerate().filter(|(i, (_, hits))| *i == 0 || !hits.is_empty()).collect();
    let scores: Vec<&str> = full.iter().map(|(_, (name, _))| *name).collect();
    let header = index.header();
    let counts: Vec<String> = header.modalities.iter().map(|(m, n)| format!("{n} {m}")).collect();
    let facts = vec![
        Fact::new("index", index.folder().display()),
        Fact::new("items", counts.join(", ")),
        Fact::new("model", header.model.path.display()),
        Fact::new("scores", scores.join(", then ")),
    ];
    let title = query.text.clone().unwrap_or_else(|| query.id.clone());
    report::contact_sheet(&SheetData {
        title,
        facts,
        searches: full.iter().map(|(_, (_, hits))| part(hits)).collect(),
    })
}

fn asked(query: &Item) -> Query {
    let text = query.text.clone();
    match (query.modality, media(query)) {
        (Modality::Image | Modality::Video, Some(media)) => Query::Image { media, text },
        (Modality::Audio, Some(media)) => {
            Query::Audio { media, text, lang: query.lang.clone(), seconds: None }
        }
        _ => Query::Text { text: text.unwrap_or_else(|| query.id.clone()), lang: query.lang.clone() },
    }
}

fn media(item: &Item) -> Option<Media> {
    let blob = &unisono_datasets::reopened(item.blob.as_ref()?).ok()?;
    match item.modality {
        Modality::Text => None,
        Modality::Image => thumbnail(blob),
        Modality::Video => middle(blob, &item.span).as_ref().and_then(shrunk),
        Modality::Audio => small(blob, LARGEST_AUDIO),
    }
}

/// A file as it is, where it has at most so many bytes.
pub(crate) fn small(blob: &Blob, most: u64) -> Option<Media> {
    let mut opened = blob.open().ok().filter(|opened| opened.len() <= most)?;
    opened.head(most).ok().map(Media::new)
}

/// An image, small enough for a page; `None` where it cannot be decoded.
pub(crate) fn thumbnail(blob: &Blob) -> Option<Media> {
    // A vector image has no kind: it is drawn below.
    if let Some(media) = small(blob, SMALL).filter(|media| media.data_uri().is_some()) {
        return Some(media);
    }
    let image = decode::image(blob, &ImageOptions { svg_size: EDGE, ..ImageOptions::default() }).ok()?;
    shrunk(&image)
}

/// The frame in the middle of a clip.
pub(crate) fn middle(blob: &Blob, span: &Span) -> Option<RgbImage> {
    let (ffmpeg, limits) = (Ffmpeg::find(None).ok()?, VideoLimits::default());
    let video = ffmpeg.probe(blob, &limits).ok()?;
    ffmpeg.sample_span(&video, span, 1, &limits).ok()?.pop().map(|frame| frame.image)
}

/// An image as a thumbnail.
pub(crate) fn shrunk(image: &RgbImage) -> Option<Media> {
    Media::jpeg(image, EDGE, EDGE, 80)
}
