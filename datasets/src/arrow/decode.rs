//! Buffers as a piece of a column, or where one value lies.

use super::message::Batch;
use super::schema::{Form, Step, Way};
use crate::columnar::{Piece, Values};
use crate::{Error, Result, position};
use parquet::data_type::ByteArray;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

/// Most slots and bytes of a piece.
const SLOTS: usize = 1 << 23;
const BYTES: u64 = 512 << 20;

/// A batch of a file, to read from.
pub(super) struct Buffers<'a> {
    pub(super) path: &'a Path,
    pub(super) file: &'a File,
    pub(super) batch: &'a Batch,
}

/// A place on the way down: which element, and whether there is one.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    level: u8,
    there: bool,
}

impl Buffers<'_> {
    fn bad(&self, message: &str) -> Error {
        Error::archive(self.path, format!("{message}: it is damaged"))
    }

    /// Bytes of a buffer.
    fn bytes(&self, buffer: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let (offset, length) = self.batch.buffers[buffer];
        if range.end > length || range.start > range.end {
            let (start, end) = (range.start, range.end);
            return Err(self.bad(&format!(
                "the buffer at byte {offset} has {length} bytes, wanted are {start} to {end}"
            )));
        }
        let size = range.end - range.start;
        if size > BYTES {
            return Err(self.bad(&format!("some rows of a column have {size} bytes, the most are {BYTES}")));
        }
        let mut bytes = vec![0; size as usize];
        position::read(self.file, &mut bytes, offset + range.start).map_err(Error::io(self.path, "read"))?;
        Ok(bytes)
    }

    /// Which of the elements `range` are there; `None`: all.
    fn present(&self, node: usize, buffer: usize, range: &Range<u64>) -> Result<Option<Vec<bool>>> {
        let (nulls, long) = self.batch.nodes[node];
        if range.end > long {
            let end = range.end;
            return Err(self.bad(&format!("a column has {long} elements, element {end} is wanted")));
        }
        if nulls == 0 || range.is_empty() {
            return Ok(None);
        }
        self.bits(buffer, range).map(Some)
    }

    fn bits(&self, buffer: usize, range: &Range<u64>) -> Result<Vec<bool>> {
        let first = range.start / 8;
        let bytes = self.bytes(buffer, first..range.end.div_ceil(8))?;
        Ok(range.clone().map(|i| bytes[(i / 8 - first) as usize] >> (i % 8) & 1 == 1).collect())
    }

    /// The offsets of the elements `range` and the end of the last, of `width` bytes each.
    fn offsets(&self, buffer: usize, width: usize, range: &Range<u64>) -> Result<Vec<u64>> {
        let width = width as u64;
        let bytes = self.bytes(buffer, range.start * width..(range.end + 1) * width)?;
        let offset = |bytes: &[u8]| match bytes {
            [a, b, c, d] => u64::try_from(i32::from_le_bytes([*a, *b, *c, *d])).ok(),
            bytes => bytes.try_into().ok().and_then(|b| u64::try_from(i64::from_le_bytes(b)).ok()),
        };
        let offsets = bytes.chunks_exact(width as usize).map(offset).collect::<Option<Vec<u64>>>();
        offsets.filter(|o| o.is_sorted()).ok_or_else(|| self.bad("offsets that do not rise"))
    }

    /// Where a value lies in the file; `None`: nowhere. Only of columns without lists.
    pub(super) fn place(&self, way: &Way, row: u64) -> Result<Option<(u64, u64)>> {
        let one = row..row + 1;
        for (_, node, buffer) in &way.steps {
            if self.present(*node, *buffer, &one)?.is_some_and(|bits| !bits[0]) {
                return Ok(None);
            }
        }
        if self.present(way.node, way.buffer, &one)?.is_some_and(|bits| !bits[0]) {
            return Ok(None);
        }
        let (data, range) = match way.form {
            Form::Bytes(width) => {
                let offsets = self.offsets(way.buffer + 1, width, &one)?;
                (way.buffer + 2, offsets[0]..offsets[1])
            }
            Form::Fixed(size) => (way.buffer + 1, row * size as u64..(row + 1) * size as u64),
            _ => return Err(self.bad("a column holds no bytes")),
        };
        let (offset, length) = self.batch.buffers[data];
        if range.end > length {
            return Err(self.bad(&format!("row {row} of a batch lies behind its buffer's end")));
        }
        Ok(Some((offset + range.start, range.end - range.start)))
    }

    /// Some rows of a column.
    pub(super) fn piece(&self, way: &Way, full: u8, rows: Range<u64>) -> Result<Piece> {
        let mut places: Vec<Place> = rows.map(|at| Place { at, level: 0, there: true }).collect();
        let mut starts: Option<Vec<u32>> = None;
        for (step, node, buffer) in &way.steps {
            let range = reach(&places);
            let present = self.present(*node, *buffer, &range)?;
            let there = |at: u64| present.as_ref().is_none_or(|bits| bits[(at - range.start) as usize]);
            let elements: Box<dyn Fn(u64) -> Range<u64>> = match step {
                Step::Struct => {
                    for place in places.iter_mut().filter(|p| p.there) {
                        place.there = there(place.at);
                        place.level += u8::from(place.there);
                    }
                    continue;
                }
                Step::List(width) if !range.is_empty() => {
                    let offsets = self.offsets(buffer + 1, *width, &range)?;
                    let first = range.start;
                    Box::new(move |at| offsets[(at - first) as usize]..offsets[(at - first) as usize + 1])
                }
                Step::List(_) => Box::new(|_| 0..0),
                Step::Fixed(n) => {
                    let n = *n as u64;
                    Box::new(move |at| at.saturating_mul(n)..at.saturating_mul(n).saturating_add(n))
                }
            };
            let mut below: Vec<Place> = Vec::new();
            // Where each place begins among those below it.
            let mut begin = Vec::with_capacity(places.len() + 1);
            for place in &places {
                begin.push(below.len() as u32);
                let range = match place.there && there(place.at) {
                    true => elements(place.at),
                    false => {
                        below.push(Place { there: false, ..*place });
                        continue;
                    }
                };
                let level = place.level + 1;
                if range.is_empty() {
                    below.push(Place { at: 0, level, there: false });
                }
                if range.end - range.start > (SLOTS - below.len()) as u64 {
                    return Err(self.bad(&format!("some rows of a column have more than {SLOTS} elements")));
                }
                below.extend(range.map(|at| Place { at, level: level + 1, there: true }));
            }
            begin.push(below.len() as u32);
            starts = Some(match starts {
                None => begin,
                Some(starts) => starts.iter().map(|start| begin[*start as usize]).collect(),
            });
            places = below;
        }
        self.values(way, full, places, starts)
    }

    fn values(&self, way: &Way, full: u8, mut places: Vec<Place>, starts: Option<Vec<u32>>) -> Result<Piece> {
        let range = reach(&places);
        let present = self.present(way.node, way.buffer, &range)?;
        for place in places.iter_mut().filter(|p| p.there) {
            place.there = present.as_ref().is_none_or(|bits| bits[(place.at - range.start) as usize]);
            place.level += u8::from(place.there);
        }
        let at = places.iter().filter(|p| p.there).map(|p| (p.at - range.start) as usize);
        let (data, first) = (way.buffer + 1, range.start);
        let mut shared = 0;
        let values = match way.form {
            Form::Int(size) => {
                let bytes = self.bytes(data, first * size as u64..range.end * size as u64)?;
                let int = |at: usize| {
                    let mut wide = [0; 8];
                    wide[..size].copy_from_slice(&bytes[at * size..(at + 1) * size]);
                    // The sign is the highest bit that was there.
                    let shift = 64 - 8 * size as u32;
                    i64::from_le_bytes(wide) << shift >> shift
                };
                Values::Int(at.map(int).collect())
            }
            Form::Float(size) => {
                let bytes = self.bytes(data, first * size as u64..range.end * size as u64)?;
                let float = |at: usize| match &bytes[at * size..(at + 1) * size] {
                    [a, b, c, d] => f64::from(f32::from_le_bytes([*a, *b, *c, *d])),
                    bytes => bytes.try_into().map_or(f64::NAN, f64::from_le_bytes),
                };
                Values::Float(at.map(float).collect())
            }
            Form::Bits => {
                let bits = if range.is_empty() { Vec::new() } else { self.bits(data, &range)? };
                Values::Bool(at.map(|at| bits[at]).collect())
            }
            Form::Bytes(_) if range.is_empty() => Values::Bytes(Vec::new()),
            Form::Bytes(width) => {
                let offsets = self.offsets(data, width, &range)?;
                let start = offsets[0];
                let bytes = self.bytes(data + 1, start..offsets[offsets.len() - 1])?;
                shared = bytes.len();
                let all = ByteArray::from(bytes);
                let slice = |at: usize| {
                    let (from, to) = (offsets[at] - start, offsets[at + 1] - start);
                    all.slice(from as usize, (to - from) as usize)
                };
                Values::Bytes(at.map(slice).collect())
            }
            Form::Fixed(size) => {
                let bytes = self.bytes(data, first * size as u64..range.end * size as u64)?;
                shared = bytes.len();
                let all = ByteArray::from(bytes);
                Values::Bytes(at.map(|at| all.slice(at * size, size)).collect())
            }
            Form::None => return Err(self.bad("a column in a form that is not read")),
        };
        let levels = places.iter().map(|p| p.level).collect();
        Piece::new(Some(levels), full, starts, values, shared)
            .ok_or_else(|| self.bad("a column's parts do not fit"))
    }
}

/// The elements that places are of.
fn reach(places: &[Place]) -> Range<u64> {
    let there = || places.iter().filter(|p| p.there).map(|p| p.at);
    there().min().zip(there().max()).map_or(0..0, |(first, last)| first..last + 1)
}
