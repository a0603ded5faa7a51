//! What every rank knows of a step's samples before they go through towers: who has which row of the whole batch.

use crate::Result;
use crate::batch;
use crate::sample::Sample;
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use unisono_encoders::Modality;
use unisono_fusion::objective::Items;

/// What a sample is to the others: where it stands in the whole batch, and what the objective asks of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Said {
    /// 0: drawn; 1: a second view; 2: a mined negative. As one process has them behind each other.
    kind: u8,
    source: usize,
    /// Of the sample that it is, or belongs to.
    draw: u64,
    /// Which view or negative of it.
    number: usize,
    label: u64,
    text: Option<u64>,
    taught: BTreeMap<Modality, Vec<f32>>,
    frozen: BTreeMap<Modality, Vec<f32>>,
}

impl Said {
    fn of(kind: u8, number: usize, sample: &Sample, owner: &Sample) -> Self {
        Self {
            kind,
            source: owner.source,
            draw: owner.draw,
            number,
            label: sample.label,
            text: sample.text,
            taught: sample.taught.clone(),
            frozen: sample.frozen.clone(),
        }
    }

    fn place(&self) -> (u8, usize, u64, usize) {
        (self.kind, self.source, self.draw, self.number)
    }
}

/// The whole batch, as every rank knows it.
#[derive(Debug)]
pub(super) struct Everyone {
    /// Of the whole batch, in the order of one process.
    pub(super) items: Items,
    /// This rank's samples, with second views and negatives of their own behind them; each is the sample of a row.
    pub(super) own: Vec<Sample>,
    /// Their rows, ascending.
    pub(super) rows: Vec<usize>,
}

impl Everyone {
    /// Tells the others of `samples`, and learns of theirs.
    ///
    /// # Errors
    /// A rank that does not answer.
    pub(super) fn of(samples: &[Sample], world: &World) -> Result<Self> {
        let (mut said, mut own) = (Vec::new(), Vec::new());
        let plain = |sample: &Sample| Sample { negatives: Vec::new(), again: Vec::new(), ..sample.clone() };
        for sample in samples {
            said.push(Said::of(0, 0, sample, sample));
            own.push(plain(sample));
            for (i, view) in sample.again.iter().enumerate() {
                said.push(Said::of(1, i, view, sample));
                own.push(plain(view));
            }
            for (i, negative) in sample.negatives.iter().enumerate() {
                said.push(Said::of(2, i, negative, sample));
                own.push(plain(negative));
            }
        }
        let all = world.gather(&said)?;
        Ok(Self::joined(all, own, world.rank()))
    }

    /// What `mined::joined` makes of the whole batch, and this rank's part of it.
    fn joined(all: Vec<Vec<Said>>, own: Vec<Sample>, rank: usize) -> Self {
        let mut every: Vec<(Said, usize, usize)> = Vec::new();
        for (of, said) in all.into_iter().enumerate() {
            every.extend(said.into_iter().enumerate().map(|(i, said)| (said, of, i)));
        }
        every.sort_by_key(|(said, ..)| said.place());
        let mut texts: HashSet<u64> =
            every.iter().filter(|(said, ..)| said.kind < 2).filter_map(|(said, ..)| said.text).collect();
        // A negative is one once, and not where the batch has its text itself.
        every.retain(|(said, ..)| said.kind < 2 || said.text.is_some_and(|text| texts.insert(text)));
        let row_of: BTreeMap<(usize, u64), usize> = (0..)
            .zip(&every)
            .filter(|(_, (said, ..))| said.kind == 0)
            .map(|(row, (said, ..))| ((said.source, said.draw), row))
            .collect();
        let mut own: Vec<Option<Sample>> = own.into_iter().map(Some).collect();
        let (mut shells, mut mine, mut rows) = (Vec::with_capacity(every.len()), Vec::new(), Vec::new());
        for (row, (said, of, i)) in every.into_iter().enumerate() {
            let again = row_of.get(&(said.source, said.draw)).copied().filter(|_| said.kind == 1);
            if of == rank
                && let Some(sample) = own.get_mut(i).and_then(Option::take)
            {
                mine.push(Sample { of: again, ..sample });
                rows.push(row);
            }
            shells.push(Sample {
                source: said.source,
                label: said.label,
                text: said.text,
                taught: said.taught,
                frozen: said.frozen,
                of: again,
                mined: said.kind == 2,
                ..Sample::default()
            });
        }
        Self { items: batch::items(&shells), own: mine, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mined;

    /// A sample with a second view and negatives of these texts.
    fn sample(source: usize, draw: u64, text: u64, negatives: &[u64]) -> Sample {
        let of = |text: u64, mined| Sample {
            text: Some(text),
            label: text,
            mined,
            source,
            draw,
            ..Sample::default()
        };
        Sample {
            again: vec![of(100 + text, false)],
            negatives: negatives.iter().map(|text| of(*text, true)).collect(),
            taught: BTreeMap::from([(Modality::Text, vec![text as f32, 0.5])]),
            ..of(text, false)
        }
    }

    #[test]
    fn ranks_know_together_what_one_process_knows() {
        let batch = [
            sample(0, 7, 1, &[50, 2, 51]),
            sample(0, 8, 2, &[51, 52]),
            sample(0, 9, 3, &[50, 102]),
            sample(1, 4, 4, &[53]),
            sample(1, 5, 5, &[]),
        ];
        let single = mined::joined(&batch);
        let want = batch::items(&single);
        // As the sampler cuts it: of each source a part.
        let parts = [vec![&batch[0], &batch[3]], vec![&batch[1], &batch[2], &batch[4]]];
        let (mut said, mut owned) = (Vec::new(), Vec::new());
        for part in parts {
            let (mut of, mut own) = (Vec::new(), Vec::new());
            for sample in part {
                of.push(Said::of(0, 0, sample, sample));
                of.extend(sample.again.iter().enumerate().map(|(i, v)| Said::of(1, i, v, sample)));
                of.extend(sample.negatives.iter().enumerate().map(|(i, v)| Said::of(2, i, v, sample)));
                own.push((*sample).clone());
                own.extend(sample.again.iter().chain(&sample.negatives).cloned());
            }
            said.push(of);
            owned.push(own);
        }
        let mut rows = Vec::new();
        for (rank, own) in owned.into_iter().enumerate() {
            let found = Everyone::joined(said.clone(), own, rank);
            assert_eq!((&found.items.labels, &found.items.texts), (&want.labels, &want.texts));
            assert_eq!((&found.items.mined, &found.items.again), (&want.mined, &want.again));
            assert_eq!(found.items.sources, want.sources);
            let taught = |items: &Items| {
                items.teachers.get(&Modality::Text).map(|f| (f.rows.clone(), f.values.clone()))
            };
            assert_eq!(taught(&found.items), taught(&want));
            for (row, sample) in found.rows.iter().zip(&found.own) {
                assert_eq!((sample.text, sample.of), (single[*row].text, single[*row].of), "{row}");
            }
            rows.extend(found.rows);
        }
        rows.sort_unstable();
        assert_eq!(rows, (0..single.len()).collect::<Vec<_>>());
    }
}
