//! What an index knows of a record: where it lies, and what decides which parts of its source it belongs to.

use crate::source::Key;
use std::collections::HashMap;

/// Of one entry in an index file, all of them little-endian: where it begins (8), its line (7) and what it has (1), its length (4), the numbers
/// of its split and its language (2 each).
pub(super) const BYTES: usize = 24;

const TEXT: u8 = 1;
const IMAGE: u8 = 2;
const AUDIO: u8 = 4;
const VIDEO: u8 = 8;

/// Where a record lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub offset: u64,
    /// Counted from 1.
    pub line: u64,
    pub length: u32,
    pub has: u8,
    /// 0: none; else one more than its place among the words.
    pub split: u16,
    pub lang: u16,
}

impl Entry {
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.line.to_le_bytes());
        bytes[15] = self.has;
        bytes[16..20].copy_from_slice(&self.length.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.split.to_le_bytes());
        bytes[22..].copy_from_slice(&self.lang.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, l4, l5, l6, has, n0, n1, n2, n3, s0, s1, g0, g1] =
            *bytes;
        Self {
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            line: u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, 0]),
            length: u32::from_le_bytes([n0, n1, n2, n3]),
            has,
            split: u16::from_le_bytes([s0, s1]),
            lang: u16::from_le_bytes([g0, g1]),
        }
    }

    /// What a record of this key has.
    pub fn has(key: &Key) -> u8 {
        let bit = |has: bool, bit: u8| if has { bit } else { 0 };
        bit(key.text, TEXT) | bit(key.image, IMAGE) | bit(key.audio, AUDIO) | bit(key.video, VIDEO)
    }

    pub fn key<'a>(&self, splits: &'a [String], langs: &'a [String]) -> Key<'a> {
        let word = |words: &'a [String], number: u16| {
            usize::from(number).checked_sub(1).and_then(|i| words.get(i)).map(String::as_str)
        };
        Key {
            split: word(splits, self.split),
            lang: word(langs, self.lang),
            text: self.has & TEXT != 0,
            image: self.has & IMAGE != 0,
            audio: self.has & AUDIO != 0,
            video: self.has & VIDEO != 0,
        }
    }
}

/// Words that many records share, by their numbers from 1.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub words: Vec<String>,
    /// How many records each has; those without any first.
    pub counts: Vec<u64>,
    numbers: HashMap<String, u16>,
}

impl Words {
    /// The number of a word; 0 of none.
    ///
    /// # Errors
    /// There are more than an index can tell apart: these are no splits or languages.
    pub fn number(&mut self, word: Option<String>) -> Result<u16, String> {
        let number = match word {
            None => 0,
            Some(word) => match self.numbers.get(&word) {
                Some(number) => *number,
                None => {
                    let number = u16::try_from(self.words.len() + 1).map_err(|_| {
                        format!(
                            "more than {} splits or languages, the last is {}: is the right column named?",
                            u16::MAX,
                            crate::plain::quoted(&word)
                        )
                    })?;
                    self.numbers.insert(word.clone(), number);
                    self.words.push(word);
                    number
                }
            },
        };
        self.counts.resize(self.words.len() + 1, 0);
        self.counts[usize::from(number)] += 1;
        Ok(number)
    }
}
