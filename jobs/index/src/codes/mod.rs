//! Vectors in fewer bytes, to be read instead of them by a search: `codes.bin` of a segment.
//!
//! Eight letters, the number of the form, the number of rows N, their width D, up to 64 bytes; then N rows. bfloat16: D numbers. Bytes: D numbers from
//! 0 to 255, 128 for zero, up to a multiple of 64, and behind all rows N scales (4 bytes). Bits: D signs in words of 64.

pub(crate) mod kernel;
pub(crate) mod tile;

use crate::{Error, Result, Store};
use kernel::{BYTES, differ, dot, dot_bf16, dot_bytes, fetch};
use memmap2::Mmap;
use rayon::prelude::*;
use std::path::Path;
use unisono_files::Pending;

const MAGIC: &[u8; 8] = b"unisonoc";
const HEAD: usize = 64;
/// Rows that are made at a time.
const ROWS: usize = 4096;
/// 1.5 · 2^23, for rounding without a call for each number.
const WHOLE: f32 = 12_582_912.0;
/// What stands for zero among bytes.
const ZERO: i32 = 128;

/// The codes of N vectors.
#[derive(Debug)]
pub(crate) struct Codes {
    map: Mmap,
    store: Store,
    rows: usize,
    dim: usize,
}

/// A query in the form of what it is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Floats(Vec<f32>),
    Bytes { codes: Vec<i8>, scale: f32, zero: i32 },
    Bits(Vec<u64>),
}

/// Rows that a search reads: vectors as they are, or their codes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    Floats { values: &'a [f32], dim: usize },
    Codes(&'a Codes),
}

impl Store {
    fn number(self) -> u64 {
        match self {
            Self::F32 => 0,
            Self::Bf16 => 1,
            Self::I8 => 2,
            Self::B1 => 3,
        }
    }

    /// Bytes of a row, without its scale.
    fn stride(self, dim: usize) -> usize {
        if self == Self::I8 { dim.div_ceil(BYTES).saturating_mul(BYTES) } else { self.bytes(dim) }
    }
}

fn head(store: Store, rows: usize, dim: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let parts =
        [*MAGIC, store.number().to_le_bytes(), (rows as u64).to_le_bytes(), (dim as u64).to_le_bytes()];
    head.iter_mut().zip(parts.iter().flatten()).for_each(|(to, from)| *to = *from);
    head
}

impl Codes {
    /// Maps the file at `path`, of so many rows `[D]`.
    ///
    /// # Errors
    /// A file of another length or another kind.
    pub(crate) fn open(path: &Path, store: Store, rows: usize, dim: usize) -> Result<Self> {
        let file = unisono_files::open(path)?;
        // SAFETY: segments are never written in place; a process that cuts the file all the same would make any reader fault.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        let expected = rows.checked_mul(store.bytes(dim)).and_then(|n| n.checked_add(HEAD));
        if Some(map.len()) != expected || !map.starts_with(&head(store, rows, dim)) {
            let message = format!(
                "not {rows} vectors of width {dim} as {store}: cut or of another segment; `unisono index check` says what to do"
            );
            return Err(Error::format(path, message));
        }
        Ok(Self { map, store, rows, dim })
    }

    /// Writes the file at `path` of the vectors `values` `[N, D]`.
    ///
    /// # Errors
    /// No space.
    pub(crate) fn write(path: &Path, store: Store, values: &[f32], dim: usize) -> Result<()> {
        let rows = values.len().checked_div(dim).unwrap_or(0);
        let written = Pending::write(path, |w| {
            w.write_all(&head(store, rows, dim))?;
            let mut scales = Vec::new();
            for some in values.chunks(ROWS.saturating_mul(dim.max(1))) {
                let made: Vec<(Vec<u8>, f32)> =
                    some.par_chunks(dim.max(1)).map(|row| code(store, row)).collect();
                for (bytes, scale) in made {
                    w.write_all(&bytes)?;
                    scales.extend(scale.to_le_bytes());
                }
            }
            if store == Store::I8 { w.write_all(&scales) } else { Ok(()) }
        })?;
        Ok(written.place()?)
    }

    /// Their form.
    pub(crate) fn store(&self) -> Store {
        self.store
    }

    fn row(&self, row: usize) -> &[u8] {
        let stride = self.store.stride(self.dim);
        let at = HEAD + row * stride;
        if row < self.rows { self.map.get(at..at + stride).unwrap_or_default() } else { &[] }
    }

    fn scale(&self, row: usize) -> f32 {
        let at = HEAD + self.rows * self.store.stride(self.dim) + 4 * row;
        let bytes = self.map.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0.0, f32::from_le_bytes)
    }
}

/// The codes of a vector, and its scale.
fn code(store: Store, row: &[f32]) -> (Vec<u8>, f32) {
    match store {
        Store::F32 => (row.iter().flat_map(|v| v.to_le_bytes()).collect(), 1.0),
        Store::Bf16 => (row.iter().flat_map(|v| bf16(*v).to_le_bytes()).collect(), 1.0),
        Store::I8 => {
            let (codes, scale) = bytes(row);
            // The sign bit turned is 128 more.
            (codes.into_iter().map(|v| v as u8 ^ 0x80).collect(), scale)
        }
        Store::B1 => (bits(row).into_iter().flat_map(u64::to_le_bytes).collect(), 1.0),
    }
}

/// The nearest bfloat16, of two the even one.
fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    let odd = bits >> 16 & 1;
    (bits.wrapping_add(0x7fff + odd) >> 16) as u16
}

