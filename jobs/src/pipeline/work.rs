//! Rows on the disk that survive being stopped. They are appended to a file in a folder beside the output, and a ledger there counts them, a round a line;
//! the same command goes on behind the last line. When all is done that file becomes the output.
//!
//! Nothing in that folder is believed: the ledger has a sum over every round and all before it, the rows are compared with theirs, and from a
//! file on whose length or time has changed all is done again. One run at a time: the caller holds the lock on the output.

use crate::{Error, Item, Items, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use unisono_files::{
    DAMAGED, Ledger, Pending, Sum, Verdict, move_own, only_holds, open_own, own_folder, rewrite_own,
};

const LEDGER: &str = "ledger.jsonl";

/// A round that is done. Its items have a row each, in their order, but for the skipped ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Items behind us.
    done: usize,
    /// Items without a row: number and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<(usize, String)>,
    /// Of the lengths and times of its files.
    files: String,
    /// Bytes of its rows.
    bytes: u64,
    /// Of these bytes.
    rows: String,
}

/// Where the work on `out` lies until it is whole.
pub fn partial(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// The record of that work: it has a line after its first once something is kept.
pub fn ledger(out: &Path) -> PathBuf {
    partial(out).join(LEDGER)
}

/// What work is done and how its rows lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'a> {
    /// A word for the ledger.
    pub(crate) kind: &'static str,
    /// The name of the file of rows.
    pub(crate) name: &'static str,
    /// Bytes before the first row, for what the finished file begins with.
    pub(crate) room: u64,
    /// Bytes of a row; absent: they differ.
    pub(crate) row: Option<u64>,
    /// Items of a round.
    pub(crate) round: usize,
    /// [`fingerprint`] of the work.
    pub(crate) work: &'a str,
}

/// Rows so far.
#[derive(Debug)]
pub(crate) struct SavedRows {
    // The ledger stands before the folder's guard: it vanishes first.
    place: Place,
    /// For messages.
    path: PathBuf,
    file: File,
    room: u64,
    /// Bytes of rows.
    bytes: u64,
    /// Rows, items behind us, and those of them without a row.
    pub(crate) count: usize,
    pub(crate) done: usize,
    pub(crate) skipped: Vec<(usize, String)>,
}

#[derive(Debug)]
enum Place {
    /// In a folder with a ledger.
    Kept(Ledger, Guard),
    /// Under a random name, gone with this process.
    Passing(Pending),
}

/// A folder that goes when nothing was kept in it.
#[derive(Debug)]
struct Guard {
    dir: PathBuf,
    rows: PathBuf,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if fs::symlink_metadata(self.dir.join(LEDGER)).is_ok_and(|m| m.is_file()) {
            return;
        }
        // Rows that no ledger counts are nothing.
        let _ = fs::remove_file(&self.rows);
        let _ = fs::remove_dir(&self.dir);
    }
}

impl SavedRows {
    /// Takes up the work in `dir`, or begins it.
    ///
    /// # Errors
    /// The folder holds other work, something else, or was changed.
    pub(crate) fn open(dir: &Path, items: &Items, form: &Form) -> Result<Self> {
        own_folder(dir)?;
        only_holds(dir, |name| [LEDGER, form.name].contains(&name))?;
        let path = dir.join(form.name);
        let before = open_own(&path)?.metadata().map_err(Error::io(&path, "read"))?.len();
        if before > form.room && fs::symlink_metadata(dir.join(LEDGER)).is_err() {
            return Err(Error::format(dir, "holds rows that no ledger counts; give --fresh to begin anew"));
        }
        let guard = Guard { dir: dir.to_owned(), rows: path.clone() };
        let mut file = rewrite_own(&path)?;
        let (mut done, mut count, mut bytes, mut skipped) = (0, 0, 0, Vec::new());
        file.seek(SeekFrom::Start(form.room)).map_err(Error::io(&path, "read"))?;
        let mut reader = BufReader::new(&file);
        let ledger = Ledger::open(&dir.join(LEDGER), form.kind, form.work, &mut |entry: Entry| {
            let end = items.len().min(done + form.round);
            let in_order = entry.skipped.windows(2).all(|pair| pair[0].0 < pair[1].0);
            let within = entry.skipped.iter().all(|(i, _)| (done..end).contains(i));
            if entry.done != end || done == end || !in_order || !within {
                return Ok(Verdict::Damaged);
            }
            let rows = end - done - entry.skipped.len();
            if form.row.is_some_and(|row| row.saturating_mul(rows as u64) != entry.bytes) {
                return Ok(Verdict::Damaged);
            }
            if entry.files != stamps(items.range(done, end)) {
                return Ok(Verdict::Redo);
            }
            if sum_of(&mut reader, entry.bytes, &path)? != entry.rows {
                return Err(unisono_files::Error::format(&path, DAMAGED));
            }
            (done, count, bytes) = (end, count + rows, bytes + entry.bytes);
            skipped.extend(entry.skipped);
            Ok(Verdict::Keep)
        })?;
        let place = Place::Kept(ledger, guard);
        let mut work = Self { place, path, file, room: form.room, bytes, count, done, skipped };
        work.trim()?;
        Ok(work)
    }

    /// SavedRows that nobody takes up: its rows lie beside `out` and vanish unless they are put in place.
    ///
    /// # Errors
    /// The folder is not writable.
    pub(crate) fn passing(out: &Path, room: u64) -> Result<Self> {
        let mut pending = Pending::begin(out)?;
        let file = pending.file().try_clone().map_err(Error::io(out, "write"))?;
        let place = Place::Passing(pending);
        let path = out.to_owned();
        let mut work = Self { place, path, file, room, bytes: 0, count: 0, done: 0, skipped: Vec::new() };
        work.trim()?;
        Ok(work)
    }

