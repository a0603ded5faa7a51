//! A folder of transcripts, one file an audio file: what they are called, which are done, and which are not ours to replace.
//!
//! An audio file that was found in a folder keeps its place below that folder; one that was given by itself, or by a manifest, lies at the top. Names are made
//! [safe](unisono_files::safe_name), and audio files that would share one, on file systems that take `A` for `a` too, get a sum over their ids.
//!
//! `.unisono-transcripts.jsonl` says of each file which audio file it is of, how that was made, and what was written. A file that is not as it was
//! written has been corrected by somebody: it counts as done and is never replaced.

use crate::{Error, Item, Items, Listing, Result, Skip};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use unisono_files::{Budget, Lock, Sum, open_own, read, safe_name, short_sum, sweep, write_atomic};
use unisono_media::Blob;

pub(crate) const LEDGER: &str = ".unisono-transcripts.jsonl";
/// A transcript of a day of speech is some megabytes.
const LARGEST: u64 = 256 << 20;

/// What was written under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Below the folder, with `/` between its parts.
    file: String,
    /// The audio.
    id: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    part: usize,
    /// Length and time of the audio's file.
    source: String,
    /// A sum over the model and all settings.
    work: String,
    /// Of the file's bytes.
    sum: String,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// The folder, which is locked while this lives.
#[derive(Debug)]
pub struct Transcripts {
    dir: PathBuf,
    _lock: Lock,
    /// Made with the first line.
    ledger: Option<File>,
    /// All that was written under a name, the latest last.
    known: HashMap<String, Vec<Entry>>,
    work: String,
    /// Where the listing's items go: id and part → file.
    files: HashMap<(String, usize), String>,
    written: usize,
}

/// The record of what was written into a folder; it is there from the first file on.
pub fn record(dir: &Path) -> PathBuf {
    dir.join(LEDGER)
}

/// Takes a folder for transcripts, before anything is loaded; it is made where it is missing.
///
/// # Errors
/// Something else stands there, another run writes it, no permission.
pub fn claim(dir: &Path) -> Result<Lock> {
    let lock = Lock::within(dir)?;
    sweep(dir);
    Ok(lock)
}

