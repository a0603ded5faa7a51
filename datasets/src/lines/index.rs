//! A text file's entries, by their numbers.

use super::build::{Seen, scan};
use super::entry::Entry;
use super::form::Form;
use super::stored::{self, Foot, Of};
use crate::source::Key;
use crate::{Error, Result, plain, position};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use unisono_files::{Pending, Stamp};

/// Entries that are read at once for keys, which are asked for one after another: 96 kB.
const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(super) struct Index {
    store: Store,
    foot: Foot,
}

#[derive(Debug)]
enum Store {
    Held(Vec<Entry>),
    Filed {
        file: File,
        place: PathBuf,
        /// The block that was read last, by its number.
        block: Mutex<(u64, Vec<Entry>)>,
    },
}

impl Index {
    /// The entries of an open text file: made now where it is small, or where no index of it is there.
    ///
    /// # Errors
    /// The file cannot be read; broken records; two of one id.
    pub fn open(file: &File, path: &Path, form: &dyn Form, large: u64) -> Result<Self> {
        let stamp = stamp(path)?;
        let of = Of { version: stored::VERSION, stamp: stamp.to_string(), form: form.identity() };
        let length = file.metadata().map_err(Error::io(path, "read"))?.len();
        let index = match length <= large {
            true => Self::held(file, path, form, of)?,
            false => {
                let there = stored::places(path).into_iter().find_map(|place| Self::stored(place, &of));
                match there {
                    Some(index) => index,
                    None => Self::build(file, path, form, &of)?,
                }
            }
        };
        match self::stamp(path)? == stamp {
            true => Ok(index),
            false => {
                Err(Error::archive(path, "the file changed while it was read: is something writing it?"))
            }
        }
    }

    fn held(file: &File, path: &Path, form: &dyn Form, of: Of) -> Result<Self> {
        let mut entries = Vec::new();
        let seen = scan(file, path, form, |entry| {
            entries.push(*entry);
            Ok(())
        })?;
        let foot = checked(seen, file, path, form, of, |n| Ok(entries[n as usize]))?;
        Ok(Self { store: Store::Held(entries), foot })
    }

    fn stored(place: PathBuf, of: &Of) -> Option<Self> {
        let (file, foot) = stored::open(&place, of)?;
        Some(Self { store: Store::Filed { file, place, block: Mutex::default() }, foot })
    }

    fn build(file: &File, path: &Path, form: &dyn Form, of: &Of) -> Result<Self> {
        let [beside, cached] = stored::places(path);
        let (place, mut pending) = match Pending::begin(&beside) {
            Ok(pending) => (beside, pending),
            // A folder of others' data, or one that is mounted to be read only.
            Err(_) => {
                let folder = cached.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
                let pending = Pending::begin(&cached)?;
                (cached, pending)
            }
        };
        let mut out = BufWriter::with_capacity(1 << 20, pending.file());
        let wrong = || Error::io(&place, "write");
        let seen = scan(file, path, form, |entry| out.write_all(&entry.to_bytes()).map_err(wrong()))?;
        out.flush().map_err(wrong())?;
        drop(out);
        let written = &*pending.file();
        let at = |n| Ok(stored::entries(written, &place, n, 1)?.first().copied().unwrap_or_default());
        let foot = checked(seen, file, path, form, of.clone(), at)?;
        let out = pending.file();
        let tail = stored::tail(&foot).map_err(wrong())?;
        out.seek(std::io::SeekFrom::End(0)).and_then(|_| out.write_all(&tail)).map_err(wrong())?;
        pending.sync()?;
        pending.place()?;
        Self::stored(place.clone(), of).ok_or_else(|| {
            Error::archive(
                &place,
                "the index was written and is not what was written: is something else writing it?",
            )
        })
    }

    pub fn len(&self) -> usize {
        self.foot.len as usize
    }

    /// SHA-256 over the file and the way it is read.
    pub fn sum(&self) -> &str {
        &self.foot.sum
    }

    pub fn splits(&self) -> BTreeMap<String, usize> {
        let names = std::iter::once("").chain(self.foot.splits.iter().map(String::as_str));
        let counts = names.zip(&self.foot.counts).filter(|(_, n)| **n > 0);
        counts.map(|(name, n)| (name.to_owned(), *n as usize)).collect()
    }

    /// One entry; `None` beyond the last.
    pub fn entry(&self, number: usize) -> Result<Option<Entry>> {
        match &self.store {
            Store::Held(entries) => Ok(entries.get(number).copied()),
            Store::Filed { .. } if number >= self.len() => Ok(None),
            Store::Filed { file, place, .. } => {
                Ok(stored::entries(file, place, number as u64, 1)?.first().copied())
            }
        }
    }

    /// A record's key; what cannot be read has none.
    pub fn key(&self, number: usize) -> Key<'_> {
        let entry = match &self.store {
            Store::Held(entries) => entries.get(number).copied(),
            Store::Filed { file, place, block } => {
                let wanted = number as u64 / BLOCK;
                let mut block = block.lock().unwrap_or_else(PoisonError::into_inner);
                if block.1.is_empty() || block.0 != wanted {
                    let from = wanted * BLOCK;
                    let count = self.foot.len.saturating_sub(from).min(BLOCK) as usize;
                    *block = (wanted, stored::entries(file, place, from, count).unwrap_or_default());
                }
                block.1.get((number as u64 % BLOCK) as usize).copied()
            }
        };
        entry.map(|e| e.key(&self.foot.splits, &self.foot.langs)).unwrap_or_default()
    }
}

fn stamp(path: &Path) -> Result<Stamp> {
    Stamp::of(path).ok_or_else(|| Error::archive(path, "expected a file whose time can be read, found none"))
}

/// What stands behind the entries, after no two ids were found to be the same.
fn checked(
    seen: Seen,
    file: &File,
    path: &Path,
    form: &dyn Form,
    of: Of,
    entry: impl Fn(u64) -> Result<Entry>,
) -> Result<Foot> {
    if seen.good == 0 {
        let (line, message) = seen.broken.unwrap_or_else(|| (1, form.none()));
        return Err(Error::Manifest { path: path.into(), line: line as usize, message });
    }
    let id = |n| -> Result<(String, u64)> {
        let entry = entry(n)?;
        let mut bytes = vec![0; entry.length as usize];
        position::read(file, &mut bytes, entry.offset).map_err(Error::io(path, "read"))?;
        let record = form.record(&bytes, entry.line).ok().flatten();
        Ok((record.map(|r| r.id).unwrap_or_default(), entry.line))
    };
    let twice = seen.ids.twice(path, |a, b| Ok(id(a)?.0 == id(b)?.0))?;
    if let Some((first, second)) = twice {
        let ((id, first), (_, second)) = (id(first)?, id(second)?);
        let id = plain::quoted(&id);
        let message = format!("id {id} was already used on line {first}: {}", form.advice());
        return Err(Error::Manifest { path: path.into(), line: second as usize, message });
    }
    let (splits, langs) = (seen.splits.words, seen.langs.words);
    let counts = if seen.splits.counts.is_empty() { vec![0] } else { seen.splits.counts };
    Ok(Foot { of, len: seen.len, sum: seen.sum, splits, langs, counts })
}
