//! A long embedding that survives being stopped. Items are done in chunks of a fixed size; what a chunk gave is on the disk, in a
//! folder beside the output, before the next one begins. The same command goes on there, and since the chunks are the same the
//! result is, to the last bit, that of a run that was never stopped.
//!
//! Nothing in that folder is believed: `ledger.jsonl` has a sum over every chunk and all before it, `rows.f32` is compared with them,
//! and a file that changed since is embedded again. One run at a time: the caller holds the lock on the output.

use crate::embed::{EmbedOptions, Embedded, check_skips, embed_part, possible};
use crate::identity::hex;
use crate::ledger::{DAMAGED, Ledger, stamp};
use crate::{Embedder, Error, Flow, Item, Listing, Progress, Result, Skip, Vectors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use unisono_files::{only_holds, open_own, own_folder};

/// Items between two points where a job can be taken up again: half a minute to a few minutes of work.
pub const CHUNK: usize = 1024;

const LEDGER: &str = "ledger.jsonl";
const ROWS: &str = "rows.f32";
/// The ledger of earlier versions.
const OLD: &str = "state.json";

/// A chunk that is done. The items from the chunk before to `done` have a row each, in their order, but for the skipped ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chunk {
    /// Items behind us.
    done: usize,
    /// Items without a row: index and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<(usize, String)>,
    /// Of the lengths and times of its files.
    files: String,
    /// Of its rows' bytes.
    rows: String,
}

/// Where the work on `out` lies until it is whole.
pub fn partial(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// What work is taken up again.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Where the vectors will go; the work lies beside it.
    pub out: &'a Path,
    /// What besides the items changes a vector: the model's identity, its precision, whether vectors are normalised.
    pub settings: &'a str,
    /// An earlier run's work is dropped.
    pub fresh: bool,
}

