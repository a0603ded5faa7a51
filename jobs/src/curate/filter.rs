//! Which records are kept.

use super::conditions::{Conditions, Fell, Measured};
use super::lines;
use super::measures::Measures;
use super::read::read;
use super::vectors::{Embedding, by_record, embedded};
use crate::check::{CheckOptions, copies};
use crate::{Error, Flow, Modality, Progress, Result, Skip, Stored, similarity};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_datasets::{Source, subset};

/// What records must be to be kept.
#[derive(Debug, Clone, Default)]
pub struct FilterOptions {
    /// What they say themselves.
    pub conditions: Conditions,
    /// Of records that are copies of each other the first stays.
    pub copies: Option<CheckOptions>,
    /// What a model says of them.
    pub likeness: Option<Likeness>,
    /// Threads that read records.
    pub workers: usize,
}

/// How similar two modalities of a record are, as a model sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// The two.
    pub pair: (Modality, Modality),
    /// Least cosine.
    pub min: Option<f32>,
    /// The share of the records with such a pair that stays, the most similar ones: of those that meet every other condition.
    pub best: Option<f64>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filtered {
    /// JSON Lines: the id of each record that stays, and what was measured of it.
    pub out: PathBuf,
    /// Records that there are.
    pub records: usize,
    /// Those that stay.
    pub kept: usize,
    /// How many others fell, by the first condition that they do not meet.
    pub fell: BTreeMap<Fell, usize>,
    /// The least, the middle and the greatest similarity of the pairs that were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<[f32; 3]>,
    /// So many of the first images were compared, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<usize>,
    /// What cannot be read or embedded, each with its reason: of what cannot be read the first ten thousand.
    pub skipped: Vec<Skip>,
}

/// What a record fell by, if it did.
type Judged = Option<Fell>;

/// Records that cannot be read, of which the reason is told; all are counted.
const NAMED: usize = 10_000;

