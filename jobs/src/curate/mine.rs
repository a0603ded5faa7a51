//! Hard negatives: what is nearest to a record and is not it.

use super::kin::Kin;
use super::lines;
use super::nearest::{Block, Near, nearest};
use super::vectors::{Embedding, by_record, embedded};
use crate::{Error, Flow, Modality, Progress, Result, Skip};
use serde::Serialize;
use std::path::{Path, PathBuf};
use unisono_datasets::Source;

/// How negatives are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MineOptions {
    /// What asks, and what is found.
    pub pair: (Modality, Modality),
    /// Negatives of a record at most.
    pub k: usize,
    /// A negative is at most so similar: what is more so may be right.
    pub max_score: Option<f32>,
    /// A negative is by so much less similar than the record's own.
    pub margin: Option<f32>,
    /// Captions whose vectors have at least this cosine say the same, where texts are embedded.
    pub same_text: f32,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mined {
    /// JSON Lines: the id of each record that asks, those of its negatives, the most similar first, and how similar they are.
    pub out: PathBuf,
    /// Lines.
    pub records: usize,
    /// Negatives in all.
    pub negatives: usize,
    /// Lines with fewer negatives than were asked for.
    pub short: usize,
    /// How similar negatives are in the mean.
    pub mean_score: f64,
    /// How similar records' own pairs are in the mean, where they have one.
    pub mean_own: f64,
    /// What cannot be read or embedded, each with its reason.
    pub skipped: Vec<Skip>,
}

/// A line of the file.
#[derive(Serialize)]
struct Line {
    id: String,
    negatives: Vec<String>,
    scores: Vec<f32>,
}

/// Finds for each record that has the first modality of the pair the records whose second one is nearest to it, by comparing all with all. None of them is the
/// record itself, of its group or its label, names a file that it names, or has a caption that says the same: equal words, or nearly equal vectors; nor are two of them
/// about the same in this sense. Of
/// several captions or audio files the most similar counts.
///
/// # Errors
/// The model's; no record with either; [`Error::Interrupted`]. Vectors are kept until all is written.
pub fn mine(
    source: &dyn Source,
    options: &MineOptions,
    embedding: &Embedding,
    out: &Path,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Mined> {
    let (from, to) = options.pair;
    let mut stored = embedded(source, &[from, to].into(), embedding, out, resumed, progress)?;
    let (mut queries, mut gallery, mut texts) = (Block::default(), Block::default(), Block::default());
    let mut kin = Kin::default();
    by_record(source, &mut stored, &mut |record, rows| {
        kin.add(record, &*source.record(record)?);
        for (item, row) in &rows {
            for (block, wanted) in [(&mut queries, from), (&mut gallery, to), (&mut texts, Modality::Text)] {
                if item.modality == wanted {
                    block.push(record, row);
                }
            }
        }
        Ok(())
    })?;
    for (block, wanted) in [(&queries, from), (&gallery, to)] {
        if block.is_empty() {
            return Err(nothing(source, wanted, stored.skipped()));
        }
    }
    let device = embedding.embedder.model().device();
    let allowed =
        |query: usize, other: usize| !kin.same(query, other) && !texts.near(query, other, options.same_text);
    let (mut found, mut made) = (Vec::new(), Mined::new(out, stored.skipped()));
    let mut owns = 0usize;
    let judge = |query: usize, near: &Near| {
        let own = near.of(query);
        let most = options.margin.zip(own).map(|(margin, own)| own - margin);
        let most = most.into_iter().chain(options.max_score).fold(f32::INFINITY, f32::min);
        let (mut best, mut asked) = (Vec::new(), options.k);
        // Several records of one thing are one negative: where they crowd out others, more is asked for.
        while best.len() < options.k {
            asked = asked.saturating_mul(4);
            let found = near.best(asked, most, |other| allowed(query, other));
            best.clear();
            for (row, score) in &found {
                if best.len() < options.k && !best.iter().any(|(other, _)| kin.same(*row, *other)) {
                    best.push((*row, *score));
                }
            }
            if found.len() < asked {
                break;
            }
        }
        (own, best)
    };
    nearest(&queries, &gallery, device, progress, &judge, &mut |query, (own, best)| {
        owns += usize::from(own.is_some());
        made.mean_own += own.map_or(0.0, f64::from);
        made.negatives += best.len();
        made.short += usize::from(best.len() < options.k);
        made.mean_score += best.iter().map(|(_, score)| f64::from(*score)).sum::<f64>();
        found.push((query, best));
    })?;
    lines::write(
        out,
        found.iter().map(|(query, best)| {
            let name = |row: usize| Ok::<_, Error>(source.id(row)?.into_owned());
            let negatives = best.iter().map(|(row, _)| name(*row)).collect::<Result<_>>()?;
            Ok(Line { id: name(*query)?, negatives, scores: best.iter().map(|(_, score)| *score).collect() })
        }),
    )?;
    stored.end()?;
    made.records = found.len();
    made.mean_score /= made.negatives.max(1) as f64;
    made.mean_own /= owns.max(1) as f64;
    Ok(made)
}

/// Of one modality nothing could be used.
fn nothing(source: &dyn Source, wanted: Modality, skipped: &[Skip]) -> Error {
    let first = skipped.first().map(|skip| format!("; the first was {}: {}", skip.id, skip.reason));
    let path = source.path().display();
    Error::Input(format!("{path}: no {wanted} of any record could be used{}", first.unwrap_or_default()))
}

impl Mined {
    fn new(out: &Path, skipped: &[Skip]) -> Self {
        let (mean_score, mean_own) = (0.0, 0.0);
        let skipped = skipped.to_vec();
        Self { out: out.to_owned(), records: 0, negatives: 0, short: 0, mean_score, mean_own, skipped }
    }
}
