//! Votes as a manifest: pairs of words and what they were said to mean, and hard negatives.

use super::votes::{Voted, read};
use crate::curate::write_lines;
use crate::{Error, Item, Modality, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use unisono_files::{Sum, short_sum};

/// The splits of queries that are learned from, and of those that judge.
const SPLITS: [&str; 2] = ["train", "val"];

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fed {
    /// The manifest.
    pub out: PathBuf,
    /// Queries that something was found for, by split.
    pub queries: BTreeMap<&'static str, usize>,
    /// Records of votes.
    pub pairs: usize,
    /// Records of what was voted on with its own caption: what the model knows of it already.
    pub own: usize,
    /// Negatives in all.
    pub negatives: usize,
    /// Votes that make no record: on texts, on parts of archives, on hits without a caption for words that nothing was found for.
    pub unused: usize,
    /// Lines that are no votes.
    pub damaged: usize,
}

/// Whether a query is of the share that judges and is not learned from: a function of its words alone.
pub fn is_held_out(query: &str, share: f64) -> bool {
    let letters = Sum::of(query.trim().as_bytes());
    let number = letters.get(..8).and_then(|first| u32::from_str_radix(first, 16).ok()).unwrap_or(0);
    (f64::from(number) + 0.5) / 4_294_967_296.0 < share
}

/// A record under construction.
struct Line {
    id: String,
    text: String,
    item: Item,
    split: &'static str,
    negatives: Vec<String>,
}

impl Line {
    /// As a manifest has it; none of what a manifest cannot name.
    fn of(text: &str, item: &Item, split: &'static str) -> Option<Self> {
        item.blob.as_ref().and_then(|blob| blob.path())?;
        let mut sum = Sum::default();
        [text.as_bytes(), item.id.as_bytes()].into_iter().for_each(|part| sum.part(part));
        let id = short_sum(sum.letters().as_bytes());
        Some(Self { id, text: text.to_owned(), item: item.clone(), split, negatives: Vec::new() })
    }

    fn json(&self) -> Value {
        let mut line = Map::new();
        line.insert("id".into(), self.id.clone().into());
        line.insert("text".into(), self.text.clone().into());
        let kind = match self.item.modality {
            _ if self.item.video => "video",
            Modality::Image => "image",
            Modality::Audio => "audio",
            _ => "video",
        };
        line.insert(kind.into(), json!(self.item.blob.as_ref().and_then(|blob| blob.path())));
        for (key, time) in [("start", self.item.span.start), ("end", self.item.span.end)] {
            if let Some(time) = time {
                line.insert(key.into(), json!(time.seconds()));
            }
        }
        // Whatever was said of one thing is right of it.
        line.insert("label".into(), self.item.id.clone().into());
        line.insert("split".into(), self.split.into());
        if !self.negatives.is_empty() {
            line.insert("negatives".into(), json!(self.negatives));
        }
        Value::Object(line)
    }
}

/// Writes a manifest of the votes in these files: a record for each query and each hit that was said to be right for it; for each hit its own caption, too; and as `negatives` of
/// a hit's records the words that it was said to be wrong for. A share of the queries is held out (split `val`), by their words.
///
/// # Errors
/// Files without votes; no query that is learned from, or none that is held out.
pub fn from_feedback(paths: &[PathBuf], out: &Path, held_out: f64) -> Result<Fed> {
    let (votes, damaged) = read(paths)?;
    let mut made = Fed {
        out: out.to_owned(),
        queries: BTreeMap::new(),
        pairs: 0,
        own: 0,
        negatives: 0,
        unused: 0,
        damaged,
    };
    // By what they say of which item; of each query the first of its records, which has its words.
    let (mut lines, mut of_query) = (BTreeMap::<(String, String), Line>::new(), BTreeMap::new());
    for (query, Voted { up, .. }) in &votes {
        let split = SPLITS[usize::from(is_held_out(query, held_out))];
        for item in up {
            let Some(line) = Line::of(query, item, split) else {
                made.unused += 1;
                continue;
            };
            of_query.entry(query).or_insert_with(|| (line.id.clone(), split));
            lines.insert((item.id.clone(), query.clone()), line);
            made.pairs += 1;
        }
    }
    for (_, split) in of_query.values() {
        *made.queries.entry(*split).or_default() += 1;
    }
    for (query, Voted { up, down }) in &votes {
        if is_held_out(query, held_out) {
            continue;
        }
        for item in up.iter().chain(down) {
            let own = item.text.as_ref().filter(|text| !text.trim().is_empty());
            let key = |text: &String| (item.id.clone(), text.clone());
            if let Some(text) = own.filter(|text| !lines.contains_key(&key(text)))
                && let Some(line) = Line::of(text, item, SPLITS[0])
            {
                lines.insert(key(text), line);
                made.own += 1;
            }
        }
    }
    for (query, Voted { down, .. }) in &votes {
        for item in down {
            let wrong = of_query.get(query);
            let used = wrong.map_or(0, |(id, split)| {
                let of = lines.range_mut((item.id.clone(), String::new())..);
                let of = of.take_while(|((owner, _), _)| *owner == item.id).map(|(_, line)| line);
                let mut count = 0;
                for line in of.filter(|line| line.split == *split && line.text != *query) {
                    line.negatives.push(id.clone());
                    count += 1;
                }
                count
            });
            made.negatives += used;
            made.unused += usize::from(used == 0);
        }
    }
    for split in SPLITS {
        if !made.queries.contains_key(split) {
            let (path, all) = (out.display(), of_query.len());
            let what = if split == SPLITS[0] { "learned from" } else { "held out" };
            return Err(Error::Input(format!(
                "{path}: of {all} queries with a right hit none is {what} at --held-out {held_out}: give another share, or gather more votes"
            )));
        }
    }
    let mut ids = BTreeSet::new();
    let unique = lines.values().filter(|line| ids.insert(line.id.clone()));
    write_lines(out, unique.map(|line| Ok(line.json())))?;
    Ok(made)
}
