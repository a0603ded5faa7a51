//! Mined negatives: what `unisono data mine` found to be nearest to a record and not it. Their captions join the texts of its batch.

use crate::pick::hash;
use crate::recipe::Recipe;
use crate::sample::Sample;
use crate::{Error, Result};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use unisono_datasets::{Part, Record, Sampler};

/// The field of a record that has the ids of its negatives, the most similar first.
const FIELD: &str = "negatives";

/// Records of each share that are looked at for the field before a run begins.
const TRIED: usize = 1000;

/// The negatives of the records of a recipe's shares. Shared by threads.
#[derive(Debug, Default)]
pub(crate) struct Mined {
    /// So many of a record's, at most.
    each: usize,
    shares: Vec<Share>,
}

/// A share's records by their ids.
#[derive(Debug)]
struct Share {
    records: Part,
    /// By a hash of the id: twelve bytes a record, and what a table leaves free.
    places: HashMap<u64, u32>,
}

impl Mined {
    /// Of the shares of a recipe whose objective asks for negatives. Only records of a share's own split are negatives of its records.
    ///
    /// # Errors
    /// A source that cannot be read, or no record with negatives.
    pub(crate) fn open(recipe: &Recipe, sampler: &Sampler) -> Result<Self> {
        let each = recipe.objective.negatives();
        if each == 0 {
            return Ok(Self::default());
        }
        let (mut shares, mut known) = (Vec::new(), false);
        for share in sampler.shares() {
            let records = share.records.clone();
            let tried = TRIED.min(records.len());
            known = known
                || (0..tried).any(|at| {
                    let record = records.record(at * records.len() / tried);
                    record.is_ok_and(|record| names(&record).next().is_some())
                });
            let mut places = HashMap::with_capacity(records.len());
            for at in 0..records.len() {
                places.insert(hash(&records.id(at)?), u32::try_from(at).unwrap_or(u32::MAX));
            }
            shares.push(Share { records, places });
        }
        if !known {
            let message = "no record has negatives: write them with unisono data mine … --out negatives.jsonl, and name the file in the source's annotations";
            return Err(Error::setting("objective: negatives", message));
        }
        Ok(Self { each, shares })
    }

    /// The negatives of a share's record that have a text: those of its split, as many as are asked for.
    pub(crate) fn of<'a>(
        &'a self,
        share: usize,
        record: &'a Record,
    ) -> impl Iterator<Item = Cow<'a, Record>> + 'a {
        let share = self.shares.get(share);
        let found = names(record).filter_map(move |id| {
            let share = share?;
            let found = share.records.record(*share.places.get(&hash(id))? as usize).ok()?;
            (found.id == id && found.id != record.id && !found.text.is_empty()).then_some(found)
        });
        found.take(self.each)
    }
}

/// The ids in a record's field.
fn names(record: &Record) -> impl Iterator<Item = &str> {
    let all = record.extra.get(FIELD).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

/// The samples of a batch and, behind them, their second views and their negatives: of these each text once, and none that the batch has itself.
pub(crate) fn joined(samples: &[Sample]) -> Cow<'_, [Sample]> {
    if samples.iter().all(|sample| sample.negatives.is_empty() && sample.again.is_empty()) {
        return Cow::Borrowed(samples);
    }
    let own =
        samples.iter().map(|sample| Sample { negatives: Vec::new(), again: Vec::new(), ..sample.clone() });
    let mut all: Vec<Sample> = own.collect();
    for (of, sample) in samples.iter().enumerate() {
        all.extend(sample.again.iter().map(|view| Sample { of: Some(of), ..view.clone() }));
    }
    let mut texts: HashSet<u64> = all.iter().filter_map(|sample| sample.text).collect();
    let negatives = samples.iter().flat_map(|sample| &sample.negatives);
    all.extend(negatives.filter(|sample| sample.text.is_some_and(|text| texts.insert(text))).cloned());
    Cow::Owned(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negatives_stand_behind_the_batch_once() {
        let negative = |text: u64| Sample { text: Some(text), mined: true, ..Sample::default() };
        let sample = |text: u64, of: &[u64]| Sample {
            text: Some(text),
            negatives: of.iter().map(|text| negative(*text)).collect(),
            ..Sample::default()
        };
        let plain = [sample(1, &[]), sample(2, &[])];
        assert!(matches!(joined(&plain), Cow::Borrowed(_)));
        let all = joined(&[sample(1, &[7, 2, 8]), sample(2, &[8, 9])]).into_owned();
        let found: Vec<(Option<u64>, bool)> = all.iter().map(|s| (s.text, s.mined)).collect();
        let some = |text, mined| (Some(text), mined);
        assert_eq!(found, [some(1, false), some(2, false), some(7, true), some(8, true), some(9, true)]);
        let items = crate::batch::items(&all);
        assert_eq!((items.mined, items.labels.len()), (vec![2, 3, 4], 5));
    }
}