impl Transcripts {
    /// Opens the folder that `lock` was [taken](claim) on, for transcripts made with `settings`: the model's identity and all that changes a text.
    ///
    /// # Errors
    /// The record of what was written cannot be opened.
    pub fn open(dir: &Path, lock: Lock, settings: &str) -> Result<Self> {
        let path = dir.join(LEDGER);
        let there = fs::symlink_metadata(&path).is_ok();
        let mut ledger = there.then(|| open_own(&path)).transpose()?;
        let mut bytes = Vec::new();
        if let Some(file) = &mut ledger {
            let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(LARGEST).read_to_end(&mut bytes));
            read.map_err(Error::io(&path, "read"))?;
        }
        let mut known: HashMap<String, Vec<Entry>> = HashMap::new();
        // A line that is damaged says nothing: its file is then not known to be ours, and left alone.
        for entry in bytes.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice::<Entry>(l).ok()) {
            known.entry(entry.file.clone()).or_default().push(entry);
        }
        if let (Some(file), Some(last)) = (&mut ledger, bytes.last())
            && *last != b'\n'
        {
            // Torn as it was written: what comes next is a line of its own.
            file.write_all(b"\n").map_err(Error::io(&path, "write"))?;
        }
        let work = Sum::of(settings.as_bytes());
        Ok(Self { dir: dir.to_owned(), _lock: lock, ledger, known, work, files: HashMap::new(), written: 0 })
    }

    /// Takes from the listing what is done already, and names what is in the way of it; returns how many are done. `roots` are the folders that were
    /// walked, `ending` that of the files; `fresh`: what is ours is written again.
    ///
    /// # Errors
    /// The folder holds transcripts made with other settings, and they are not to be written again.
    pub fn plan(
        &mut self,
        listing: &mut Listing,
        roots: &[PathBuf],
        ending: &str,
        fresh: bool,
    ) -> Result<usize> {
        self.name(&listing.items, roots, ending);
        let (mut done, mut rest) = (0, Items::default());
        for item in &std::mem::take(&mut listing.items) {
            let file = self.file(&item);
            let path = self.dir.join(&file);
            if fs::symlink_metadata(&path).is_err() {
                rest.push(&item);
                continue;
            }
            let written = self.written_there(&file, &path);
            match written {
                Some(entry) if fresh || entry.source != item.stamp() => rest.push(&item),
                Some(entry) if entry.work == self.work => done += 1,
                Some(_) => {
                    let message = "made by another model or with other options; give --fresh to write it again, or choose another folder";
                    return Err(Error::format(&path, message));
                }
                None if !fresh => done += 1,
                None => {
                    let known = self.known.contains_key(&file);
                    let what = if known {
                        "was changed since it was written"
                    } else {
                        "was not written by this command"
                    };
                    let reason = format!("{} {what} and is left alone; move it away", path.display());
                    listing.skipped.push(Skip { id: item.id, reason });
                }
            }
        }
        listing.items = rest;
        Ok(done)
    }

    /// Writes an item's transcript.
    ///
    /// # Errors
    /// No space, no permission.
    pub fn write(&mut self, item: &Item, text: &str) -> Result<()> {
        let file = self.file(item);
        let path = self.dir.join(&file);
        let (id, part, source) = (item.id.clone(), item.part, item.stamp());
        let entry = Entry { file, id, part, source, work: self.work.clone(), sum: Sum::of(text.as_bytes()) };
        let line = serde_json::to_string(&entry).map_err(|e| Error::Input(format!("JSON: {e}")))? + "\n";
        // The record first: a file is known as ours from its first moment on, and one that is not there is written again.
        let ledger = self.dir.join(LEDGER);
        let mut kept = match self.ledger.take() {
            Some(kept) => kept,
            None => open_own(&ledger)?,
        };
        kept.write_all(line.as_bytes())
            .and_then(|()| kept.sync_data())
            .map_err(Error::io(&ledger, "write"))?;
        self.ledger = Some(kept);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
        }
        write_atomic(&path, |w| w.write_all(text.as_bytes()))?;
        self.known.entry(entry.file.clone()).or_default().push(entry);
        self.written += 1;
        Ok(())
    }

    /// How many were written.
    pub fn written(&self) -> usize {
        self.written
    }

    fn file(&self, item: &Item) -> String {
        self.files.get(&(item.id.clone(), item.part)).cloned().unwrap_or_else(|| safe_name(&item.id))
    }

    /// What was written under this name, if the file is still as it was written.
    fn written_there(&self, file: &str, path: &Path) -> Option<Entry> {
        let entries = self.known.get(file)?;
        // A link is not what was written.
        let regular = fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
        let budget = Budget { bytes: LARGEST, ..Budget::CONFIG };
        let found = Sum::of(&regular.then(|| read(path, &budget).ok()).flatten()?);
        entries.iter().rev().find(|entry| entry.sum == found).cloned()
    }

    /// Gives every item a file of its own.
    fn name(&mut self, items: &Items, roots: &[PathBuf], ending: &str) {
        let absolute = |root: &PathBuf| std::path::absolute(root).ok();
        let roots: Vec<PathBuf> = roots.iter().filter(|r| r.is_dir()).filter_map(absolute).collect();
        let plain: Vec<String> = items.iter().map(|item| below(&item, &roots)).collect();
        let fold = |name: &str| name.to_lowercase();
        let (mut count, mut folders) = (HashMap::new(), HashSet::new());
        for name in &plain {
            *count.entry(fold(&format!("{name}.{ending}"))).or_insert(0usize) += 1;
            let parts = name.match_indices('/').map(|(at, _)| fold(&name[..at]));
            folders.extend(parts);
        }
        for (item, name) in items.iter().zip(plain) {
            let file = format!("{name}.{ending}");
            let another =
                |entries: &Vec<Entry>| entries.iter().all(|e| (&e.id, e.part) != (&item.id, item.part));
            let taken = self.known.get(&file).is_some_and(another) && self.dir.join(&file).exists();
            let shared = count.get(&fold(&file)).is_some_and(|n| *n > 1) || folders.contains(&fold(&file));
            let file = if taken || shared {
                let own = short_sum(format!("{}\0{}", item.id, item.part).as_bytes());
                format!("{name}~{}.{ending}", &own[..10])
            } else {
                file
            };
            self.files.insert((item.id, item.part), file);
        }
    }
}

/// Where an item's transcript lies below the folder, without its ending.
fn below(item: &Item, roots: &[PathBuf]) -> String {
    let by_itself = item.blob.as_ref().map(Blob::name).filter(|path| path.display().to_string() == item.id);
    let Some(path) = by_itself else {
        let name = safe_name(&item.id);
        return if item.part == 0 { name } else { format!("{name}-{}", item.part) };
    };
    // Of folders within each other, the outermost: where it lies does not depend on the order in which they were given.
    let root = roots.iter().filter(|root| path.starts_with(root)).min_by_key(|root| root.as_os_str().len());
    let rest = root.and_then(|root| path.strip_prefix(root).ok());
    let rest = rest.or_else(|| path.file_name().map(Path::new)).unwrap_or(path);
    let parts: Vec<String> = rest.components().map(|c| safe_name(&c.as_os_str().to_string_lossy())).collect();
    parts.join("/")
}

#[cfg(test)]
#[path = "tests/transcripts.rs"]
mod tests;
