//! The order of an epoch: a permutation of a source's records that is a function of (seed, epoch), asked position by position.
//!
//! Small sources have a table, drawn so that every order is equally likely. Above that an order is keyed: a Feistel network over the
//! numbers below the next power of four, walked until it is back among the records (Black and Rogaway, "Ciphers with arbitrary finite
//! domains", 2002). It holds eight numbers, however many records there are, and any position costs the same.

use crate::rng::{Purpose, rng};
use rand::RngCore;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// Sources of at most so many records have a table.
const TABLE: u64 = 1 << 16;

/// How far records are moved when they are shuffled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// As suits the source: over blocks where neighbours are read together ([`crate::Source::block`]), over all of it elsewhere.
    #[default]
    Auto,
    /// Over all of it: each record may come anywhere.
    Global,
    /// Blocks of neighbours are put in a random order, and the records of `buffer` blocks at a time are mixed: a reader has no more than
    /// that many blocks in its hands. Two neighbours stay neighbours with a chance of about `2 / (block * buffer)`.
    Blocks {
        /// Records of a block.
        block: u64,
        /// Blocks that are mixed.
        buffer: u64,
    },
    /// In the source's own order, every epoch.
    Sequential,
}

/// Blocks that [`Order::Auto`] mixes.
const BUFFER: u64 = 16;

impl Order {
    /// What [`Order::Auto`] is for a source whose neighbours are read together in blocks of so many records.
    pub fn of(self, block: usize) -> Self {
        match self {
            Self::Auto if block > 1 => Self::Blocks { block: block as u64, buffer: BUFFER },
            Self::Auto => Self::Global,
            order => order,
        }
    }
}

/// A keyed permutation of the numbers below `n`.
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u64,
    /// Bits of each half.
    half: u32,
    keys: [u64; Self::ROUNDS],
}

impl Permutation {
    const ROUNDS: usize = 8;

    /// Of the numbers below `n`, with keys out of a random stream.
    pub fn new(n: u64, keys: &mut impl RngCore) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        Self { n, half: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| keys.next_u64()) }
    }

    /// The number at a position below `n`; positions beyond are themselves.
    pub fn at(&self, position: u64) -> u64 {
        self.walk(position, |x| self.keys.iter().fold(x, |x, key| self.round(x, *key)))
    }

    /// The position of a number: the inverse of [`at`](Self::at).
    pub fn find(&self, number: u64) -> u64 {
        self.walk(number, |x| self.keys.iter().rev().fold(x, |x, key| self.back(x, *key)))
    }

    /// Numbers from `n` on are on the same cycles: walking on leads back below `n`, from each number to another one.
    fn walk(&self, from: u64, step: impl Fn(u64) -> u64) -> u64 {
        if from >= self.n {
            return from;
        }
        let mut x = step(from);
        while x >= self.n {
            x = step(x);
        }
        x
    }

    fn mask(&self) -> u64 {
        (1 << self.half) - 1
    }

    fn round(&self, x: u64, key: u64) -> u64 {
        let (left, right) = (x >> self.half, x & self.mask());
        right << self.half | (left ^ mixed(right, key)) & self.mask()
    }

    fn back(&self, x: u64, key: u64) -> u64 {
        let (right, left) = (x >> self.half, x & self.mask());
        ((left ^ mixed(right, key)) & self.mask()) << self.half | right
    }
}

/// The finisher of SplitMix64.
fn mixed(x: u64, key: u64) -> u64 {
    let mut z = x ^ key;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The order of one epoch.
#[derive(Debug)]
pub(crate) enum Epoch {
    Same,
    Table(Vec<u32>),
    Keyed(Permutation),
    Blocks(Blocks),
}

impl Epoch {
    /// Of `n` records; `share` tells apart what is drawn with one seed.
    pub(crate) fn new(order: Order, n: u64, (seed, epoch, share): (u64, u64, u64)) -> Self {
        match order {
            Order::Sequential => Self::Same,
            Order::Blocks { block, buffer } if block.saturating_mul(buffer) < n => {
                Self::Blocks(Blocks::new(n, block, buffer, (seed, epoch, share)))
            }
            // What is mixed holds everything.
            _ if n <= TABLE => Self::Table(table(seed, share, epoch, n as usize)),
            _ => Self::Keyed(Permutation::new(n, &mut rng(seed, epoch, share, Purpose::Shuffle))),
        }
    }

    /// The record at a position.
    pub(crate) fn at(&self, position: u64) -> u64 {
        match self {
            Self::Same => position,
            Self::Table(table) => table.get(position as usize).map_or(position, |record| u64::from(*record)),
            Self::Keyed(permutation) => permutation.at(position),
            Self::Blocks(blocks) => blocks.at(position),
        }
    }
}

/// Fisher-Yates over `0..n` with the stream of (seed, epoch, share).
pub(crate) fn table(seed: u64, share: u64, epoch: u64, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut rng(seed, epoch, share, Purpose::Shuffle));
    order
}

/// Blocks in a random order, and within a window of some of them all records in a random order.
#[derive(Debug)]
pub(crate) struct Blocks {
    n: u64,
    block: u64,
    blocks: Permutation,
    /// Where the last block, which may be short, has come to stand, and its records.
    short: (u64, u64),
    window: u64,
    /// One stream of keys for each window would cost a table: the keys are mixed with the window's number.
    keys: (u64, u64),
}

impl Blocks {
    fn new(n: u64, block: u64, buffer: u64, (seed, epoch, share): (u64, u64, u64)) -> Self {
        let mut keys = rng(seed, epoch, share, Purpose::Shuffle);
        let (block, count) = (block.max(1), n.div_ceil(block.max(1)));
        let blocks = Permutation::new(count, &mut keys);
        let last = count.saturating_sub(1);
        let short = (blocks.find(last), n - last * block);
        let window = block * buffer.max(1);
        Self { n, block, blocks, short, window, keys: (keys.next_u64(), keys.next_u64()) }
    }

    fn at(&self, position: u64) -> u64 {
        let start = position / self.window * self.window;
        let len = self.window.min(self.n - start);
        let mut keys = Keys(self.keys.0 ^ mixed(start, self.keys.1));
        let within = Permutation::new(len, &mut keys).at(position - start);
        self.record(start + within)
    }

    /// The record at a place in the sequence of blocks.
    fn record(&self, place: u64) -> u64 {
        let (stands, records) = self.short;
        let before = stands * self.block;
        let (block, offset) = if place < before {
            (place / self.block, place % self.block)
        } else if place < before + records {
            (stands, place - before)
        } else {
            let rest = place - before - records;
            (stands + 1 + rest / self.block, rest % self.block)
        };
        self.blocks.at(block) * self.block + offset
    }
}

/// SplitMix64: keys of a window's permutation, made anew wherever it is asked.
struct Keys(u64);

impl RngCore for Keys {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0, 0)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
#[path = "tests/order.rs"]
mod tests;
