//! Items by the million: packed, since a list of them is held for as long as its job takes.

use crate::Item;
use std::collections::BTreeMap;
use std::fmt;
use unisono_processors::Modality;

/// Entries between two that are whole: what is looked for is unpacked from the one before.
const BLOCK: usize = 16;
/// Of an entry that is an item's JSON. The others are paths of files by themselves, by modality, and 4 more for videos that are seen or heard.
const JSON: u8 = 8;

/// A list of items. A file by itself takes what its path adds to that of the file before it, and three bytes; anything else what its line of JSON
/// adds to the line before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Items {
    /// Entries: a tag, how many letters are as before, how many follow, and these.
    bytes: Vec<u8>,
    /// Where each block begins.
    blocks: Vec<u64>,
    len: usize,
    last: Vec<u8>,
    counts: BTreeMap<Modality, usize>,
}

impl Items {
    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of each modality.
    pub fn counts(&self) -> &BTreeMap<Modality, usize> {
        &self.counts
    }

    /// Adds one.
    pub fn push(&mut self, item: &Item) {
        let own = by_itself(item);
        let (tag, whole) = match own {
            Some((tag, path)) => (tag, path.as_bytes().to_vec()),
            // Bytes in memory are not held by a list of millions: whoever asks for them is told that there is no file.
            None => (JSON, serde_json::to_vec(item).or_else(|_| bare(item)).unwrap_or_default()),
        };
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(self.bytes.len() as u64);
            self.last.clear();
        }
        let shared = self.last.iter().zip(&whole).take_while(|(a, b)| a == b).count();
        self.bytes.push(tag);
        put(&mut self.bytes, shared);
        put(&mut self.bytes, whole.len() - shared);
        self.bytes.extend_from_slice(&whole[shared..]);
        self.last = whole;
        self.len += 1;
        *self.counts.entry(item.modality).or_insert(0) += 1;
    }

    /// The item of this number.
    pub fn get(&self, index: usize) -> Option<Item> {
        self.range(index, index + 1).next()
    }

    /// From the first on.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0, self.len)
    }

    /// From number `from` up to, and without, `to`.
    pub fn range(&self, from: usize, to: usize) -> Iter<'_> {
        let to = to.min(self.len);
        let block = from / BLOCK;
        let at = self.blocks.get(block).map_or(self.bytes.len(), |at| *at as usize);
        let mut iter = Iter {
            bytes: self.bytes.get(at..).unwrap_or_default(),
            left: to.saturating_sub(block * BLOCK),
            entry: Vec::new(),
        };
        for _ in block * BLOCK..from.min(to) {
            iter.unpack();
        }
        iter
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.blocks.capacity() * size_of::<u64>() + self.last.capacity()
    }
}

/// The tag and path of an item that is a file and nothing else.
fn by_itself(item: &Item) -> Option<(u8, &str)> {
    let path = item.blob.as_ref()?.path()?.to_str()?;
    let tag = Modality::ALL.iter().position(|m| *m == item.modality)? as u8;
    let nothing_else = item.text.is_none()
        && item.label.is_none()
        && item.lang.is_none()
        && item.span.is_whole()
        && item.part == 0
        && item.meta.is_empty()
        && item.id == path;
    nothing_else.then_some((tag + if item.video { 4 } else { 0 }, path))
}

fn bare(item: &Item) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Item { blob: None, ..item.clone() })
}

fn unpacked(tag: u8, entry: &[u8]) -> Option<Item> {
    if tag == JSON {
        return serde_json::from_slice(entry).ok();
    }
    let path = std::str::from_utf8(entry).ok()?;
    let modality = *Modality::ALL.get(usize::from(tag % 4))?;
    Some(Item { video: tag >= 4, ..Item::file(path, modality) })
}

/// Seven bits a byte, the last one's highest is 0.
fn put(bytes: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn take(bytes: &mut &[u8]) -> Option<usize> {
    let (mut n, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
        shift += 7;
    }
}

/// Items, one after another.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    left: usize,
    entry: Vec<u8>,
}

impl Iter<'_> {
    /// The next entry's tag; what it holds is in `entry`.
    fn unpack(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        let (tag, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        let shared = take(&mut self.bytes)?;
        let (new, rest) = take(&mut self.bytes).and_then(|own| self.bytes.split_at_checked(own))?;
        self.entry.truncate(shared);
        self.entry.extend_from_slice(new);
        self.bytes = rest;
        Some(*tag)
    }
}

impl Iterator for Iter<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let tag = self.unpack()?;
        unpacked(tag, &self.entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl Extend<Item> for Items {
    fn extend<I: IntoIterator<Item = Item>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(&item));
    }
}

impl FromIterator<Item> for Items {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let mut all = Self::default();
        all.extend(items);
        all
    }
}

impl<const N: usize> From<[Item; N]> for Items {
    fn from(items: [Item; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Items {
    type Item = Item;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Millions are not for reading.
        f.debug_struct("Items")
            .field("first", &self.get(0))
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unisono_media::video::{Ratio, Span, Time};

    fn any_item() -> impl Strategy<Value = Item> {
        let words = prop::option::of("(?s).{0,12}");
        let modality = prop::sample::select(Modality::ALL.to_vec());
        let moment = |pts| Time { pts, base: Ratio { num: 1, den: 25 } };
        let span = prop::option::of(0i64..9)
            .prop_map(move |start| Span { start: start.map(moment), end: start.map(|s| moment(s + 3)) });
        (modality, "/[ab]{1,3}/[a-cž]{0,9}", words.clone(), words, any::<bool>(), span, 0usize..3).prop_map(
            |(modality, path, text, label, video, span, part)| match text {
                Some(text) if modality == Modality::Text => Item { label, part, ..Item::text(path, text) },
                text if part == 2 => Item { text, label, video, span, part, ..Item::file(path, modality) },
                _ => Item { video, ..Item::file(path, modality) },
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out(all in prop::collection::vec(any_item(), 0..70), from in 0usize..80, to in 0usize..80) {
            let items: Items = all.iter().cloned().collect();
            prop_assert_eq!(items.len(), all.len());
            prop_assert_eq!(items.iter().collect::<Vec<_>>(), all.clone());
            let part = all.get(from..to.clamp(from, all.len().max(from))).unwrap_or_default();
            prop_assert_eq!(items.range(from, to).collect::<Vec<_>>(), part);
            prop_assert_eq!(items.get(from), all.get(from).cloned());
            prop_assert_eq!(items.counts().values().sum::<usize>(), all.len());
        }
    }

    #[test]
    fn a_file_takes_a_few_bytes() {
        let file = |i: usize| {
            Item::file(format!("/data/pictures/{:03}/{:07}.png", i / 1000, i).as_str(), Modality::Image)
        };
        let items: Items = (0..100_000).map(file).collect();
        assert!(items.bytes.len() < 100_000 * 16, "{}", items.bytes.len());
        assert_eq!(items.get(99_999), Some(file(99_999)));
    }
}