/// Writes which records of a source meet all conditions, in its order. They are asked in this order: what records and their files' heads say, copies, the
/// model. Of each record a byte is held, and eight for its pair. A model's work lies beside `out` until that is there, and is taken up again.
///
/// # Errors
/// No record stays; a model is asked for and none given; files that are to be compared and no ffmpeg; the model's; [`Error::Interrupted`].
pub fn filter(
    source: &Arc<dyn Source>,
    options: &FilterOptions,
    embedding: Option<&Embedding>,
    out: &Path,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Filtered> {
    let (mut judged, mut skipped): (Vec<Judged>, _) = (Vec::with_capacity(source.len()), Vec::new());
    let mut measures = Measures::begin(out)?;
    let take = |_, made: std::result::Result<std::result::Result<Measured, Fell>, Skip>| {
        judged.push(match made {
            Ok(Ok(measured)) => {
                measures.push(&measured)?;
                None
            }
            Ok(Err(fell)) => Some(fell),
            Err(skip) => {
                if skipped.len() < NAMED {
                    skipped.push(skip);
                }
                Some(Fell::Unreadable)
            }
        });
        Ok(())
    };
    let of = |record: &unisono_datasets::Record| options.conditions.judge(record);
    read(&**source, options.workers, "read records", of, take, progress)?;
    let left = |judged: &[Judged]| -> Result<(Vec<usize>, Arc<dyn Source>)> {
        let rows: Vec<usize> = (0..judged.len()).filter(|i| judged[*i].is_none()).collect();
        if rows.is_empty() {
            return Err(none_left(source, judged, None));
        }
        let part = subset(source.clone(), rows.iter().copied())?;
        Ok((rows, part))
    };
    let mut compared = None;
    if let Some(checked) = &options.copies {
        let (rows, part) = left(&judged)?;
        let found = copies(&*part, None, checked, progress)?;
        rows.iter().zip(&found.repeats).filter(|(_, repeats)| **repeats).for_each(|(row, _)| {
            judged[*row] = Some(Fell::NearCopy);
        });
        compared = found.compared;
    }
    let (mut work, mut spread, mut pairs) = (None, None, Pairs::default());
    if let Some(asked) = &options.likeness {
        let missing = || Error::Input("a similarity is asked for, and no model is given".into());
        let (rows, part) = left(&judged)?;
        let wanted = [asked.pair.0, asked.pair.1].into();
        let embedding = embedding.ok_or_else(missing)?;
        let mut stored = embedded(&*part, &wanted, embedding, out, resumed, progress)?;
        let likes = likes(&*part, &mut stored, asked.pair)?;
        spread = asked.judge(&rows, &likes, &mut judged);
        pairs = Pairs { rows, likes };
        skipped.extend(stored.skipped().iter().cloned());
        work = Some(stored);
    }
    let kept = judged.iter().filter(|made| made.is_none()).count();
    if kept == 0 {
        return Err(none_left(source, &judged, skipped.first()));
    }
    let was_measured = |row: &usize| judged[*row].is_none_or(Fell::was_measured);
    let measured = (0..judged.len()).filter(was_measured).zip(measures.read()?);
    let stays = measured.filter(|(row, _)| judged[*row].is_none());
    lines::write(
        out,
        stays.map(|(row, measured)| {
            Ok(Line { id: source.id(row)?.into_owned(), measured: measured?, similarity: pairs.of(row) })
        }),
    )?;
    work.map_or(Ok(()), Stored::end)?;
    let (fell, records) = (counted(&judged), judged.len());
    Ok(Filtered { out: out.to_owned(), records, kept, fell, similarity: spread, compared, skipped })
}

/// A line of the file.
#[derive(Serialize)]
struct Line {
    id: String,
    #[serde(flatten)]
    measured: Map<String, Value>,
    /// The cosine of the pair; of several captions or audio files the greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f32>,
}

/// How similar the pairs of some records are.
#[derive(Default)]
struct Pairs {
    /// In order.
    rows: Vec<usize>,
    likes: Vec<Option<f32>>,
}

impl Pairs {
    fn of(&self, row: usize) -> Option<f32> {
        self.rows.binary_search(&row).ok().and_then(|at| *self.likes.get(at)?)
    }
}

/// How many fell by what.
fn counted(judged: &[Judged]) -> BTreeMap<Fell, usize> {
    let mut fell = BTreeMap::new();
    judged.iter().flatten().for_each(|by| *fell.entry(*by).or_insert(0) += 1);
    fell
}

fn none_left(source: &Arc<dyn Source>, judged: &[Judged], skipped: Option<&Skip>) -> Error {
    let fell = counted(judged);
    let most = fell.iter().max_by_key(|(_, n)| **n).map(|(by, n)| format!(": {n} fell by {}", by.name()));
    let first = skipped.map(|skip| format!(", the first since {}: {}", skip.id, skip.reason));
    Error::Input(format!(
        "{}: none of {} records meets the conditions{}{}; nothing was written",
        source.path().display(),
        judged.len(),
        most.unwrap_or_default(),
        first.unwrap_or_default()
    ))
}

/// The greatest similarity of each record's pair.
fn likes(
    source: &dyn Source,
    stored: &mut Stored,
    (from, to): (Modality, Modality),
) -> Result<Vec<Option<f32>>> {
    let mut likes = vec![None; source.len()];
    by_record(source, stored, &mut |record, rows| {
        let of = |wanted: Modality| rows.iter().filter(move |(item, _)| item.modality == wanted);
        let all = of(from).flat_map(|(_, a)| of(to).map(move |(_, b)| similarity(a, b)));
        if let Some(like) = likes.get_mut(record) {
            *like = all.max_by(f32::total_cmp);
        }
        Ok(())
    })?;
    Ok(likes)
}

impl Likeness {
    /// Judges `rows`, whose pairs are so similar; the least, the middle and the greatest similarity.
    fn judge(&self, rows: &[usize], likes: &[Option<f32>], judged: &mut [Judged]) -> Option<[f32; 3]> {
        let mut found: Vec<(f32, usize)> = Vec::new();
        for (row, like) in rows.iter().zip(likes) {
            match like {
                Some(like) => found.push((*like, *row)),
                None => judged[*row] = Some(Fell::NoPair),
            }
        }
        // Of equal ones the first stays.
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let spread = Some([found.last()?.0, found[found.len() / 2].0, found.first()?.0]);
        let enough = found.partition_point(|(like, _)| self.min.is_none_or(|least| *like >= least));
        found[enough..].iter().for_each(|(_, row)| judged[*row] = Some(Fell::MinSimilarity));
        if let Some(share) = self.best {
            let stay = (share * enough as f64).ceil() as usize;
            found[stay.min(enough)..enough].iter().for_each(|(_, row)| judged[*row] = Some(Fell::KeepBest));
        }
        spread
    }
}

#[cfg(test)]
#[path = "../tests/filter.rs"]
mod tests;
