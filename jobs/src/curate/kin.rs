//! Which records are about the same.

use crate::named::{files, identity, number};
use std::collections::HashMap;
use unisono_datasets::Record;
use unisono_datasets::words::folded;

/// What tells records that are about the same: their groups, labels, files and the words of their captions, as numbers.
#[derive(Debug, Default)]
pub(super) struct Kin(HashMap<usize, Box<[u64]>>);

impl Kin {
    /// A record by its number in its source.
    pub(super) fn add(&mut self, record: usize, of: &Record) {
        let group = of.group.iter().map(|group| number(("group", group)));
        let label = of.label.iter().map(|label| number(("label", label)));
        let named = files(of).map(|(kind, blob, span)| number((identity(kind, blob), span.to_string())));
        let words = of.text.iter().map(|text| number(("words", folded(text))));
        let mut marks: Vec<u64> = group.chain(label).chain(named).chain(words).collect();
        marks.sort_unstable();
        self.0.insert(record, marks.into());
    }

    /// Whether two records are one, or have any of these in common.
    pub(super) fn same(&self, a: usize, b: usize) -> bool {
        let marks = |record: usize| self.0.get(&record).map(|marks| &**marks).unwrap_or_default();
        let other = marks(b);
        a == b || marks(a).iter().any(|mark| other.binary_search(mark).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_common_makes_kin() {
        let mut kin = Kin::default();
        let record = |change: &dyn Fn(&mut Record)| {
            let mut record = Record::default();
            change(&mut record);
            record
        };
        let records = [
            record(&|r| r.group = Some("a".into())),
            record(&|r| r.label = Some("a".into())),
            record(&|r| (r.group, r.image) = (Some("a".into()), Some("a.png".into()))),
            record(&|r| (r.image, r.text) = (Some("a.png".into()), vec!["A  dog".into()])),
            record(&|r| r.text = vec!["x".into(), "a dog".into()]),
        ];
        records.iter().enumerate().for_each(|(i, record)| kin.add(i, record));
        let same: Vec<(usize, usize)> =
            (0..5).flat_map(|a| (a + 1..5).map(move |b| (a, b))).filter(|(a, b)| kin.same(*a, *b)).collect();
        assert_eq!(same, [(0, 2), (2, 3), (3, 4)]);
        assert!(kin.same(1, 1) && kin.same(9, 9) && !kin.same(8, 9));
    }
}
