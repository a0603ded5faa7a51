//! Duplicates by a model's vectors.

use super::collect::Collected;
use super::duplicates::{Linked, Things};
use crate::named::{Kind, files};
use crate::{EmbedOptions, Embedded, Embedder, Error, Flow, Item, Listing, Modality, Progress, Result};
use crate::{embed, similarity};
use rayon::prelude::*;
use std::ops::Range;
use unisono_media::video::Span;

/// Rows that are compared with all that follow, one after another.
const ROWS: usize = 32;
/// Rows that a thread compares with them: of 512 numbers each they stay in its cache.
const COLUMNS: usize = 256;

/// Embeds one file of each content of those modalities that the model has, and finds which are near each other; the entries that were compared,
/// and how they hang together.
pub(super) fn near(
    things: &Things,
    collected: &Collected,
    embedder: &Embedder,
    cosine: f32,
    workers: usize,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<(Vec<usize>, Linked, bool)> {
    let has = embedder.model().embeds();
    let mut listing = Listing::default();
    let mut over = false;
    for entry in things.firsts() {
        let Some(modality) = collected.entries[entry].kind.map(modality).filter(|m| has.contains(m)) else {
            continue;
        };
        if listing.items.len() >= collected.most {
            over = true;
            break;
        }
        let of = &collected.entries[entry];
        let record = things.source.record(of.record)?;
        if let Some((_, blob, span)) = files(&record).nth(of.file.into()) {
            // Items are told apart by the numbers of their entries.
            let item = Item::file(blob.clone(), modality);
            let span = if modality == Modality::Video { span } else { Span::WHOLE };
            listing.items.push(&Item { id: entry.to_string(), span, ..item });
        }
    }
    if listing.items.is_empty() {
        return Ok((Vec::new(), Linked::new(0, f32::max), over));
    }
    let options = EmbedOptions { workers, max_skip: usize::MAX, ..EmbedOptions::default() };
    let made = match embed(embedder, listing, &options, progress) {
        Err(Error::AllSkipped { .. }) => return Ok((Vec::new(), Linked::new(0, f32::max), over)),
        made => made?,
    };
    let count = made.items.len();
    let mut linked = Linked::new(count, f32::max);
    for start in (0..count).step_by(ROWS) {
        linked.add(&pairs(&made, cosine, start..(start + ROWS).min(count)));
        progress(Progress { stage: "compare vectors", done: start, total: count, skipped: 0 }).check()?;
    }
    let entries = made.items.iter().map(|item| item.id.parse().unwrap_or(0)).collect();
    Ok((entries, linked, over))
}

fn modality(kind: Kind) -> Modality {
    match kind {
        Kind::Image => Modality::Image,
        Kind::Audio => Modality::Audio,
        Kind::Video => Modality::Video,
    }
}

/// Pairs `a < b` of one modality whose cosine is at least so much, `a` one of `rows`; on all cores.
fn pairs(made: &Embedded, cosine: f32, rows: Range<usize>) -> Vec<(usize, usize, f32)> {
    let (dim, data) = (made.vectors.dim.max(1), &made.vectors.data);
    let row = |i: usize| &data[i * dim..(i + 1) * dim];
    let count = made.items.len();
    let blocks: Vec<usize> = (rows.start..count).step_by(COLUMNS).collect();
    let of = |first: usize| {
        let mut found = Vec::new();
        for a in rows.clone() {
            for b in first.max(a + 1)..(first + COLUMNS).min(count) {
                let near = similarity(row(a), row(b));
                if near >= cosine && made.items[a].modality == made.items[b].modality {
                    found.push((a, b, near));
                }
            }
        }
        found
    };
    blocks.into_par_iter().flat_map_iter(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vectors;

    #[test]
    fn pairs_are_those_of_comparing_each_with_each() {
        let (dim, count) = (5, 700);
        let value = |i: usize, d: usize| ((i * 37 + d * 101) % 23) as f32 - 11.0;
        let mut data = Vec::new();
        for i in 0..count {
            let row: Vec<f32> = (0..dim).map(|d| value(i % 60, d)).collect();
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            data.extend(row.iter().map(|v| v / length));
        }
        let items: Vec<Item> = (0..count)
            .map(|i| Item::file(i.to_string(), if i % 3 == 0 { Modality::Audio } else { Modality::Image }))
            .collect();
        let made = Embedded { vectors: Vectors { dim, data }, items, skipped: Vec::new() };
        let rows: Vec<&[f32]> = made.vectors.rows().collect();
        let mut naive = Vec::new();
        for a in 0..count {
            for b in a + 1..count {
                let near = similarity(rows[a], rows[b]);
                if near >= 0.95 && (a % 3 == 0) == (b % 3 == 0) {
                    naive.push((a, b, near));
                }
            }
        }
        let mut found: Vec<_> = (0..count).step_by(50).flat_map(|a| pairs(&made, 0.95, a..a + 50)).collect();
        found.sort_by_key(|(a, b, _)| (*a, *b));
        assert!(!naive.is_empty());
        assert_eq!(found, naive);
    }
}
