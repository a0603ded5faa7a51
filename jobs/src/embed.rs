//! Many inputs → vectors: worker threads decode and process, this thread runs the model, meanwhile.

use crate::ordered::ordered;
use crate::{Embedder, Error, Flow, Item, Listing, Progress, Result, Skip, Vectors};
use image::RgbImage;
use unisono_encoders::{Clip, Modality};
use unisono_processors::{Contract, Prepared};

/// How to work; none of it changes a vector by more than rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedOptions {
    /// Items of one modality that the model takes at once.
    pub batch: usize,
    /// Threads that decode and process files.
    pub workers: usize,
    /// More unusable inputs than this end the job.
    pub max_skip: usize,
}

impl Default for EmbedOptions {
    /// 32 at once, a worker a core, at most 100 unusable inputs.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { batch: 32, workers, max_skip: 100 }
    }
}

/// What came of it: row `i` of `vectors` belongs to `items[i]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// `[N, D]` unit vectors.
    pub vectors: Vectors,
    /// The N items, in the order of the inputs.
    pub items: Vec<Item>,
    /// What could not be used, each with its reason.
    pub skipped: Vec<Skip>,
}

/// Embeds a listing, keeping its order. A file that cannot be used is left out and listed in [`Embedded::skipped`].
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
    let Listing { items, mut skipped, .. } = listing;
    possible(embedder, &items)?;
    let (total, unlisted) = (items.len() + skipped.len(), skipped.len());
    check_skips(&skipped, options.max_skip)?;
    let mut report = |done, skipped| progress(Progress { stage: "embed", done, total, skipped }).check();
    report(unlisted, unlisted)?;
    let embedded = embed_part(embedder, &items, options, &mut skipped, &mut |done, skipped| {
        report(unlisted + done, skipped)
    })?;
    if let (true, Some(first)) = (embedded.is_empty(), skipped.first()) {
        return Err(Error::AllSkipped { count: total, id: first.id.clone(), reason: first.reason.clone() });
    }
    report(total, skipped.len())?;
    let (dim, data) = (embedder.dim(), embedded.iter().flat_map(|(_, row)| row).copied().collect());
    // Rows and items are filtered by the same list: they cannot fall out of step.
    let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let items = embedded.iter().filter_map(|(index, _)| items[*index].take()).collect();
    Ok(Embedded { vectors: Vectors { dim, data }, items, skipped })
}

/// Whether a job can be done at all.
///
/// # Errors
/// A modality that the model lacks; nothing but videos, and nothing that decodes them.
pub(crate) fn possible(embedder: &Embedder, items: &[Item]) -> Result<()> {
    let has = |modality| items.iter().any(|item| item.modality == modality);
    for modality in Modality::ALL.into_iter().filter(|m| has(*m)) {
        embedder.require(modality)?;
    }
    if !items.is_empty() && items.iter().all(|item| item.modality == Modality::Video) {
        embedder.decoder()?;
    }
    Ok(())
}

/// Embeds `items`; a row for each that can be used, by its index, in order. The others join `skipped`. `report` is told how many are
/// done, skipped ones included, and how many `skipped` holds.
pub(crate) fn embed_part(
    embedder: &Embedder,
    items: &[Item],
    options: &EmbedOptions,
    skipped: &mut Vec<Skip>,
    report: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Vec<(usize, Vec<f32>)>> {
    let contract = embedder.contract()?;
    let mut batches = Batches::new(embedder, options.batch, items.len());
    let before = skipped.len();
    let ahead = options.batch.max(1).div_ceil(options.workers.max(1)) + 1;
    ordered(
        items,
        options.workers,
        ahead,
        |item| prepare(item, &contract),
        |index, prepared| {
            match prepared {
                Ok(prepared) => batches.push(index, prepared)?,
                Err(reason) => {
                    skipped.push(Skip { id: items[index].id.clone(), reason });
                    check_skips(skipped, options.max_skip)?;
                }
            }
            report(batches.done + skipped.len() - before, skipped.len())
        },
        |index| Error::Worker { id: items[index].id.clone() },
    )?;
    batches.finish()
}

pub(crate) fn check_skips(skipped: &[Skip], max: usize) -> Result<()> {
    match skipped.last() {
        Some(last) if skipped.len() > max => {
            let (id, reason) = (last.id.clone(), last.reason.clone());
            Err(Error::TooManySkipped { count: skipped.len(), max, id, reason })
        }
        _ => Ok(()),
    }
}

/// Decodes and processes one item; what is wrong with it is a line for the user.
pub(crate) fn prepare(item: &Item, contract: &Contract) -> std::result::Result<Prepared, String> {
    let done = item.medium().and_then(|medium| Ok(contract.prepare(medium)?));
    done.map_err(|e| without_id(&e.to_string(), &item.id))
}

/// A file's path is its id, which stands before the reason already.
fn without_id(message: &str, id: &str) -> String {
    message.strip_prefix(id).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message).to_owned()
}

