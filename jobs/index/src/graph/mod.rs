//! A graph over the vectors of a segment, for each modality that has many: `graph.bin`.
//!
//! Eight letters, the segment's rows, links of a node, the number of graphs; of each modality in turn how many nodes it has; then of each graph the rows
//! of its nodes, and their links (4 bytes each). What a damaged link says is looked at before it is followed.

mod make;
mod walk;

use crate::codes::{Asked, Rows};
use crate::search::Best;
use crate::{Error, Hit, Result};
use make::{DEGREE, make};
use memmap2::Mmap;
use std::ops::Range;
use std::path::Path;
use unisono_files::Pending;
use unisono_processors::Modality;
use walk::{Near, Net, walk};

/// Hears how many rows of how many are linked, and says whether to go on.
pub type Told<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

const MAGIC: &[u8; 8] = b"unisonog";
const HEAD: usize = 24 + 8 * Modality::ALL.len();
/// Where fewer than one in so many rows pass a filter, comparing all of these is less work than walking past the others.
const RARE: usize = 20;
/// Links of a node in any file at most.
const MOST: usize = 1024;
/// Rows that are looked at to see how many pass.
const LOOKED: usize = 512;

/// The graphs of a segment.
#[derive(Debug)]
pub(crate) struct Graph {
    map: Mmap,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    modality: Modality,
    degree: usize,
    rows: Range<usize>,
    links: Range<usize>,
}

impl Graph {
    /// Maps the file at `path`, of a segment of so many rows.
    ///
    /// # Errors
    /// A file of another length or another kind.
    pub(crate) fn open(path: &Path, rows: usize) -> Result<Self> {
        let file = unisono_files::open(path)?;
        // SAFETY: segments are never written in place; a process that cuts the file all the same would make any reader fault.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        let number = |at: usize| {
            let bytes = map.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.and_then(|bytes| usize::try_from(u64::from_le_bytes(bytes)).ok())
        };
        let mut parts = Vec::new();
        // As many as the program that wrote it gave each.
        let degree = number(16).filter(|degree| (1..=MOST).contains(degree));
        let mut end = degree.map(|_| HEAD);
        for (place, modality) in Modality::ALL.into_iter().enumerate() {
            let nodes = number(24 + 8 * place).filter(|nodes| *nodes <= rows);
            let (Some(degree), Some((start, nodes))) = (degree, end.zip(nodes)) else {
                end = None;
                break;
            };
            let (of_rows, of_links) = (nodes * 4, nodes.saturating_mul(4 * degree));
            let middle = start.saturating_add(of_rows);
            let last = middle.saturating_add(of_links);
            if nodes > 0 {
                parts.push(Part { modality, degree, rows: start..middle, links: middle..last });
            }
            end = Some(last);
        }
        let own = map.starts_with(MAGIC) && number(8) == Some(rows);
        if !own || end != Some(map.len()) {
            let message = format!(
                "not the graph of {rows} rows: cut or of another segment; `unisono index check` says what to do"
            );
            return Err(Error::format(path, message));
        }
        Ok(Self { map, parts })
    }

    /// Writes the file at `path`, for each modality that has at least `from` of these rows; whether there is one. `told` hears how many rows of how many are
    /// linked, now and then, and says whether to go on.
    ///
    /// # Errors
    /// No space; [`Error::Stopped`].
    pub(crate) fn write(
        path: &Path,
        modalities: &[Modality],
        from: usize,
        of: Rows,
        told: Told,
    ) -> Result<bool> {
        let rows = |modality: Modality| -> Vec<u32> {
            let all = (0u32..).zip(modalities).filter(|(_, m)| **m == modality);
            let rows: Vec<u32> = all.map(|(row, _)| row).collect();
            if rows.len() >= from.max(2) { rows } else { Vec::new() }
        };
        let parts: Vec<Vec<u32>> = Modality::ALL.into_iter().map(rows).collect();
        if modalities.len() >= walk::NONE as usize || parts.iter().all(Vec::is_empty) {
            return Ok(false);
        }
        let (mut before, all) = (0, parts.iter().map(Vec::len).sum());
        let mut made = Vec::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            made.push(make(part.clone(), of, &mut |done| told(before + done, all)).ok_or(Error::Stopped)?);
            before += part.len();
        }
        let written = Pending::write(path, |w| {
            w.write_all(MAGIC)?;
            for number in [modalities.len(), DEGREE].into_iter().chain(parts.iter().map(Vec::len)) {
                w.write_all(&(number as u64).to_le_bytes())?;
            }
            for (rows, links) in made {
                for numbers in [rows, links] {
                    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                    w.write_all(&bytes)?;
                }
            }
            Ok(())
        })?;
        written.place()?;
        Ok(true)
    }

    /// Modalities that have one.
    pub(crate) fn modalities(&self) -> impl Iterator<Item = Modality> {
        self.parts.iter().map(|part| part.modality)
    }

    /// About the `wanted` rows of a modality that are nearest to a query and pass (all, where nothing says which), best first, by their form; nothing where it has no graph, or where so
    /// few pass that a walk would be the longer way.
    pub(crate) fn search(
        &self,
        modality: Modality,
        rows: Rows,
        asked: &Asked,
        wanted: usize,
        passes: Option<&dyn Fn(usize) -> bool>,
    ) -> Option<Vec<Hit>> {
        let part = self.parts.iter().find(|part| part.modality == modality)?;
        let numbers = |at: &Range<usize>| {
            self.map.get(at.clone()).and_then(|bytes| bytemuck::try_cast_slice::<u8, u32>(bytes).ok())
        };
        let net = Net { rows: numbers(&part.rows)?, links: numbers(&part.links)?, degree: part.degree };
        let mut beam = wanted;
        if let Some(passes) = passes {
            let step = (net.rows.len() / LOOKED).max(1);
            let looked = net.rows.iter().step_by(step);
            let (seen, pass) = (looked.len(), looked.filter(|row| passes(**row as usize)).count());
            if pass * RARE < seen {
                return None;
            }
            beam = wanted.saturating_mul(seen).div_ceil(pass.max(1));
        }
        let beam = beam.min(net.rows.len());
        let mut best = Best::new(wanted);
        walk(net, rows, asked, beam, &mut |Near { score, node }| {
            let hit = Hit { index: net.row(node), score };
            if best.takes(&hit) && passes.is_none_or(|passes| passes(hit.index)) {
                best.offer(hit);
            }
        });
        Some(best.sorted())
    }
}

#[cfg(test)]
#[path = "../tests/graph.rs"]
mod tests;
