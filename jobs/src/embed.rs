//! Many inputs → vectors, in memory or in a file: users of the one [pipeline](crate::pipeline).

use crate::output::{self, Format};
use crate::pipeline::work::Form;
use crate::pipeline::{Batch, Outcome, Pipeline, Round, SavedRows, Sink, fingerprint, partial};
use crate::{
    EmbedOptions, Embedded, Embedder, Error, Flow, Item, Items, LeftOut, Listing, Modality, Progress, Result,
    Skip, Vectors,
};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use unisono_datasets::vectors::{Origin, origin_path};
use unisono_encoders::{AudioWindow, Prompt};
use unisono_files::{Pending, Sum};
use unisono_processors::Prepared;

/// Items between two points where an embedding can be taken up again: half a minute to a few minutes of work.
pub const ROUND: usize = 1024;

/// Embeds a listing in memory, keeping its order. A file that cannot be used is left out and listed in [`Embedded::skipped`].
///
/// # Errors
/// A modality that the model lacks, more unusable inputs than allowed, none usable at all, or [`Error::Interrupted`] when
/// `progress` says stop.
pub fn embed(
    embedder: &Embedder,
    listing: Listing,
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Embedded> {
    possible(embedder, &listing.items)?;
    let vectors = Vectors { dim: embedder.dim(), data: Vec::new() };
    let mut made = Embedded { vectors, items: Vec::new(), skipped: Vec::new() };
    made.skipped = run(embedder, &listing, options, &mut made, progress)?;
    Ok(made)
}

impl Sink<Vec<f32>> for Embedded {
    fn keep(&mut self, round: Round<'_, Vec<f32>>) -> Result<()> {
        for (item, outcome) in round.items.iter().zip(round.outcomes) {
            if let Ok(row) = outcome {
                self.vectors.data.extend(row);
                self.items.push(item.clone());
            }
        }
        Ok(())
    }
}

/// Where a job's rows go.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The file; work that was stopped lies [beside](partial) it.
    pub out: &'a Path,
    /// An earlier run's work is dropped.
    pub fresh: bool,
}