/// Collects prepared items by modality and runs the model on each full batch.
struct Batches<'a> {
    embedder: &'a Embedder,
    size: usize,
    texts: (Vec<usize>, Vec<Vec<i64>>),
    squares: (Vec<usize>, Vec<RgbImage>),
    spectrograms: (Vec<usize>, Vec<Vec<f32>>),
    clips: (Vec<usize>, Vec<Clip>),
    rows: Vec<Option<Vec<f32>>>,
    done: usize,
}

impl<'a> Batches<'a> {
    fn new(embedder: &'a Embedder, size: usize, items: usize) -> Self {
        Self {
            embedder,
            size: size.max(1),
            texts: Default::default(),
            squares: Default::default(),
            spectrograms: Default::default(),
            clips: Default::default(),
            rows: vec![None; items],
            done: 0,
        }
    }

    fn push(&mut self, index: usize, prepared: Prepared) -> Result<()> {
        match prepared {
            Prepared::Text(text) => {
                self.texts.0.push(index);
                self.texts.1.push(text);
            }
            Prepared::Image(square) => {
                self.squares.0.push(index);
                self.squares.1.push(square);
            }
            Prepared::Audio(mel, _) => {
                self.spectrograms.0.push(index);
                self.spectrograms.1.push(mel);
            }
            Prepared::Video(clip) => {
                self.clips.0.push(index);
                self.clips.1.push(clip);
            }
        }
        self.run(self.size)
    }

    /// Runs every batch of at least `least` items.
    fn run(&mut self, least: usize) -> Result<()> {
        if self.texts.0.len() >= least {
            let (at, texts) = std::mem::take(&mut self.texts);
            self.keep(&at, &self.embedder.token_ids(&texts)?);
        }
        if self.squares.0.len() >= least {
            let (at, squares) = std::mem::take(&mut self.squares);
            self.keep(&at, &self.embedder.pictures(&squares)?);
        }
        if self.spectrograms.0.len() >= least {
            let (at, mels) = std::mem::take(&mut self.spectrograms);
            self.keep(&at, &self.embedder.spectrograms(&mels)?);
        }
        // A batch is as many pictures, whether they stand alone or in clips.
        if self.clips.1.iter().map(|clip| clip.frames.len()).sum::<usize>() >= least {
            let (at, clips) = std::mem::take(&mut self.clips);
            self.keep(&at, &self.embedder.clips(&clips)?);
        }
        Ok(())
    }

    fn keep(&mut self, at: &[usize], vectors: &Vectors) {
        for (index, row) in at.iter().zip(vectors.rows()) {
            self.rows[*index] = Some(row.to_vec());
        }
        self.done += at.len();
    }

    /// Runs what is left; the rows with their items' indices, in order.
    fn finish(mut self) -> Result<Vec<(usize, Vec<f32>)>> {
        self.run(1)?;
        Ok(self.rows.into_iter().enumerate().filter_map(|(i, row)| Some((i, row?))).collect())
    }
}