/// Embeds a listing, going on where an earlier run of the same work stopped; `resumed` is told how many items are done already.
///
/// # Errors
/// As [`embed`](crate::embed()), and when the folder beside `out` holds other work, or was changed.
pub fn embed_resumable(
    embedder: &Embedder,
    listing: Listing,
    options: &EmbedOptions,
    job: Job,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Embedded> {
    let Listing { items, skipped: mut all_skipped, .. } = listing;
    let dir = partial(job.out);
    if job.fresh {
        forget(&dir)?;
    }
    if items.len() <= CHUNK && fs::symlink_metadata(&dir).is_err() {
        // Nothing could be taken up: done in one go.
        return crate::embed(
            embedder,
            Listing { items, skipped: all_skipped, ..Listing::default() },
            options,
            progress,
        );
    }
    possible(embedder, &items)?;
    let work = fingerprint(&items, job.settings, options.batch);
    let mut work = Work::open(&dir, &work, &items, embedder.dim())?;
    if work.done > 0 {
        resumed(work.done);
    }
    let unlisted = all_skipped.len();
    let total = items.len() + unlisted;
    while work.done < items.len() {
        let start = work.done;
        let part = &items[start..items.len().min(start + CHUNK)];
        let before = work.skipped.len() + unlisted;
        // Before they are read: a file that changes meanwhile is embedded again by the next run.
        let files = stamps(part);
        let mut skipped = Vec::new();
        let rows = embed_part(embedder, part, options, &mut skipped, &mut |done, skipped| {
            progress(Progress {
                stage: "embed",
                done: unlisted + start + done,
                total,
                skipped: before + skipped,
            })
            .check()
        })?;
        work.keep(part.len(), rows, skipped, files)?;
        let so_far: Vec<Skip> = all_skipped.iter().cloned().chain(work.skips(&items)).collect();
        check_skips(&so_far, options.max_skip)?;
    }
    all_skipped.extend(work.skips(&items));
    let data = work.vectors()?;
    let rows = std::mem::take(&mut work.rows);
    if let (true, Some(first)) = (rows.is_empty(), all_skipped.first()) {
        return Err(Error::AllSkipped { count: total, id: first.id.clone(), reason: first.reason.clone() });
    }
    let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let items = rows.iter().filter_map(|i| items[*i].take()).collect();
    Ok(Embedded { vectors: Vectors { dim: embedder.dim(), data }, items, skipped: all_skipped })
}

/// Removes the work on `out`, once that is whole.
///
/// # Errors
/// No permission.
pub fn done(out: &Path) -> Result<()> {
    forget(&partial(out))
}

/// Removes the work in `dir`, if it is such work and nothing else.
fn forget(dir: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(dir) else { return Ok(()) };
    if !meta.is_dir() {
        return Err(Error::format(
            dir,
            "expected a folder of this program's work, found something else; move it away",
        ));
    }
    only_holds(dir, |name| [LEDGER, ROWS].contains(&name) || name.starts_with(OLD))?;
    fs::remove_dir_all(dir).map_err(Error::io(dir, "remove"))
}

fn fingerprint(items: &[Item], settings: &str, batch: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(settings.as_bytes());
    // The composition of batches moves the last bits.
    hash.update((batch as u64).to_le_bytes());
    for item in items {
        let path = item.path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        let mut parts =
            vec![item.id.as_str(), item.modality.name(), &path, item.text.as_deref().unwrap_or_default()];
        let span = item.span.to_string();
        if !item.span.is_whole() {
            parts.push(&span);
        }
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex(&hash.finalize())
}

/// A sum over the lengths and times of these items' files.
fn stamps(items: &[Item]) -> String {
    let mut hash = Sha256::new();
    for path in items.iter().filter_map(|item| item.path.as_deref()) {
        hash.update(stamp(path));
        hash.update([0]);
    }
    short(hash)
}

fn short(hash: Sha256) -> String {
    let mut sum = hex(&hash.finalize());
    sum.truncate(32);
    sum
}

/// How many chunks, from the first on, are as these files are now: from a file that changed on, all is done again. None: they are not chunks of these
/// items.
fn unchanged(chunks: &[Chunk], items: &[Item]) -> Option<usize> {
    let mut done = 0;
    for (i, chunk) in chunks.iter().enumerate() {
        let end = items.len().min(done + CHUNK);
        if chunk.done != end || done == end {
            return None;
        }
        if chunk.files != stamps(&items[done..end]) {
            return Some(i);
        }
        done = end;
    }
    Some(chunks.len())
}

pub(crate) struct Work {
    dir: PathBuf,
    /// Stands before the folder's guard: it vanishes first.
    ledger: Ledger,
    file: File,
    dim: usize,
    pub(crate) done: usize,
    /// Indices of the items that have a row, in the order of the rows.
    rows: Vec<usize>,
    skipped: Vec<(usize, String)>,
    _folder: Empty,
}

/// A folder that goes when nothing was kept in it.
struct Empty(PathBuf);

impl Drop for Empty {
    fn drop(&mut self) {
        if fs::symlink_metadata(self.0.join(LEDGER)).is_ok_and(|m| m.is_file()) {
            return;
        }
        // Rows that no ledger counts are nothing.
        let _ = fs::remove_file(self.0.join(ROWS));
        let _ = fs::remove_dir(&self.0);
    }
}

impl Work {
    pub(crate) fn open(dir: &Path, work: &str, items: &[Item], dim: usize) -> Result<Self> {
        own_folder(dir)?;
        if dir.join(OLD).exists() {
            return Err(Error::format(dir, "holds the work of another version of unisono; give --fresh"));
        }
        only_holds(dir, |name| [LEDGER, ROWS].contains(&name))?;
        let path = dir.join(ROWS);
        let file = open_own(&path)?;
        let counted = fs::symlink_metadata(dir.join(LEDGER)).is_ok();
        if !counted && file.metadata().map_err(Error::io(&path, "read"))?.len() > 0 {
            return Err(Error::format(dir, "holds rows that no ledger counts; give --fresh to begin anew"));
        }
        let (mut ledger, chunks) =
            Ledger::open::<Chunk>(&dir.join(LEDGER), "embed", work, items.len().div_ceil(CHUNK))?;
        let kept = unchanged(&chunks, items).ok_or_else(|| Error::format(&dir.join(LEDGER), DAMAGED))?;
        ledger.cut(kept)?;
        let (rows, skipped) = (Vec::new(), Vec::new());
        let mut work = Self {
            dir: dir.to_owned(),
            ledger,
            file,
            dim,
            done: 0,
            rows,
            skipped,
            _folder: Empty(dir.to_owned()),
        };
        work.file.seek(SeekFrom::Start(0)).map_err(Error::io(&path, "read"))?;
        for chunk in chunks.into_iter().take(kept) {
            let rows = work.shares(chunk.done - work.done, &chunk.skipped)?;
            let mut bytes = vec![0; rows.len() * dim * 4];
            work.file.read_exact(&mut bytes).map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => {
                    Error::format(&path, "is shorter than the ledger says; give --fresh to begin anew")
                }
                _ => Error::io(&path, "read")(e),
            })?;
            if sum(&bytes) != chunk.rows {
                return Err(Error::format(&path, DAMAGED));
            }
            work.rows.extend(rows);
            work.skipped.extend(chunk.skipped);
            work.done = chunk.done;
        }
        // Rows of a chunk that was not finished are cut off.
        work.file.set_len(work.length()).map_err(Error::io(&path, "write"))?;
        Ok(work)
    }

    /// The indices of the next `count` items that have a row, which are all but the skipped ones; refused where those do not add up.
    fn shares(&self, count: usize, skipped: &[(usize, String)]) -> Result<Vec<usize>> {
        let all = self.done..self.done + count;
        let in_order = skipped.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !in_order || skipped.iter().any(|(i, _)| !all.contains(i)) {
            return Err(Error::format(&self.dir.join(LEDGER), DAMAGED));
        }
        let mut left_out = skipped.iter().map(|(i, _)| *i).peekable();
        Ok(all.filter(|i| left_out.next_if_eq(i).is_none()).collect())
    }

    fn length(&self) -> u64 {
        (self.rows.len() * self.dim * 4) as u64
    }

    /// Rows first, then the line that counts them: a stop between the two loses a chunk and mixes nothing.
    fn keep(
        &mut self,
        count: usize,
        rows: Vec<(usize, Vec<f32>)>,
        skipped: Vec<Skip>,
        files: String,
    ) -> Result<()> {
        let path = self.dir.join(ROWS);
        // Both are in the items' order, so the items without a row are the skipped ones, one by one; ids may be there twice.
        let mut with = rows.iter().map(|(i, _)| *i).peekable();
        let without = (0..count).filter(|i| with.next_if_eq(i).is_none());
        let skipped: Vec<(usize, String)> =
            without.map(|i| self.done + i).zip(skipped.into_iter().map(|s| s.reason)).collect();
        if rows.len() + skipped.len() != count {
            return Err(Error::Worker { id: "a chunk of its inputs".into() });
        }
        let bytes: Vec<u8> =
            rows.iter().flat_map(|(_, row)| row.iter().flat_map(|v| v.to_le_bytes())).collect();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        written.map_err(Error::io(&path, "write"))?;
        let chunk = Chunk { done: self.done + count, skipped, files, rows: sum(&bytes) };
        self.ledger.append(std::slice::from_ref(&chunk))?;
        let rows = self.shares(count, &chunk.skipped)?;
        self.rows.extend(rows);
        self.skipped.extend(chunk.skipped);
        self.done = chunk.done;
        Ok(())
    }

    fn skips<'a>(&'a self, items: &'a [Item]) -> impl Iterator<Item = Skip> + 'a {
        self.skipped.iter().map(|(i, reason)| Skip { id: items[*i].id.clone(), reason: reason.clone() })
    }

    /// All rows, one after another.
    fn vectors(&mut self) -> Result<Vec<f32>> {
        let path = self.dir.join(ROWS);
        let mut floats = vec![0f32; self.rows.len() * self.dim];
        let bytes = bytemuck::cast_slice_mut(&mut floats);
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_exact(bytes));
        read.map_err(Error::io(&path, "read"))?;
        if cfg!(target_endian = "big") {
            floats.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes()));
        }
        Ok(floats)
    }
}

fn sum(bytes: &[u8]) -> String {
    short(Sha256::new_with_prefix(bytes))
}