/// Vectors that are on the disk and have not their file's form yet: [`place`](Self::place) gives it to them.
#[derive(Debug)]
pub struct Stored {
    work: SavedRows,
    out: PathBuf,
    format: Format,
    dim: usize,
    /// Identity and settings of the model, which came from a folder.
    made_by: Option<(String, String)>,
    prompt: Option<Prompt>,
    window: AudioWindow,
    items: Items,
    skipped: Vec<Skip>,
    left_out: LeftOut,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// The vectors.
    pub out: PathBuf,
    /// What each row is: see [`output::items_path`].
    pub items: PathBuf,
    /// Rows N.
    pub count: usize,
    /// Width D.
    pub dim: usize,
    /// What was put before texts; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// How much was heard of windows that a sound does not fill; absent: all of them.
    #[serde(skip_serializing_if = "AudioWindow::is_whole")]
    pub window: AudioWindow,
    /// Rows of each modality.
    pub modalities: BTreeMap<&'static str, usize>,
    /// What could not be used, each with its reason.
    pub skipped: Vec<Skip>,
    /// What nobody asked for.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

/// Embeds a listing into a file, going on where an earlier run of the same work stopped; `resumed` is told how many items are done already. Memory
/// does not grow with the rows. The caller holds the lock on the output ([`output::claim`]).
///
/// SavedRows of more than [`ROUND`] items is kept beside `job.out` as it goes, by a model that came from a [folder](Embedder::load); `Stored` holds it until
/// it is put in place.
///
/// # Errors
/// As [`embed`]; another ending than those of [`Format`]; the folder beside `out` holds other work, or was changed.
pub fn embed_to(
    embedder: &Embedder,
    listing: Listing,
    options: &EmbedOptions,
    job: &Job,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Stored> {
    let format = Format::of(job.out)?;
    possible(embedder, &listing.items)?;
    let dim = embedder.dim();
    let dir = partial(job.out);
    if job.fresh {
        SavedRows::forget(&dir, ROWS)?;
    }
    // Where nothing could be taken up, it is done in one go.
    let long = listing.items.len() > ROUND || fs::symlink_metadata(&dir).is_ok();
    // The sum over a model's weights takes a second for each gigabyte: what is done in one go does not wait for it.
    let mut summing = embedder.folder().map(|folder| {
        let folder = folder.to_owned();
        std::thread::spawn(move || crate::identity(&folder))
    });
    let identity = if long { summing.take().map(summed).transpose()? } else { None };
    let work = match &identity {
        Some(identity) => {
            let settings = format!("{identity} {}", embedder.settings());
            SavedRows::open(
                &dir,
                &listing.items,
                &form(dim, &fingerprint(&listing.items, &settings, options.batch)),
            )?
        }
        None => SavedRows::passing(job.out, output::NPY_HEAD)?,
    };
    if work.done > 0 {
        resumed(work.done);
    }
    let mut rows = Rows(work);
    let skipped = match run(embedder, &listing, options, &mut rows, progress) {
        // Nothing is worth being taken up again.
        Err(e @ Error::AllSkipped { .. }) => return rows.0.end().and(Err(e)),
        run => run?,
    };
    let Listing { items, left_out, .. } = listing;
    let texts = items.counts().contains_key(&Modality::Text);
    let prompt = embedder.prompt().filter(|_| texts).cloned();
    let (out, window) = (job.out.to_owned(), embedder.window());
    let identity = summing.map(summed).transpose()?.or(identity);
    let made_by = identity.map(|identity| (identity, embedder.settings()));
    Ok(Stored { work: rows.0, out, format, dim, made_by, prompt, window, items, skipped, left_out })
}

/// What a thread has summed up.
fn summed(summing: JoinHandle<Result<String>>) -> Result<String> {
    summing.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// The name of the rows beside an output.
pub(crate) const ROWS: &str = "rows.f32";

pub(crate) fn form(dim: usize, work: &str) -> Form<'_> {
    let row = Some((dim * size_of::<f32>()) as u64);
    Form { kind: "embed", name: ROWS, room: output::NPY_HEAD, row, round: ROUND, work }
}

/// Vectors as rows on the disk, little-endian.
#[derive(Debug)]
pub(crate) struct Rows(pub(crate) SavedRows);

impl Sink<Vec<f32>> for Rows {
    fn done(&self) -> usize {
        self.0.done
    }

    fn skipped(&self) -> &[(usize, String)] {
        &self.0.skipped
    }

    fn keep(&mut self, round: Round<'_, Vec<f32>>) -> Result<()> {
        let first = self.0.done;
        let (mut bytes, mut skipped) = (Vec::new(), Vec::new());
        for (i, outcome) in round.outcomes.into_iter().enumerate() {
            match outcome {
                Ok(row) => bytes.extend(row.iter().flat_map(|v| v.to_le_bytes())),
                Err(reason) => skipped.push((first + i, reason)),
            }
        }
        self.0.keep(round.items.len(), skipped, round.files, &bytes)
    }
}

impl Stored {
    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.work.count
    }

    /// What could not be used, each with its reason.
    pub fn skipped(&self) -> &[Skip] {
        &self.skipped
    }

    /// Gives each row `[D]` with what it is of to `take`, in their order.
    ///
    /// # Errors
    /// Those of `take`; the rows cannot be read.
    pub fn rows(&mut self, take: &mut dyn FnMut(&Item, &[f32]) -> Result<()>) -> Result<()> {
        let without = self.work.skipped.clone();
        let (mut bytes, mut row) = (vec![0; self.dim * size_of::<f32>()], vec![0f32; self.dim]);
        let mut reader = self.work.reader()?;
        for item in crate::pipeline::with_rows(&self.items, &without) {
            reader.read_exact(&mut bytes).map_err(Error::io(&self.out, "read the work on"))?;
            let numbers = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            row.iter_mut().zip(numbers).for_each(|(value, number)| *value = number);
            take(&item, &row)?;
        }
        Ok(())
    }

    /// Drops the rows: what they were made for is there.
    ///
    /// # Errors
    /// No permission.
    pub fn end(self) -> Result<()> {
        self.work.end()
    }

    /// Which model made the rows, and their sum, ready to be put [beside](origin_path) them. What an earlier run left there of another model goes.
    fn origin(&mut self) -> Result<Option<Pending>> {
        let path = origin_path(&self.out);
        let Some((model, settings)) = self.made_by.take() else {
            if let Ok(Some(_)) = Origin::beside(&self.out) {
                fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
            }
            return Ok(None);
        };
        let (mut sum, mut part) = (Sum::default(), vec![0; 1 << 16]);
        let mut rows = self.work.reader()?;
        loop {
            let n = rows.read(&mut part).map_err(Error::io(&self.out, "read"))?;
            if n == 0 {
                break;
            }
            sum.update(&part[..n]);
        }
        drop(rows);
        let origin = Origin { model, settings, sum: sum.letters(), count: self.work.count, dim: self.dim };
        Ok(Some(Pending::write(&path, |w| Ok(serde_json::to_writer(w, &origin)?))?))
    }

    /// Puts vectors and items in place, one batch of them in memory at a time. Both are whole on the disk before either has its name; then the work beside
    /// goes.
    ///
    /// # Errors
    /// No space, no permission; the work stays, and the same command writes it without computing it again.
    pub fn place(mut self) -> Result<Written> {
        let (count, dim) = (self.work.count, self.dim);
        let mut modalities = BTreeMap::new();
        let path = output::items_path(&self.out);
        let lines = Pending::write(&path, |w| {
            for item in self.work.with_rows(&self.items) {
                *modalities.entry(item.modality.name()).or_insert(0) += 1;
                output::write_item(w, &item)?;
            }
            Ok(())
        })?;
        let origin = self.origin()?;
        let head = output::npy_head(count, dim);
        match self.format {
            Format::Npy => self.work.place(&self.out, &head, || placed(origin, lines))?,
            other => {
                let skipped = std::mem::take(&mut self.work.skipped);
                let mut items = crate::pipeline::with_rows(&self.items, &skipped);
                let mut rows = self.work.reader()?;
                let table = output::Table { count, dim, items: &mut items, rows: &mut rows };
                let vectors = Pending::write(&self.out, |w| table.write(other, w))?;
                drop(rows);
                placed(origin, lines)?;
                vectors.place()?;
                self.work.end()?;
            }
        }
        let Self { out, prompt, window, skipped, left_out, .. } = self;
        Ok(Written { out, items: path, count, dim, prompt, window, modalities, skipped, left_out })
    }
}

/// What stands beside the vectors gets its name before they do.
fn placed(origin: Option<Pending>, lines: Pending) -> Result<()> {
    if let Some(origin) = origin {
        origin.place()?;
    }
    Ok(lines.place()?)
}

/// Runs a listing that is [`possible`] through the model into a sink.
pub(crate) fn run(
    embedder: &Embedder,
    listing: &Listing,
    options: &EmbedOptions,
    sink: &mut dyn Sink<Vec<f32>>,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Vec<Skip>> {
    let pipeline = Pipeline { stage: "embed", contract: embedder.contract()?, options, round: ROUND, weigh };
    let mut engine = |batch: Batch, _: &mut dyn FnMut() -> Flow| -> Result<Vec<Outcome<Vec<f32>>>> {
        let mut batch = batch;
        if let Some(viewed) = embedder.viewed() {
            let seen = batch.inputs.par_iter_mut().zip(&batch.items);
            seen.for_each(|(prepared, item)| viewed.look(&item.id, prepared));
        }
        Ok(embedder.vectors(&batch.inputs)?.rows().map(|row| Ok(row.to_vec())).collect())
    };
    pipeline.run(listing, &mut engine, sink, progress)
}

/// A batch is as many images, whether they stand alone or in clips.
fn weigh(prepared: &Prepared) -> usize {
    match prepared {
        Prepared::Video(clip) => clip.frames.len(),
        _ => 1,
    }
}

/// Whether a job can be done at all.
///
/// # Errors
/// A modality that the model lacks; nothing but videos, and nothing that decodes them.
pub(crate) fn possible(embedder: &Embedder, items: &Items) -> Result<()> {
    for modality in items.counts().keys() {
        embedder.require(*modality)?;
    }
    if items.counts().keys().eq([&Modality::Video]) {
        embedder.decoder()?;
    }
    Ok(())
}
