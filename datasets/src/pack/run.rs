//! The work: record after record, shard after shard.

use super::format::Format;
use super::listing::{LISTING, ListedShard, Listing, VERSION};
use super::out::Out;
use super::progress::PackProgress;
use super::sample::Sample;
use super::uses::{self, Uses};
use super::writer::ShardWriter;
use crate::{Error, Part, Result, Skip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use unisono_files::{Ledger, Lock, Sum, Verdict, only_holds, sweep, write_json};
use unisono_media::one_line;

/// The record of what is done so far, in the folder while it is filled.
pub const LEDGER: &str = ".unisono-pack.jsonl";

/// How to pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// The folder for the shards, which is made.
    pub out: PathBuf,
    /// What they are.
    pub format: Format,
    /// A shard ends before the record that would make it larger, in bytes.
    pub shard_size: u64,
    /// Records that may be left out; one more ends the work.
    pub max_skip: usize,
    /// Removes what was packed into the folder before.
    pub fresh: bool,
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// The folder.
    pub out: PathBuf,
    /// Records in its shards.
    pub records: u64,
    /// Bytes of its shards.
    pub bytes: u64,
    /// Shards that an earlier run had finished.
    pub kept: usize,
    /// What was left out, and why.
    pub skipped: Vec<Skip>,
    /// In their order.
    pub shards: Vec<ListedShard>,
}

/// A finished shard, as the ledger remembers it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    shard: ListedShard,
    /// The record that the next one begins with.
    next: u64,
    skipped: Vec<(String, String)>,
}

/// Packs records into `options.out`. `progress` hears of every record and may stop the work: then `None`, and the finished shards stay for
/// the next run.
///
/// # Errors
/// A folder that holds something else, another source's shards or damaged ones; too many records that cannot be packed; no space.
pub fn pack(
    source: &Part,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
) -> Result<Option<Packed>> {
    if options.shard_size == 0 {
        return Err(Error::Options("a shard's size must be above 0".into()));
    }
    let out = &options.out;
    let _lock = Lock::within(out)?;
    only_holds(out, is_ours)?;
    if options.fresh {
        remove(out)?;
    }
    sweep(out);
    let work = work(source, options)?;
    let mut job = Job { source, options, work, uses: Uses::default(), packed: Packed::none(out), next: 0 };
    if let Some(listing) = Listing::of(out)? {
        return job.again(listing).map(Some);
    }
    if options.format.needs_uses() {
        let Some(uses) = uses::of(source, progress) else { return Ok(None) };
        job.uses = uses;
    }
    let mut ledger = job.resume()?;
    while job.next < source.len() as u64 {
        let Some(done) = job.shard(progress)? else { return Ok(None) };
        if let Some(done) = done {
            ledger.append(&done)?;
            job.take(done);
        }
    }
    job.finish(ledger).map(Some)
}

/// Names in a folder of shards that are of this program's making.
fn is_ours(name: &str) -> bool {
    let hidden = name.strip_prefix('.').is_some_and(|n| n.starts_with("unisono-") || n == "unisono.lock");
    let index = name
        .strip_prefix('.')
        .and_then(|n| n.strip_suffix(".index"))
        .is_some_and(|n| n.starts_with("shard-"));
    hidden || index || name == LISTING || is_shard(name)
}

fn is_shard(name: &str) -> bool {
    let number = name.strip_prefix("shard-").and_then(|n| n.split_once('.'));
    number.is_some_and(|(digits, ending)| {
        digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit()) && ending.parse::<Format>().is_ok()
    })
}

/// Removes what was packed before; a foreign `index.json` stays.
fn remove(out: &Path) -> Result<()> {
    if out.join(LISTING).exists() && Listing::of(out).is_ok_and(|listing| listing.is_none()) {
        return Err(foreign(out));
    }
    for entry in fs::read_dir(out).map_err(Error::io(out, "list"))? {
        let name = entry.map_err(Error::io(out, "list"))?.file_name();
        if name.to_str().is_some_and(|n| is_ours(n) && n != ".unisono.lock") {
            let path = out.join(&name);
            fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
        }
    }
    Ok(())
}

fn foreign(out: &Path) -> Error {
    Error::archive(&out.join(LISTING), "is not of this program's making: choose another folder")
}

/// A sum over what decides the shards' bytes.
fn work(source: &Part, options: &PackOptions) -> Result<String> {
    let mut sum = Sum::default();
    sum.part(source.sum()?.as_bytes());
    sum.part(options.format.name().as_bytes());
    sum.part(&options.shard_size.to_le_bytes());
    sum.part(&VERSION.to_le_bytes());
    Ok(sum.letters())
}

impl Packed {
    fn none(out: &Path) -> Self {
        Self { out: out.to_owned(), records: 0, bytes: 0, kept: 0, skipped: Vec::new(), shards: Vec::new() }
    }
}

struct Job<'a> {
    source: &'a Part,
    options: &'a PackOptions,
    work: String,
    /// What records have, for a format that needs to know.
    uses: Uses,
    packed: Packed,
    /// The record that the next shard begins with.
    next: u64,
}

