//! A picture of an index: its items where their vectors lie, seen from where they are spread most.

use super::Index;
use crate::sheet::middle;
use crate::{Item, Modality};
use maud::{Markup, html};
use rayon::prelude::*;
use std::collections::BTreeMap;
use unisono_index::similarity;
use unisono_media::{ImageOptions, decode};
use unisono_page::{Fact, Media, Page, banner, facts, show};

/// Longest edge of a thumbnail, in pixels.
const EDGE: u32 = 112;
/// Rounds after which the two directions stand still as far as a picture shows.
const ROUNDS: usize = 60;
/// Vectors that are enough to know the two directions by.
const ASKED: usize = 8192;
const STYLE: &str = include_str!("map.css");

/// A self-contained HTML page of at most `most` items, evenly spread over the index: each stands where the first two principal components of the vectors put it.
/// Modalities are centred each by itself, since otherwise nothing but the gap between them is seen.
pub fn map(index: &Index, most: usize) -> String {
    let rows = evenly(index, most);
    let seen: Vec<(Item, &[f32])> =
        rows.par_iter().filter_map(|row| Some((index.item(*row)?, index.vector(*row)?))).collect();
    let places = places(&seen.iter().map(|(item, v)| (item.modality, *v)).collect::<Vec<_>>());
    let media: Vec<Option<Media>> = seen.par_iter().map(|(item, _)| thumbnail(item)).collect();
    let dots = seen
        .iter()
        .zip(places)
        .zip(media)
        .map(|(((item, _), place), media)| dot(item, place, media.as_ref()));
    let header = index.header();
    let counts: Vec<String> = header.modalities.iter().map(|(m, n)| format!("{n} {m}")).collect();
    let about = vec![
        Fact::new("index", index.folder().display()),
        Fact::new("items", counts.join(", ")),
        Fact::new("shown", seen.len()),
        Fact::new("model", header.model.path.display()),
    ];
    let lead = "What lies together is alike to the model. Point at an item, or go from one to the next with the Tab key, to see it larger.";
    let body = html! {
        (banner(Some("Map"), &index.folder().display().to_string(), &facts(&about)))
        main {
            p.lead { (lead) }
            p.kinds { @for modality in header.modalities.keys() { span class=(modality.name()) { (modality.name()) } } }
            div.map role="list" { @for dot in dots { (dot) } }
        }
    };
    Page { title: "Map", style: STYLE, body: &body }.render()
}

fn dot(item: &Item, (x, y): (f32, f32), media: Option<&Media>) -> Markup {
    let said = item.text.as_deref().or(item.label.as_deref()).unwrap_or(&item.id);
    let place = format!("left:{:.2}%;top:{:.2}%", 3.0 + 94.0 * x, 3.0 + 94.0 * y);
    html! {
        div.dot.(item.modality.name()) role="listitem" tabindex="0" style=(place) title=(item.id) aria-label=(said) {
            @match media {
                Some(media) => (show(media, said)),
                None => i {},
            }
            span { (said.chars().take(160).collect::<String>()) }
        }
    }
}

fn thumbnail(item: &Item) -> Option<Media> {
    let blob = unisono_datasets::reopened(item.blob.as_ref()?).ok()?;
    let image = match item.modality {
        Modality::Image => {
            decode::image(&blob, &ImageOptions { svg_size: EDGE, ..ImageOptions::default() }).ok()?
        }
        Modality::Video => middle(&blob, &item.span)?,
        _ => return None,
    };
    Media::jpeg(&image, EDGE, EDGE, 72)
}

/// A row of an index, and where it stands on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// The row.
    pub row: usize,
    /// What it is.
    pub modality: Modality,
    /// From the left, 0 to 1.
    pub x: f32,
    /// From the top, 0 to 1.
    pub y: f32,
}

/// Where at most `most` rows stand, evenly spread over the index: what [`map`] draws, without what it shows of them.
pub fn spots(index: &Index, most: usize) -> Vec<Spot> {
    let rows = evenly(index, most);
    let seen: Vec<(usize, Modality, &[f32])> = rows
        .par_iter()
        .filter_map(|row| Some((*row, index.item(*row)?.modality, index.vector(*row)?)))
        .collect();
    let places = places(&seen.iter().map(|(_, m, v)| (*m, *v)).collect::<Vec<_>>());
    let spot =
        |((row, modality, _), (x, y)): ((usize, Modality, &[f32]), (f32, f32))| Spot { row, modality, x, y };
    seen.into_iter().zip(places).map(spot).collect()
}

