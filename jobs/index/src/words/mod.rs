//! Which rows of a segment have which words, and how often: `words.bin`.
//!
//! Eight letters, then five numbers (8 bytes each): rows N, terms T, terms of all rows together, bytes of the terms' letters, bytes of the postings. Then N
//! counts of terms (4 bytes each), T pairs of where a term's letters and its postings end (8 bytes each), the letters of all terms in their order, and the
//! postings: of each row of a term how many rows it is from the one before, and how often it has the term, in groups of seven bits.

mod terms;

pub(crate) use terms::{of_item, terms};

use crate::{Error, Result};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::path::Path;

const MAGIC: &[u8; 8] = b"unisonow";
const HEAD: usize = 48;

/// The words of a segment's rows.
#[derive(Debug)]
pub(crate) struct Words {
    map: Mmap,
    rows: usize,
    terms: usize,
    total: u64,
    /// Where the letters begin, and the postings.
    letters: usize,
    postings: usize,
}

impl Words {
    /// Maps the file at `path`, of a segment of so many rows.
    ///
    /// # Errors
    /// A file of another length or another kind.
    pub(crate) fn open(path: &Path, rows: usize) -> Result<Self> {
        let file = unisono_files::open(path)?;
        // SAFETY: segments are never written in place; a process that cuts the file all the same would make any reader fault.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        let number = |place: usize| number(&map, 8 + 8 * place);
        let lay = || {
            let terms = usize::try_from(number(1)?).ok()?;
            let letters = HEAD.checked_add(rows.checked_mul(4)?)?.checked_add(terms.checked_mul(16)?)?;
            let postings = letters.checked_add(usize::try_from(number(3)?).ok()?)?;
            let end = postings.checked_add(usize::try_from(number(4)?).ok()?)?;
            let own = map.starts_with(MAGIC) && number(0) == Some(rows as u64) && end == map.len();
            own.then_some((terms, number(2)?, letters, postings))
        };
        let Some((terms, total, letters, postings)) = lay() else {
            let message = format!(
                "not the words of {rows} rows: cut or of another segment; `unisono index check` says what to do"
            );
            return Err(Error::format(path, message));
        };
        Ok(Self { rows, terms, total, letters, postings, map })
    }

    /// Terms of all rows together, one that comes again counted again.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// How many terms a row has.
    pub(crate) fn count(&self, row: usize) -> u32 {
        let at = HEAD + 4 * row;
        let bytes = self.map.get(at..at + 4).filter(|_| row < self.rows).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    /// Where the letters and the postings of this term end.
    fn ends(&self, term: usize) -> Option<(usize, usize)> {
        let at = HEAD + 4 * self.rows + 16 * term;
        let end = |at| usize::try_from(number(&self.map, at)?).ok();
        Some((end(at)?, end(at + 8)?))
    }

    /// The bytes between two ends, from `start` on.
    fn between(&self, start: usize, from: usize, to: usize) -> &[u8] {
        let range = start.saturating_add(from)..start.saturating_add(to);
        self.map.get(range).unwrap_or_default()
    }

    /// The rows that have a term, in their order, and how often each.
    pub(crate) fn rows(&self, term: &str) -> Vec<(usize, u32)> {
        let start = |n: usize| n.checked_sub(1).map_or(Some((0, 0)), |before| self.ends(before));
        let (mut low, mut high) = (0, self.terms);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(((from, at), (to, end))) = start(middle).zip(self.ends(middle)) else { break };
            match self.between(self.letters, from, to.min(self.postings - self.letters)).cmp(term.as_bytes())
            {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.unpack(self.between(self.postings, at, end)),
            }
        }
        Vec::new()
    }

    fn unpack(&self, mut bytes: &[u8]) -> Vec<(usize, u32)> {
        let (mut found, mut row) = (Vec::new(), 0usize);
        while let Some((step, often)) = take(&mut bytes).zip(take(&mut bytes)) {
            row = row.saturating_add(step as usize);
            if row >= self.rows {
                break;
            }
            found.push((row, often));
        }
        found
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    let (mut value, mut shift) = (0u32, 0u32);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u32::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

fn put(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The words of rows that are being written.
#[derive(Debug, Default)]
pub(crate) struct Making {
    counts: Vec<u32>,
    terms: BTreeMap<String, Posting>,
}

/// The rows of a term: the last one is not packed yet.
#[derive(Debug, Default)]
struct Posting {
    packed: Vec<u8>,
    before: u32,
    row: u32,
    often: u32,
}

impl Posting {
    fn close(&mut self) {
        if self.often > 0 {
            put(&mut self.packed, self.row - self.before);
            put(&mut self.packed, self.often);
            self.before = self.row;
        }
    }
}

impl Making {
    /// The next row.
    pub(crate) fn push(&mut self, item: &crate::Item) {
        let (row, mut count) = (self.counts.len() as u32, 0u32);
        of_item(item, &mut |term| {
            count = count.saturating_add(1);
            let posting = match self.terms.get_mut(term) {
                Some(posting) => posting,
                None => self.terms.entry(term.to_owned()).or_default(),
            };
            if posting.row != row {
                posting.close();
                (posting.row, posting.often) = (row, 0);
            }
            posting.often = posting.often.saturating_add(1);
        });
        self.counts.push(count);
    }

    /// The file.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let (mut ends, mut letters, mut postings): (Vec<u8>, Vec<u8>, Vec<u8>) = Default::default();
        let (rows, terms) = (self.counts.len() as u64, self.terms.len() as u64);
        for (term, mut posting) in self.terms {
            posting.close();
            letters.extend(term.as_bytes());
            postings.extend(posting.packed);
            ends.extend((letters.len() as u64).to_le_bytes());
            ends.extend((postings.len() as u64).to_le_bytes());
        }
        let total = self.counts.iter().map(|n| u64::from(*n)).sum();
        let head = [rows, terms, total, letters.len() as u64, postings.len() as u64];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(head.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(self.counts.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(ends);
        bytes.extend(letters);
        bytes.extend(postings);
        bytes
    }
}

#[cfg(test)]
#[path = "../tests/words.rs"]
mod tests;
