//! Records that could not be used: named, counted by their causes, and not too many of them.

use super::skip::Skip;
use crate::{Causes, Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};

/// Records that are remembered by name.
const NAMED: usize = 10_000;
/// Records that are named as they come; after that each whose number is a power of two.
const TOLD: usize = 20;

/// How many records may be skipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowed {
    /// Distinct records, in any case.
    pub records: usize,
    /// More of them, up to this share of what was drawn.
    pub fraction: f64,
}

/// Records of one source that could not be used for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The source's name.
    pub source: String,
    /// Where it was found: `read`, `decode`, `augment`.
    pub stage: Cow<'static, str>,
    /// What was wrong, without what is of one record only.
    pub cause: String,
    /// Distinct records.
    pub count: u64,
}

#[derive(Debug)]
pub(super) struct Faults {
    allowed: Allowed,
    named: BTreeMap<String, String>,
    seen: HashSet<u64>,
    causes: Causes<(String, &'static str)>,
    drawn: u64,
}

/// A record that could not be used, as a worker found it.
#[derive(Debug)]
pub(super) struct Fail {
    pub(super) share: usize,
    pub(super) stage: &'static str,
    pub(super) id: String,
    pub(super) reason: String,
}

impl Faults {
    pub(super) fn new(allowed: Allowed) -> Self {
        let (named, seen, causes) = (BTreeMap::new(), HashSet::new(), Causes::default());
        Self { allowed, named, seen, causes, drawn: 0 }
    }

    /// Counts a sample that was drawn.
    pub(super) fn drawn(&mut self) {
        self.drawn += 1;
    }

    /// Counts a record that failed; what is to be said of it: nothing where it was met before, or where many were named already.
    pub(super) fn add(&mut self, source: &str, fail: Fail) -> Met {
        let mut hash = DefaultHasher::new();
        (fail.share, &fail.id).hash(&mut hash);
        if !self.seen.insert(hash.finish()) {
            return Met::Again;
        }
        self.causes.add((source.to_owned(), fail.stage), without_place(&fail.reason, &fail.id));
        if self.named.len() < NAMED {
            self.named.insert(fail.id.clone(), fail.reason.clone());
        }
        let count = self.seen.len();
        let skip = Skip { id: fail.id, reason: fail.reason };
        if count <= TOLD || count.is_power_of_two() { Met::Told(skip) } else { Met::Quiet(skip) }
    }

    /// Whether it is too much.
    pub(super) fn check(&self, last: &Skip) -> Result<()> {
        let share = (self.allowed.fraction * self.drawn as f64) as usize;
        let (count, max) = (self.seen.len(), self.allowed.records.max(share));
        if count <= max {
            return Ok(());
        }
        Err(Error::TooManySkipped { count, max, id: last.id.clone(), reason: last.reason.clone() })
    }

    pub(super) fn named(&self) -> &BTreeMap<String, String> {
        &self.named
    }

    /// By source, the most frequent first.
    pub(super) fn table(&self) -> Vec<Fault> {
        let of = |((source, stage), cause, count): ((String, &'static str), String, u64)| Fault {
            source,
            stage: stage.into(),
            cause,
            count,
        };
        let mut faults: Vec<Fault> = self.causes.table().into_iter().map(of).collect();
        // Those of one source keep their order.
        faults.sort_by(|a, b| a.source.cmp(&b.source));
        faults
    }
}

pub(super) enum Met {
    Told(Skip),
    Quiet(Skip),
    Again,
}

/// A reason without the path or id before its first colon, which is of one record only.
fn without_place<'a>(reason: &'a str, id: &str) -> &'a str {
    let named = |place: &str| place.contains('/') || place.contains('.') || place == id;
    match reason.split_once(": ") {
        Some((place, rest)) if named(place) => rest,
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(id: usize, reason: &str) -> Fail {
        Fail { share: 0, stage: "decode", id: format!("r{id}"), reason: reason.into() }
    }

    #[test]
    fn a_place_is_of_one_record() {
        let said = "expected 3 bytes, found 17";
        assert_eq!(without_place(&format!("a/b.png: {said}"), "b"), said);
        assert_eq!(without_place(&format!("b: {said}"), "b"), said);
        assert_eq!(without_place("cut off: at once", "b"), "cut off: at once");
    }

    #[test]
    fn named_at_a_limited_rate_and_counted_all() {
        let mut faults = Faults::new(Allowed { records: 1000, fraction: 0.0 });
        let mut told = Vec::new();
        for i in 0..100 {
            if let Met::Told(skip) = faults.add("web", fail(i, &format!("dir/{i}.png: cut off at byte {i}")))
            {
                told.push(skip.id);
            }
        }
        assert!(matches!(faults.add("web", fail(3, "again")), Met::Again));
        // Twenty, the thirty-second and the sixty-fourth.
        assert_eq!((told.len(), told[20].as_str(), told[21].as_str()), (22, "r31", "r63"));
        let expected = Fault {
            source: "web".into(),
            stage: "decode".into(),
            cause: "cut off at byte #".into(),
            count: 100,
        };
        assert_eq!(faults.table(), [expected]);
    }

    #[test]
    fn memory_is_bounded_whatever_strangers_write() {
        let mut faults = Faults::new(Allowed { records: usize::MAX, fraction: 0.0 });
        let letters =
            |i: usize| (0..5).map(|k| char::from(b'a' + (i / 26usize.pow(k) % 26) as u8)).collect::<String>();
        for i in 0..NAMED + 500 {
            faults.add("web", fail(i, &letters(i)));
        }
        // A thousand causes, and the others.
        assert_eq!((faults.named().len(), faults.table().len()), (NAMED, 1001));
        assert_eq!(faults.table().iter().map(|f| f.count).sum::<u64>(), NAMED as u64 + 500);
    }

    #[test]
    fn a_share_of_what_was_drawn_is_allowed() {
        let mut faults = Faults::new(Allowed { records: 2, fraction: 0.1 });
        let last = Skip { id: "r".into(), reason: "broken".into() };
        for i in 0..5 {
            faults.add("web", fail(i, "broken"));
        }
        (0..49).for_each(|_| faults.drawn());
        assert!(matches!(faults.check(&last), Err(Error::TooManySkipped { count: 5, max: 4, .. })));
        faults.drawn();
        faults.check(&last).unwrap();
    }
}
