//! Splits that nothing crosses.

use super::assign::{Set, assign};
use super::lines;
use super::parts::Parts;
use super::read::read;
use crate::check::{CheckOptions, copies};
use crate::named::{files, identity, number};
use crate::{Error, Flow, Progress, Result, Skip};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use unisono_datasets::sample::UnionFind;
use unisono_datasets::{Record, Source};

/// In what each split is to have its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stratum {
    /// Of each label.
    Label,
    /// Of each language.
    Lang,
}

impl FromStr for Stratum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "label" => Ok(Self::Label),
            "lang" => Ok(Self::Lang),
            _ => Err("expected label or lang".into()),
        }
    }
}

/// How a source is split.
#[derive(Debug, Clone)]
pub struct SplitOptions {
    /// The splits.
    pub parts: Parts,
    /// Another number, another lot.
    pub seed: u64,
    /// Records of one label stay together.
    pub whole_labels: bool,
    /// Each split has its share of these.
    pub stratify: Option<Stratum>,
    /// Copies are looked for, and stay together.
    pub copies: Option<CheckOptions>,
    /// Threads that read records.
    pub workers: usize,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divided {
    /// JSON Lines: the id and the split of each record, and where copies were looked for, their group.
    pub out: PathBuf,
    /// Records with a split.
    pub records: usize,
    /// What each split has.
    pub parts: Vec<PartCount>,
    /// Sets of several records that stay together.
    pub together: usize,
    /// Records of these.
    pub together_records: usize,
    /// Those of them that are copies and that the source has no group for; absent where copies were not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<usize>,
    /// So many of the first images were compared, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<usize>,
    /// Records that cannot be read, and have no split.
    pub skipped: Vec<Skip>,
}

/// What a split has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartCount {
    /// Its name.
    pub name: String,
    /// What it should have of all records.
    pub share: f64,
    /// Its records.
    pub records: usize,
    /// Its sets of records that stay together, single ones among them.
    pub sets: usize,
}

/// What is remembered of a record.
struct Facts {
    lot: u64,
    group: Option<u64>,
    label: Option<u64>,
    stratum: u64,
    files: Vec<u64>,
}

