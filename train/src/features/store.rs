//! Rows of numbers on the disk by keys: appended as they are made, mapped when all are there.

use crate::{Error, Result};
use memmap2::Mmap;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use unisono_files::{open_own, rewrite_own};

/// What a row is found by.
pub(crate) type Key = [u8; 16];

/// Bytes of a row before its numbers: its key, and a CRC-32C over the key and the numbers.
const HEAD: usize = size_of::<Key>() + size_of::<u32>();

/// A file of rows of one width: key, checksum, numbers as fp32, little-endian. A row is there when it is whole: what was half written when a
/// machine went down is cut off when it is opened.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    file: File,
    width: usize,
    rows: HashMap<Key, u32>,
}

impl Store {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Not our own file, no permission, more rows than there are numbers for.
    pub(crate) fn open(path: &Path, width: usize) -> Result<Self> {
        let mut file = open_own(path)?;
        let io = |e| Error::io(path, e);
        let (mut rows, mut row) = (HashMap::new(), vec![0; HEAD + 4 * width]);
        let mut reader = std::io::BufReader::with_capacity(1 << 20, &mut file);
        reader.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut whole = 0u64;
        while reader.read_exact(&mut row).is_ok() {
            let Some(key) = key_of(&row) else { break };
            let Ok(number) = u32::try_from(rows.len()) else { break };
            // A row that came twice would move the numbers of those behind it.
            if rows.contains_key(&key) {
                break;
            }
            rows.insert(key, number);
            whole += row.len() as u64;
        }
        drop(reader);
        if file.metadata().map_err(io)?.len() > whole {
            rewrite_own(path)?.set_len(whole).map_err(io)?;
        }
        Ok(Self { path: path.to_owned(), file, width, rows })
    }

    /// The row of a key.
    pub(crate) fn get(&self, key: &Key) -> Option<u32> {
        self.rows.get(key).copied()
    }

    /// Appends rows, the numbers of one after those of another; a key that is there already keeps its row.
    ///
    /// # Errors
    /// No space: rows that were half written are cut off when the file is opened again.
    pub(crate) fn push(&mut self, keys: &[Key], numbers: &[f32]) -> Result<()> {
        let mut bytes = Vec::with_capacity(keys.len() * (HEAD + 4 * self.width));
        for (key, row) in keys.iter().zip(numbers.chunks_exact(self.width)) {
            let number = u32::try_from(self.rows.len()).map_err(|_| Error::Run {
                path: self.path.clone(),
                message: "expected at most 2^32 kept features".into(),
            })?;
            if self.rows.contains_key(key) {
                continue;
            }
            let numbers: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&checksum(key, &numbers).to_le_bytes());
            bytes.extend_from_slice(&numbers);
            self.rows.insert(*key, number);
        }
        self.file.write_all(&bytes).map_err(|e| Error::io(&self.path, e))
    }

    /// Numbers of a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Appends the rows of another file, but for those that are there already.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(crate) fn append(&mut self, other: Self) -> Result<()> {
        let mut keys: Vec<(u32, Key)> = other.rows.iter().map(|(key, row)| (*row, *key)).collect();
        keys.sort_unstable();
        let rows = other.rows()?;
        for (row, key) in keys {
            if let Some(numbers) = rows.get(row) {
                self.push(&[key], &numbers)?;
            }
        }
        Ok(())
    }

    /// All rows from here on as they lie.
    ///
    /// # Errors
    /// The file cannot be mapped.
    pub(super) fn rows(self) -> Result<Rows> {
        self.file.sync_data().map_err(|e| Error::io(&self.path, e))?;
        // SAFETY: our own file under the run's lock: nobody else writes it, and this process only did so before.
        let map = unsafe { Mmap::map(&self.file) }.map_err(|e| Error::io(&self.path, e))?;
        Ok(Rows { map, width: self.width })
    }
}

/// Rows that are mapped. Shared by threads.
#[derive(Debug)]
pub(super) struct Rows {
    map: Mmap,
    width: usize,
}

impl Rows {
    /// A row's numbers.
    pub(super) fn get(&self, row: u32) -> Option<Vec<f32>> {
        let size = HEAD + 4 * self.width;
        let at = row as usize * size;
        let numbers = self.map.get(at + HEAD..at + size)?;
        Some(numbers.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}

fn checksum(key: &Key, numbers: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), numbers)
}

/// The key of a row whose checksum is right.
fn key_of(row: &[u8]) -> Option<Key> {
    let (key, rest) = row.split_first_chunk::<16>()?;
    let (sum, numbers) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(key, numbers)).then_some(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_outlive_what_is_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.rows");
        let keys = [[1; 16], [2; 16], [3; 16]];
        let mut store = Store::open(&path, 2).unwrap();
        store.push(&keys[..2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        store.push(&keys[1..], &[9.0, 9.0, 5.0, 6.0]).unwrap();
        assert_eq!(keys.map(|k| store.get(&k)), [Some(0), Some(1), Some(2)]);
        let rows = store.rows().unwrap();
        let row = |r: &Rows, i| r.get(i).unwrap();
        assert_eq!((row(&rows, 1), row(&rows, 2), rows.get(3)), (vec![3.0, 4.0], vec![5.0, 6.0], None));
        drop(rows);
        let bytes = std::fs::read(&path).unwrap();
        // Cut anywhere in the last row, or with a wrong number in it: the rows before it are there, and it is made again.
        let mut wrong = bytes.clone();
        *wrong.last_mut().unwrap() ^= 1;
        for damaged in
            [&bytes[..bytes.len() - 1], &bytes[..60], &wrong[..], &[&bytes[..], &bytes[..28]].concat()]
        {
            std::fs::write(&path, damaged).unwrap();
            let mut store = Store::open(&path, 2).unwrap();
            assert_eq!([store.get(&keys[0]), store.get(&keys[1])], [Some(0), Some(1)]);
            store.push(&keys[2..], &[5.0, 6.0]).unwrap();
            assert_eq!(row(&store.rows().unwrap(), 2), [5.0, 6.0]);
            assert!(std::fs::read(&path).unwrap() == bytes);
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(Store::open(&path, 2).unwrap().get(&keys[0]), None);
    }
}
