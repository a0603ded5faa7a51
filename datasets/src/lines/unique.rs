//! Whether any two ids are the same, in bounded memory.

use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Ids' sums with the numbers of their records, sorted: 64 MB at a time.
const HELD: usize = 4 << 20;

/// Sums of ids. They are keyed at random: nobody writes a file whose sums are all alike.
#[derive(Debug, Default)]
pub(super) struct Ids {
    key: RandomState,
    held: Vec<(u64, u64)>,
    /// Sorted runs in a file without a name, and where each begins; the file's length at last.
    spilled: Option<(File, Vec<u64>)>,
    /// Fewer in tests.
    most: Option<usize>,
}

impl Ids {
    #[cfg(test)]
    pub fn of(most: usize) -> Self {
        Self { most: Some(most), ..Self::default() }
    }

    pub fn key(&self) -> RandomState {
        self.key.clone()
    }

    /// The sum of an id.
    pub fn sum(key: &RandomState, id: &str) -> u64 {
        key.hash_one(id)
    }

    /// Adds the sum of a record's id. What memory does not hold goes to a file in the folder for such.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, sum: u64, number: u64, path: &Path) -> Result<()> {
        self.held.push((sum, number));
        if self.held.len() < self.most.unwrap_or(HELD) {
            return Ok(());
        }
        self.spill().map_err(Error::io(path, "write temporary sums of the ids of"))
    }

    fn spill(&mut self) -> std::io::Result<()> {
        self.held.sort_unstable();
        if self.spilled.is_none() {
            self.spilled = Some((tempfile::tempfile()?, vec![0]));
        }
        let Some((file, ends)) = &mut self.spilled else { return Ok(()) };
        let mut out = BufWriter::with_capacity(1 << 20, &*file);
        for (sum, number) in self.held.drain(..) {
            out.write_all(&sum.to_le_bytes())?;
            out.write_all(&number.to_le_bytes())?;
        }
        out.flush()?;
        drop(out);
        ends.push(file.stream_position()?);
        Ok(())
    }

    /// The two records of one id of which the second comes first; `same` says whether two ids of one sum are the same.
    ///
    /// # Errors
    /// Those of `same`, and of the temporary file.
    pub fn twice(
        mut self,
        path: &Path,
        mut same: impl FnMut(u64, u64) -> Result<bool>,
    ) -> Result<Option<(u64, u64)>> {
        let mut found: Option<(u64, u64)> = None;
        let mut last: Option<(u64, u64)> = None;
        let mut see = |(sum, number): (u64, u64)| -> Result<()> {
            // Of one sum the numbers come in their order.
            if let Some((before, first)) = last
                && before == sum
            {
                if found.is_none_or(|(_, second)| number < second) && same(first, number)? {
                    found = Some((first, number));
                }
                return Ok(());
            }
            last = Some((sum, number));
            Ok(())
        };
        self.held.sort_unstable();
        let Some((file, ends)) = self.spilled.take() else {
            self.held.iter().try_for_each(|pair| see(*pair))?;
            return Ok(found);
        };
        let wrong = || Error::io(path, "read temporary sums of the ids of");
        let mut runs = ends.windows(2).map(|w| Run::of(&file, w[0], w[1])).collect::<Vec<_>>();
        let mut heap = BinaryHeap::new();
        for (i, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next().map_err(wrong())?.map(|pair| Reverse((pair, i))));
        }
        let mut held = self.held.iter().copied().peekable();
        loop {
            let spilled = heap.peek().map(|Reverse((pair, _))| *pair);
            match (spilled, held.peek().copied()) {
                (None, None) => return Ok(found),
                (Some(pair), other) if other.is_none_or(|other| pair < other) => {
                    see(pair)?;
                    if let Some(Reverse((_, i))) = heap.pop() {
                        heap.extend(runs[i].next().map_err(wrong())?.map(|pair| Reverse((pair, i))));
                    }
                }
                (_, pair) => {
                    held.next();
                    pair.map_or(Ok(()), &mut see)?;
                }
            }
        }
    }
}

/// A sorted run, read bit by bit: all of them share one file's cursor.
struct Run<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    part: std::vec::IntoIter<[u8; 16]>,
}

impl<'a> Run<'a> {
    fn of(file: &'a File, at: u64, end: u64) -> Self {
        Self { file, at, end, part: Vec::new().into_iter() }
    }

    fn next(&mut self) -> std::io::Result<Option<(u64, u64)>> {
        if self.part.len() == 0 && self.at < self.end {
            let mut bytes = vec![0; (self.end - self.at).min(1 << 18) as usize];
            let mut file = self.file;
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(&mut bytes)?;
            self.at += bytes.len() as u64;
            self.part = bytes.as_chunks::<16>().0.to_vec().into_iter();
        }
        Ok(self.part.next().map(|pair| {
            let half = |from: usize| u64::from_le_bytes(std::array::from_fn(|k| pair[from + k]));
            (half(0), half(8))
        }))
    }
}