/// Gives each record a split, and writes that to `out`, as a function of the records' ids and contents, the options and the seed alone: the order of the
/// records is of no account. What belongs together stays together: records of one `group`, records that name one file, records of one label where they are to,
/// and copies where they are looked for.
///
/// # Errors
/// A split that would have no record; files that are to be compared and no ffmpeg; what the file system says; [`Error::Interrupted`].
pub fn split(
    source: &dyn Source,
    options: &SplitOptions,
    out: &Path,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Divided> {
    let (facts, skipped) = facts(source, options, progress)?;
    let is_there = |index: usize| facts[index].is_some();
    let there = || facts.iter().enumerate().filter_map(|(i, fact)| Some((i, fact.as_ref()?)));
    let mut kin = UnionFind::new(facts.len());
    kin.union_by_key(there().filter_map(|(i, fact)| Some((i, fact.group?))));
    let (mut unknown, mut compared) = (0, None);
    if let Some(checked) = &options.copies {
        let found = copies(source, None, checked, progress)?;
        let groups: Vec<usize> = (0..facts.len()).map(|i| kin.find(i)).collect();
        for (i, first) in found.first.iter().enumerate().filter(|(i, first)| i != *first && is_there(*i)) {
            unknown += usize::from(groups[i] != groups[*first]);
            kin.union(i, *first);
        }
        compared = found.compared;
    }
    let mut sets = UnionFind::new(facts.len());
    sets.union_by_key((0..facts.len()).map(|i| (i, kin.find(i))));
    sets.union_by_key(there().flat_map(|(i, fact)| fact.files.iter().map(move |file| (i, *file))));
    if options.whole_labels {
        sets.union_by_key(there().filter_map(|(i, fact)| Some((i, fact.label?))));
    }
    let members: Vec<Vec<usize>> =
        sets.sets().into_values().filter(|set| set.iter().any(|i| is_there(*i))).collect();
    let shapes: Vec<Set> = members.iter().map(|set| shape(set, &facts)).collect();
    let assigned = assign(&shapes, &options.parts.shares());
    let mut parts: Vec<PartCount> = options
        .parts
        .iter()
        .map(|(name, share)| PartCount { name: name.to_owned(), share, records: 0, sets: 0 })
        .collect();
    let mut of = vec![0; facts.len()];
    for ((set, shape), part) in members.iter().zip(&shapes).zip(&assigned) {
        set.iter().for_each(|i| of[*i] = *part);
        parts[*part].records += shape.size;
        parts[*part].sets += 1;
    }
    if let Some(empty) = parts.iter().find(|part| part.records == 0) {
        return Err(Error::Input(format!(
            "{}: {} would have no record: there are {} that stay together, of {} records; give it a larger share",
            source.path().display(),
            empty.name,
            shapes.len(),
            facts.len() - skipped.len()
        )));
    }
    let mut groups = Groups { source, kin, several: HashMap::new(), named: options.copies.is_some() };
    groups.count(facts.len());
    lines::write(
        out,
        (0..facts.len()).filter(|i| is_there(*i)).map(|i| {
            let (id, group) = (source.id(i)?.into_owned(), groups.name(i)?);
            Ok(Line { id, split: &parts[of[i]].name, group })
        }),
    )?;
    let several = shapes.iter().filter(|set| set.size > 1);
    Ok(Divided {
        out: out.to_owned(),
        records: facts.len() - skipped.len(),
        together: several.clone().count(),
        together_records: several.map(|set| set.size).sum(),
        copies: options.copies.is_some().then_some(unknown),
        parts,
        compared,
        skipped,
    })
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    split: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

fn facts(
    source: &dyn Source,
    options: &SplitOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<(Vec<Option<Facts>>, Vec<Skip>)> {
    let of = |record: &Record| {
        let stratum = match options.stratify {
            None => &None,
            Some(Stratum::Label) => &record.label,
            Some(Stratum::Lang) => &record.lang,
        };
        let named = |word: &String| number(word);
        Facts {
            lot: lot(options.seed, &record.id),
            group: record.group.as_ref().map(named),
            label: record.label.as_ref().filter(|_| options.whole_labels).map(named),
            stratum: number(stratum),
            files: files(record).map(|(kind, blob, _)| identity(kind, blob)).collect(),
        }
    };
    let (mut facts, mut skipped) = (Vec::with_capacity(source.len()), Vec::new());
    let take = |_, made: std::result::Result<Facts, Skip>| {
        match made {
            Ok(made) => facts.push(Some(made)),
            Err(skip) => {
                facts.push(None);
                skipped.push(skip);
            }
        }
        Ok(())
    };
    read(source, options.workers, "read records", of, take, progress)?;
    Ok((facts, skipped))
}

/// A number that depends on the seed and a record's id alone.
fn lot(seed: u64, id: &str) -> u64 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(id).finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What decides where a set goes. Its stratum is that of most of its records, of as many that of the first by lot.
fn shape(set: &[usize], facts: &[Option<Facts>]) -> Set {
    let there = || set.iter().filter_map(|i| facts[*i].as_ref());
    let mut strata: HashMap<u64, (usize, std::cmp::Reverse<u64>)> = HashMap::new();
    for fact in there() {
        let (count, lot) = strata.entry(fact.stratum).or_insert((0, std::cmp::Reverse(u64::MAX)));
        (*count, lot.0) = (*count + 1, lot.0.min(fact.lot));
    }
    let stratum = strata.into_iter().max_by_key(|(_, by)| *by).map_or(0, |(stratum, _)| stratum);
    Set { size: there().count(), stratum, lot: there().map(|fact| fact.lot).min().unwrap_or(0) }
}

/// Groups of records that are copies of each other or of one group already.
struct Groups<'a> {
    source: &'a dyn Source,
    kin: UnionFind,
    /// Names of those with several members, by the first of them.
    several: HashMap<usize, Option<String>>,
    /// Whether they are written at all.
    named: bool,
}

impl Groups<'_> {
    fn count(&mut self, records: usize) {
        for i in 0..records {
            let first = self.kin.find(i);
            if self.named && first != i {
                self.several.insert(first, None);
            }
        }
    }

    /// The group that its first record has, or else that record's id.
    fn name(&mut self, record: usize) -> Result<Option<String>> {
        let first = self.kin.find(record);
        let Some(name) = self.several.get_mut(&first) else { return Ok(None) };
        if name.is_none() {
            let record = self.source.record(first)?;
            *name = Some(record.group.clone().unwrap_or_else(|| record.id.clone()));
        }
        Ok(name.clone())
    }
}

#[cfg(test)]
#[path = "../tests/split.rs"]
mod tests;