impl Job<'_> {
    /// What was packed before is all there.
    fn again(mut self, listing: Listing) -> Result<Packed> {
        let out = &self.options.out;
        if listing.work != self.work {
            let message = "holds another source's shards, or such of another size or format: choose another folder, or give --fresh";
            return Err(Error::archive(&out.join(LISTING), message));
        }
        if let Some(bad) = listing.shards.par_iter().find_first(|shard| !shard.is_whole(out)) {
            return Err(Error::archive(
                &out.join(&bad.name),
                "is not what was packed: give --fresh to pack anew",
            ));
        }
        self.packed.kept = listing.shards.len();
        self.packed.records = listing.records;
        self.packed.bytes = listing.shards.iter().map(|shard| shard.bytes).sum();
        self.packed.shards = listing.shards;
        Ok(self.packed)
    }

    /// Opens the ledger and takes over what is finished.
    fn resume(&mut self) -> Result<Ledger> {
        let out = self.options.out.clone();
        let path = out.join(LEDGER);
        if !path.exists() {
            if out.join(LISTING).exists() {
                return Err(foreign(&out));
            }
            only_holds(&out, |name| is_ours(name) && !is_shard(name))?;
        }
        let work = self.work.clone();
        let ledger = Ledger::open(&path, "pack", &work, &mut |done: Done| {
            let follows = done.next > self.next && done.shard.name == self.name();
            Ok(match follows {
                false => Verdict::Damaged,
                true if done.shard.is_whole(&out) => {
                    self.packed.kept += 1;
                    self.take(done);
                    Verdict::Keep
                }
                true => Verdict::Redo,
            })
        })?;
        Ok(ledger)
    }

    fn take(&mut self, done: Done) {
        self.next = done.next;
        self.packed.records += done.shard.records;
        self.packed.bytes += done.shard.bytes;
        self.packed.skipped.extend(done.skipped.into_iter().map(|(id, reason)| Skip { id, reason }));
        self.packed.shards.push(done.shard);
    }

    /// The next shard's name.
    fn name(&self) -> String {
        format!("shard-{:05}.{}", self.packed.shards.len(), self.options.format.name())
    }

    /// Writes one shard. `None`: stopped. `Some(None)`: nothing is left that could be packed.
    fn shard(
        &mut self,
        progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
    ) -> Result<Option<Option<Done>>> {
        let (name, total) = (self.name(), self.source.len() as u64);
        let path = self.options.out.join(&name);
        let out = Out::begin(&path)?;
        let buffered = Box::new(BufWriter::with_capacity(1 << 20, out.clone()));
        let mut writer = self.options.format.begin(&path, buffered, &self.uses)?;
        let (mut at, mut records, mut skipped) = (self.next, 0, Vec::new());
        while at < total {
            if progress(PackProgress { records: at, total }).is_break() {
                return Ok(None);
            }
            match self.add(&mut *writer, at, records > 0) {
                Ok(true) => records += 1,
                Ok(false) => break,
                Err(Left::Out(skip)) => {
                    let skips = self.packed.skipped.len() + skipped.len() + 1;
                    if skips > self.options.max_skip {
                        let Skip { id, reason } = skip;
                        return Err(Error::TooManySkipped {
                            count: skips,
                            max: self.options.max_skip,
                            id,
                            reason,
                        });
                    }
                    skipped.push((skip.id, skip.reason));
                }
                Err(Left::Off(error)) => return Err(error),
            }
            at += 1;
        }
        if records == 0 {
            // The last records of all could not be packed.
            self.next = at;
            self.packed.skipped.extend(skipped.into_iter().map(|(id, reason)| Skip { id, reason }));
            return Ok(Some(None));
        }
        writer.finish()?;
        let (bytes, sha256) = out.place(&path)?;
        Ok(Some(Some(Done { shard: ListedShard { name, records, bytes, sha256 }, next: at, skipped })))
    }

    /// Adds a record, unless the shard would become too large.
    fn add(&self, writer: &mut dyn ShardWriter, at: u64, some: bool) -> std::result::Result<bool, Left> {
        let left_out = |id: String, reason: String| Left::Out(Skip { id, reason: one_line(&reason) });
        let record =
            self.source.record(at as usize).map_err(|e| left_out(format!("record {at}"), e.to_string()))?;
        let sample = Sample::open(&record).map_err(|e| left_out(record.id.clone(), e.to_string()))?;
        if let Some(reason) = self.options.format.refuses(&sample) {
            return Err(left_out(record.id.clone(), reason));
        }
        if some && writer.bytes().saturating_add(sample.bytes()) > self.options.shard_size {
            return Ok(false);
        }
        writer.add(sample).map(|()| true).map_err(Left::Off)
    }

    fn finish(self, ledger: Ledger) -> Result<Packed> {
        let (out, packed) = (&self.options.out, self.packed);
        if packed.shards.is_empty() {
            let last = packed
                .skipped
                .last()
                .map(|s| format!("; the last is {}: {}", s.id, s.reason))
                .unwrap_or_default();
            return Err(Error::Options(format!(
                "{}: no record could be packed{last}",
                self.source.source().path().display()
            )));
        }
        let listing = Listing {
            unisono: "pack".into(),
            format_version: VERSION,
            format: self.options.format,
            work: self.work,
            records: packed.records,
            skipped: packed.skipped.len() as u64,
            shards: packed.shards.clone(),
        };
        write_json(&out.join(LISTING), &listing)?;
        drop(ledger);
        let path = out.join(LEDGER);
        fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
        Ok(packed)
    }
}

/// Why a record is not in a shard.
enum Left {
    /// It cannot be packed.
    Out(Skip),
    /// Nothing can.
    Off(Error),
}