/// A byte a number, up to a multiple of [`BYTES`], and the scale that they are multiples of.
fn bytes(row: &[f32]) -> (Vec<i8>, f32) {
    let largest = row.iter().fold(0f32, |most, v| most.max(v.abs()));
    let scale = largest / 127.0;
    let to = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    // Above 2^23 floats are whole: the sum is rounded to the nearest, and its last byte is the number's.
    let mut codes: Vec<i8> = row.iter().map(|v| (v * to + WHOLE).to_bits() as i8).collect();
    codes.resize(row.len().div_ceil(BYTES) * BYTES, 0);
    (codes, scale)
}

fn bits(row: &[f32]) -> Vec<u64> {
    let word = |some: &[f32]| some.iter().rev().fold(0u64, |word, v| word << 1 | u64::from(*v > 0.0));
    row.chunks(64).map(word).collect()
}

impl Asked {
    fn of_bytes(codes: Vec<i8>, scale: f32) -> Self {
        let zero = ZERO * codes.iter().map(|v| i32::from(*v)).sum::<i32>();
        Self::Bytes { codes, scale, zero }
    }
}

impl<'a> Rows<'a> {
    /// Their form.
    pub(crate) fn store(self) -> Store {
        match self {
            Self::Floats { .. } => Store::F32,
            Self::Codes(codes) => codes.store,
        }
    }

    /// A query `[D]` in their form.
    pub(crate) fn ask(self, query: &[f32]) -> Asked {
        match self.store() {
            Store::F32 | Store::Bf16 => Asked::Floats(query.to_vec()),
            Store::I8 => {
                let (codes, scale) = bytes(query);
                Asked::of_bytes(codes, scale)
            }
            Store::B1 => Asked::Bits(bits(query)),
        }
    }

    /// A row as a query of their form.
    pub(crate) fn ask_row(self, row: usize) -> Asked {
        let bytes = self.bytes(row);
        match self.store() {
            Store::F32 => Asked::Floats(self.floats(row).to_vec()),
            Store::Bf16 => {
                let mut wide = vec![0.0; self.dim()];
                self.widen(row, &mut wide);
                Asked::Floats(wide)
            }
            Store::I8 => {
                let codes = bytes.iter().map(|v| (v ^ 0x80) as i8).collect();
                Asked::of_bytes(codes, self.scale(row))
            }
            Store::B1 => Asked::Bits(bytemuck::pod_collect_to_vec(bytes)),
        }
    }

    /// Width D.
    pub(crate) fn dim(self) -> usize {
        match self {
            Self::Floats { dim, .. } => dim,
            Self::Codes(codes) => codes.dim,
        }
    }

    /// Whether they are floats of fewer bytes.
    pub(crate) fn is_narrow(self) -> bool {
        self.store() == Store::Bf16
    }

    /// The bytes of a row; none where it is not there.
    pub(crate) fn bytes(self, row: usize) -> &'a [u8] {
        match self {
            Self::Floats { values, dim } => {
                bytemuck::cast_slice(values.get(row * dim..(row + 1) * dim).unwrap_or_default())
            }
            Self::Codes(codes) => codes.row(row),
        }
    }

    /// What the bytes of a row are multiples of.
    pub(crate) fn scale(self, row: usize) -> f32 {
        match self {
            Self::Floats { .. } => 1.0,
            Self::Codes(codes) => codes.scale(row),
        }
    }

    /// A row of floats `[D]`.
    pub(crate) fn floats(self, row: usize) -> &'a [f32] {
        match self {
            Self::Floats { values, dim } => values.get(row * dim..(row + 1) * dim).unwrap_or_default(),
            Self::Codes(_) => &[],
        }
    }

    /// Writes a row of bfloat16s as floats `[D]`.
    pub(crate) fn widen(self, row: usize, to: &mut [f32]) {
        let halves: &[u16] = bytemuck::try_cast_slice(self.bytes(row)).unwrap_or_default();
        to.iter_mut().zip(halves).for_each(|(to, half)| *to = f32::from_bits(u32::from(*half) << 16));
    }

    /// A row will be scored soon.
    #[inline]
    pub(crate) fn fetch(self, row: usize) {
        fetch(self.bytes(row));
    }

    /// How similar a row is to a query in their form: about their cosine, where both have length 1. A row that is not there is least of all.
    #[inline]
    pub(crate) fn score(self, asked: &Asked, row: usize) -> f32 {
        let bytes = self.bytes(row);
        if bytes.is_empty() {
            return f32::NEG_INFINITY;
        }
        match (self, asked) {
            (Self::Floats { .. }, Asked::Floats(query)) => {
                bytemuck::try_cast_slice(bytes).map_or(f32::NEG_INFINITY, |row| dot(row, query))
            }
            (Self::Codes(_), Asked::Floats(query)) => {
                bytemuck::try_cast_slice(bytes).map_or(f32::NEG_INFINITY, |row| dot_bf16(row, query))
            }
            (Self::Codes(all), Asked::Bytes { codes, scale, zero }) => {
                (dot_bytes(bytes, codes) - zero) as f32 * (scale * all.scale(row))
            }
            (Self::Codes(all), Asked::Bits(query)) => {
                let differ = bytemuck::try_cast_slice(bytes).map_or(u32::MAX, |row| differ(row, query));
                1.0 - 2.0 * differ as f32 / all.dim.max(1) as f32
            }
            (Self::Floats { .. }, _) => f32::NEG_INFINITY,
        }
    }
}

#[cfg(test)]
#[path = "../tests/codes.rs"]
mod tests;