    /// What was not counted goes, and the next row is written where it stood.
    fn trim(&mut self) -> Result<()> {
        let end = self.room + self.bytes;
        let trimmed = self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)));
        trimmed.map(drop).map_err(Error::io(&self.path, "write"))
    }

    /// Keeps the rows of the next round, whose items have one each but for those in `skipped`. They come first, then the line that counts them: a
    /// stop between the two loses a round and mixes nothing.
    ///
    /// # Errors
    /// No space.
    pub(crate) fn keep(
        &mut self,
        items: usize,
        skipped: Vec<(usize, String)>,
        files: String,
        bytes: &[u8],
    ) -> Result<()> {
        let written = self.file.write_all(bytes);
        let length = bytes.len() as u64;
        self.count += items - skipped.len();
        self.done += items;
        self.bytes += length;
        match &mut self.place {
            Place::Kept(ledger, _) => {
                written.and_then(|()| self.file.sync_data()).map_err(Error::io(&self.path, "write"))?;
                let rows = Sum::of(bytes);
                let entry = Entry { done: self.done, skipped, files, bytes: length, rows };
                ledger.append(&entry)?;
                self.skipped.extend(entry.skipped);
            }
            Place::Passing(_) => {
                written.map_err(Error::io(&self.path, "write"))?;
                self.skipped.extend(skipped);
            }
        }
        Ok(())
    }

    /// The items that have a row, in the order of the rows.
    pub(crate) fn with_rows<'a>(&'a self, items: &'a Items) -> impl Iterator<Item = Item> + 'a {
        with_rows(items, &self.skipped)
    }

    /// All rows, to be read from the first on.
    pub(crate) fn reader(&mut self) -> Result<impl Read + Send + '_> {
        self.file.seek(SeekFrom::Start(self.room)).map_err(Error::io(&self.path, "read"))?;
        Ok(BufReader::with_capacity(1 << 16, &self.file).take(self.bytes))
    }

    /// Writes what stands before the rows, [`Form::room`] bytes, and puts the file in place as `out` once `before` has been done.
    ///
    /// # Errors
    /// No space, no permission; the work stays.
    pub(crate) fn place(
        mut self,
        out: &Path,
        head: &[u8],
        before: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(head));
        written.and_then(|()| self.file.sync_all()).map_err(Error::io(&self.path, "write"))?;
        before()?;
        match self.place {
            Place::Kept(..) => move_own(&self.path, out)?,
            Place::Passing(pending) => return Ok(pending.place()?),
        }
        Self::forget(&partial(out), "")
    }

    /// Ends the work: what it was for is in place, or nothing will be.
    ///
    /// # Errors
    /// No permission.
    pub(crate) fn end(self) -> Result<()> {
        match self.place {
            Place::Kept(_, guard) => {
                let name = guard.rows.file_name().map(|n| n.to_string_lossy().into_owned());
                Self::forget(&guard.dir, &name.unwrap_or_default())
            }
            Place::Passing(_) => Ok(()),
        }
    }

    /// Removes the work in `dir`, if it is such work and nothing else.
    ///
    /// # Errors
    /// Something else lies there.
    pub(crate) fn forget(dir: &Path, name: &str) -> Result<()> {
        let Ok(meta) = fs::symlink_metadata(dir) else { return Ok(()) };
        if !meta.is_dir() {
            let message = "expected a folder of this program's work, found something else; move it away";
            return Err(Error::format(dir, message));
        }
        only_holds(dir, |found| [LEDGER, name].contains(&found))?;
        fs::remove_dir_all(dir).map_err(Error::io(dir, "remove"))
    }
}

/// The items but for the skipped ones.
pub(crate) fn with_rows<'a>(
    items: &'a Items,
    skipped: &'a [(usize, String)],
) -> impl Iterator<Item = Item> + 'a {
    let mut skipped = skipped.iter().map(|(i, _)| *i).peekable();
    items.iter().enumerate().filter_map(move |(i, item)| match skipped.next_if_eq(&i) {
        Some(_) => None,
        None => Some(item),
    })
}

/// The sum of the next bytes.
fn sum_of(reader: &mut impl Read, mut left: u64, path: &Path) -> unisono_files::Result<String> {
    let (mut sum, mut part) = (Sum::default(), vec![0; 1 << 16]);
    while left > 0 {
        let next = part.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        reader.read_exact(&mut part[..next]).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => unisono_files::Error::format(
                path,
                "is shorter than the ledger says; give --fresh to begin anew",
            ),
            _ => unisono_files::Error::io(path, "read")(e),
        })?;
        sum.update(&part[..next]);
        left -= next as u64;
    }
    Ok(sum.letters())
}

/// A sum over the lengths and times of these items' files.
fn stamps(items: impl Iterator<Item = Item>) -> String {
    let mut sum = Sum::default();
    for item in items {
        sum.part(item.stamp().as_bytes());
    }
    sum.letters()
}

/// Of everything that changes a row: settings, items, how batches are composed.
pub(crate) fn fingerprint(items: &Items, settings: &str, batch: usize) -> String {
    let mut sum = Sum::default();
    // Of how batches are composed: texts by their length.
    sum.part(b"2");
    sum.part(settings.as_bytes());
    sum.part(&(batch as u64).to_le_bytes());
    for item in items {
        let span = if item.span.is_whole() { String::new() } else { item.span.to_string() };
        let text = item.text.as_deref().unwrap_or_default();
        for part in [
            item.id.as_bytes(),
            item.modality.name().as_bytes(),
            &item.place(),
            text.as_bytes(),
            span.as_bytes(),
        ] {
            sum.part(part);
        }
    }
    sum.letters()
}
