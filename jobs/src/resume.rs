//! A long embedding that survives being stopped. Items are done in chunks of a fixed size; what a chunk gave is on the disk, in a
//! folder beside the output, before the next one begins. The same command goes on there, and since the chunks are the same the
//! result is, to the last bit, that of a run that was never stopped.

use crate::embed::{EmbedOptions, Embedded, check_skips, embed_part};
use crate::identity::hex;
use crate::{Embedder, Error, Flow, Item, Listing, Progress, Result, Skip, Vectors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use unisono_encoders::Modality;
use unisono_encoders::files::write_json;

/// Items between two points where a job can be taken up again: half a minute to a few minutes of work.
pub const CHUNK: usize = 1024;

/// What is done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Of everything that changes a vector or its place.
    fingerprint: String,
    /// Items behind us.
    done: usize,
    /// Indices of the items that have a row, in the order of the rows.
    rows: Vec<usize>,
    /// Items without one: index and reason.
    skipped: Vec<(usize, String)>,
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
/// As [`embed`](crate::embed()), and when the folder beside `out` holds other work.
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
    if items.len() <= CHUNK && !dir.exists() {
        // Nothing could be taken up: done in one go.
        return crate::embed(
            embedder,
            Listing { items, skipped: all_skipped, ..Listing::default() },
            options,
            progress,
        );
    }
    for modality in Modality::ALL {
        if items.iter().any(|item| item.modality == modality) {
            embedder.require(modality)?;
        }
    }
    let fingerprint = fingerprint(&items, job.settings, options.batch);
    let mut work = Work::open(&dir, fingerprint, embedder.dim(), job.fresh)?;
    if work.state.done > 0 {
        resumed(work.state.done);
    }
    let unlisted = all_skipped.len();
    let total = items.len() + unlisted;
    while work.state.done < items.len() {
        let start = work.state.done;
        let part = &items[start..items.len().min(start + CHUNK)];
        let before = work.state.skipped.len() + unlisted;
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
        work.keep(start, part, rows, &skipped)?;
        let so_far: Vec<Skip> = all_skipped.iter().cloned().chain(work.skips(&items)).collect();
        check_skips(&so_far, options.max_skip)?;
    }
    all_skipped.extend(work.skips(&items));
    let data = work.rows(embedder.dim())?;
    let rows = std::mem::take(&mut work.state.rows);
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
    let dir = partial(out);
    if dir.exists() { fs::remove_dir_all(&dir).map_err(Error::io(&dir, "remove")) } else { Ok(()) }
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

struct Work {
    dir: PathBuf,
    state: State,
}

impl Work {
    fn open(dir: &Path, fingerprint: String, dim: usize, fresh: bool) -> Result<Self> {
        if fresh && dir.exists() {
            fs::remove_dir_all(dir).map_err(Error::io(dir, "remove"))?;
        }
        let path = dir.join("state.json");
        let mut state =
            State { fingerprint: fingerprint.clone(), done: 0, rows: Vec::new(), skipped: Vec::new() };
        if path.is_file() {
            state = unisono_encoders::files::read_json(&path)?;
            if state.fingerprint != fingerprint {
                let message = "holds the work of another command (other inputs, model or options); run that one, or give --fresh";
                return Err(Error::format(dir, message));
            }
            // Rows of a chunk that was not finished are cut off.
            let rows = dir.join("rows.f32");
            let whole = (state.rows.len() * dim * 4) as u64;
            let file = OpenOptions::new().write(true).open(&rows).map_err(Error::io(&rows, "write"))?;
            if file.metadata().map_err(Error::io(&rows, "read"))?.len() < whole {
                return Err(Error::format(&rows, "is shorter than state.json says; give --fresh"));
            }
            file.set_len(whole).map_err(Error::io(&rows, "write"))?;
        } else {
            fs::create_dir_all(dir).map_err(Error::io(dir, "create"))?;
            fs::write(dir.join("rows.f32"), b"").map_err(Error::io(dir, "write"))?;
        }
        Ok(Self { dir: dir.to_owned(), state })
    }

    /// Rows first, then the state that counts them: a stop between the two loses a chunk and mixes nothing.
    fn keep(
        &mut self,
        start: usize,
        part: &[Item],
        rows: Vec<(usize, Vec<f32>)>,
        skipped: &[Skip],
    ) -> Result<()> {
        let path = self.dir.join("rows.f32");
        let bytes: Vec<u8> =
            rows.iter().flat_map(|(_, row)| row.iter().flat_map(|v| v.to_le_bytes())).collect();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut f| f.write_all(&bytes).and_then(|()| f.sync_all()))
            .map_err(Error::io(&path, "write"))?;
        self.state.rows.extend(rows.iter().map(|(i, _)| start + i));
        let at = |id: &str| part.iter().position(|item| item.id == id).unwrap_or(0);
        self.state.skipped.extend(skipped.iter().map(|s| (start + at(&s.id), s.reason.clone())));
        self.state.done = start + part.len();
        Ok(write_json(&self.dir.join("state.json"), &self.state)?)
    }

    fn skips<'a>(&'a self, items: &'a [Item]) -> impl Iterator<Item = Skip> + 'a {
        self.state.skipped.iter().map(|(i, reason)| Skip { id: items[*i].id.clone(), reason: reason.clone() })
    }

    fn rows(&self, dim: usize) -> Result<Vec<f32>> {
        let path = self.dir.join("rows.f32");
        let bytes = fs::read(&path).map_err(Error::io(&path, "read"))?;
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        debug_assert_eq!(floats.len(), self.state.rows.len() * dim);
        Ok(floats)
    }
}