/// At most so many rows with vectors, evenly spread.
fn evenly(index: &Index, most: usize) -> Vec<usize> {
    let rows: Vec<usize> = index.rows().filter(|row| index.vector(*row).is_some()).collect();
    let shown = most.clamp(1, rows.len().max(1));
    (0..shown).filter_map(|n| rows.get(n * rows.len() / shown).copied()).collect()
}

/// Where each vector stands, both numbers from 0 to 1. Which ways they are spread most is asked of [`ASKED`] of them.
fn places(all: &[(Modality, &[f32])]) -> Vec<(f32, f32)> {
    let dim = all.first().map_or(0, |(_, v)| v.len());
    let mut means: BTreeMap<Modality, (Vec<f32>, f32)> = BTreeMap::new();
    for (modality, vector) in all {
        let (sum, count) = means.entry(*modality).or_insert_with(|| (vec![0.0; dim], 0.0));
        sum.iter_mut().zip(*vector).for_each(|(sum, v)| *sum += v);
        *count += 1.0;
    }
    for (sum, count) in means.values_mut() {
        sum.iter_mut().for_each(|v| *v /= *count);
    }
    let centred = |(modality, vector): &(Modality, &[f32])| -> Vec<f32> {
        let Some((mean, _)) = means.get(modality) else { return vector.to_vec() };
        vector.iter().zip(mean).map(|(v, mean)| v - mean).collect()
    };
    let step = all.len().div_ceil(ASKED).max(1);
    let rows: Vec<Vec<f32>> = all.iter().step_by(step).map(centred).collect();
    let first = direction(&rows, dim, None);
    let second = direction(&rows, dim, Some(&first));
    let spread = |along: &[f32]| -> Vec<f32> {
        let on: Vec<f32> = all.par_iter().map(|of| similarity(&centred(of), along)).collect();
        let least = on.iter().copied().fold(f32::INFINITY, f32::min);
        let most = on.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let width = if most > least { most - least } else { 1.0 };
        on.iter().map(|v| (v - least) / width).collect()
    };
    spread(&first).into_iter().zip(spread(&second)).collect()
}

/// The direction along which rows are spread most, across the one that is given: by power iteration.
fn direction(rows: &[Vec<f32>], dim: usize, across: Option<&[f32]>) -> Vec<f32> {
    // Any start that no data is likely to stand across to.
    let mut along: Vec<f32> = (0..dim).map(|n| ((n * 37 + 11) % 101) as f32 / 101.0 + 0.1).collect();
    for _ in 0..ROUNDS {
        let mut next = vec![0f32; dim];
        for row in rows {
            let on = similarity(row, &along);
            next.iter_mut().zip(row).for_each(|(next, v)| *next += on * v);
        }
        if let Some(across) = across {
            let on = similarity(&next, across);
            next.iter_mut().zip(across).for_each(|(next, v)| *next -= on * v);
        }
        let length = similarity(&next, &next).sqrt();
        // Nothing is spread this way.
        if length.is_nan() || length < 1e-12 {
            return vec![0.0; dim];
        }
        next.iter_mut().for_each(|v| *v /= length);
        along = next;
    }
    along
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_along_the_two_widest_directions() {
        // A grid, 10 times as wide as high, turned in three dimensions; texts the same far away.
        let turn = |x: f32, y: f32| vec![0.6 * x - 0.8 * y, 0.8 * x + 0.6 * y, 0.0];
        let mut all = Vec::new();
        for n in 0..30 {
            let (x, y) = ((n % 10) as f32, (n / 10) as f32 * 0.5);
            all.push((Modality::Image, turn(x, y)));
            all.push((Modality::Text, turn(x, y).iter().map(|v| v + 100.0).collect()));
        }
        let given: Vec<(Modality, &[f32])> = all.iter().map(|(m, v)| (*m, v.as_slice())).collect();
        let found = places(&given);
        for (n, (x, y)) in found.iter().step_by(2).enumerate() {
            let (right, down) = ((n % 10) as f32 / 9.0, (n / 10) as f32 / 2.0);
            let near = |a: f32, b: f32| (a - b).abs() < 1e-3 || (1.0 - a - b).abs() < 1e-3;
            assert!(near(*x, right) && near(*y, down), "{n}: {x} {y}");
        }
        // The gap between modalities is not seen.
        assert!(found.chunks(2).all(|pair| (pair[0].0 - pair[1].0).abs() < 1e-3));
    }

    #[test]
    fn nothing_and_one_thing_have_a_place() {
        assert!(places(&[]).is_empty());
        assert_eq!(places(&[(Modality::Text, &[1.0, 2.0])]), [(0.0, 0.0)]);
    }
}
