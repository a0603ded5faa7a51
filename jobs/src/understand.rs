//! Captions, matches, answers and transcripts of many files: worker threads decode, this thread runs the model, meanwhile; what is done
//! is on the disk before the next batch begins, and a stopped job goes on there.

use crate::embed::check_skips;
use crate::identity::hex;
use crate::ordered::ordered;
use crate::{EmbedOptions, Error, Flow, Item, Listing, Progress, Result, Skip, media};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use unisono_datasets::MediaLimits;
use unisono_datasets::video::Ffmpeg;
use unisono_encoders::files::write_atomically;
use unisono_encoders::{Modality, Processors};
use unisono_fusion::config::MemoryConfig;
use unisono_fusion::{FusionModel, Sequence};

/// Items of one modality, ready for the model.
#[derive(Debug)]
pub enum Media {
    /// From the image processor.
    Pictures(Vec<RgbImage>),
    /// Log-mel spectrograms `[T_i, M]`.
    Spectrograms(Vec<Vec<f32>>),
    /// Frames of videos from the image processor, each video's in their order.
    Videos(Vec<Vec<RgbImage>>),
}

impl Media {
    /// Their tokens: one sequence, of videos one for each frame.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn tokens(&self, model: &FusionModel) -> Result<Vec<Sequence>> {
        Ok(match self {
            Self::Pictures(pictures) => vec![model.see(pictures)?],
            Self::Spectrograms(mels) => vec![model.hear(mels)?],
            Self::Videos(videos) => model.watch(videos)?,
        })
    }
}

/// What a job does with a batch: a value, or a reason why there is none, for each item.
pub type Work<'a> =
    &'a mut dyn FnMut(&[&Item], Media, u64) -> Result<Vec<std::result::Result<Value, String>>>;

/// What came of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Understood {
    /// The items that have a value, in the order of the inputs.
    pub done: Vec<(String, Value)>,
    /// The others.
    pub skipped: Vec<Skip>,
}

/// Where a job's lines lie until they are whole, and what they are of.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// Where they go in the end: one JSON object a line.
    pub out: &'a Path,
    /// Everything besides the items that changes a value.
    pub settings: &'a str,
    /// An earlier run's work is dropped.
    pub fresh: bool,
}

/// How a job works.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// What is done, in a word, for the progress.
    pub stage: &'a str,
    /// Batches, threads, and how many inputs may be unusable.
    pub options: &'a EmbedOptions,
    /// Sounds keep their length, however long they are.
    pub whole: bool,
    /// Frames of a video that are looked at, at most; the model's own bound holds besides.
    pub frames: usize,
    /// The program that decodes videos; absent: looked for.
    pub ffmpeg: Option<&'a Path>,
    /// What files may cost.
    pub limits: MediaLimits,
    /// Where the lines go; absent: the job is not taken up again.
    pub lines: Option<Lines<'a>>,
}

/// What the model attends to, of the modalities that files have.
pub fn sees(model: &FusionModel) -> Vec<Modality> {
    match &model.config().memory {
        MemoryConfig::Tower { modality, .. } => vec![*modality],
        MemoryConfig::Own { modalities, .. } => {
            modalities.iter().copied().filter(|m| *m != Modality::Text).collect()
        }
    }
}

/// Runs `work` over a listing, in batches that are the same whether a job was stopped or not. `resumed` is told how
/// many items an earlier run has done.
///
/// # Errors
/// More unusable inputs than allowed, none usable at all, the model's, or [`Error::Interrupted`].
pub fn understand(
    model: &FusionModel,
    listing: Listing,
    How { stage, options, whole, frames, ffmpeg, limits, lines }: How,
    work: Work,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Understood> {
    let Listing { items, skipped: unlisted, .. } = listing;
    let total = items.len() + unlisted.len();
    let mut made = Understood { done: Vec::new(), skipped: unlisted };
    check_skips(&made.skipped, options.max_skip)?;
    let videos = if items.iter().any(|item| item.video) { Some(Ffmpeg::find(ffmpeg)?) } else { None };
    let frames = frames.clamp(1, model.most_frames());
    let mut store = match lines {
        Some(lines) => Some(Store::open(&lines, &items, options.batch, &mut made)?),
        None => None,
    };
    let start = store.as_ref().map_or(0, |s| s.done);
    if start > 0 {
        resumed(start);
    }
    let unlisted = made.skipped.len() + made.done.len() - start;
    let rest = &items[start..];
    let batch = options.batch.max(1);
    let ahead = batch.div_ceil(options.workers.max(1)) + 1;
    // The model's tensors stay on this thread.
    let processors = model.towers().processors();
    let mut waiting: Vec<std::result::Result<Prepared, String>> = Vec::with_capacity(batch);
    progress(Progress { stage, done: unlisted + start, total, skipped: made.skipped.len() }).check()?;
    ordered(
        rest,
        options.workers,
        ahead,
        |item| prepare(item, processors, whole, videos.as_ref().map(|ffmpeg| (ffmpeg, frames)), &limits),
        |index, prepared| {
            waiting.push(prepared);
            if waiting.len() < batch && index + 1 < rest.len() {
                return Ok(());
            }
            let from = index + 1 - waiting.len();
            let part = &rest[from..=index];
            let values = batch_of(part, std::mem::take(&mut waiting), (start + from) as u64, work)?;
            if let Some(store) = &mut store {
                store.keep(part, &values)?;
            }
            made.take(part, values);
            check_skips(&made.skipped, options.max_skip)?;
            let done = unlisted + start + index + 1;
            progress(Progress { stage, done, total, skipped: made.skipped.len() }).check()
        },
        |index| Error::Worker { id: rest[index].id.clone() },
    )?;
    if let (true, Some(first)) = (made.done.is_empty(), made.skipped.first()) {
        let (id, reason) = (first.id.clone(), first.reason.clone());
        if let Some(store) = store {
            store.remove()?;
        }
        return Err(if total == 1 {
            Error::Input(format!("{id}: {reason}"))
        } else {
            Error::AllSkipped { count: total, id, reason }
        });
    }
    if let (Some(store), Some(lines)) = (store, lines) {
        let mut text = String::new();
        for (id, value) in &made.done {
            text += &line(id, value)?;
        }
        write_atomically(lines.out, text.as_bytes())?;
        store.remove()?;
    }
    Ok(made)
}

impl Understood {
    fn take(&mut self, items: &[Item], values: Vec<std::result::Result<Value, String>>) {
        for (item, value) in items.iter().zip(values) {
            match value {
                Ok(value) => self.done.push((item.id.clone(), value)),
                Err(reason) => self.skipped.push(Skip { id: item.id.clone(), reason }),
            }
        }
    }
}

/// An item and its value as one line: the value's keys after the id.
fn line(id: &str, value: &Value) -> Result<String> {
    let mut object = serde_json::Map::new();
    object.insert("id".into(), id.into());
    match value {
        Value::Object(more) => object.extend(more.clone()),
        other => drop(object.insert("value".into(), other.clone())),
    }
    let text = serde_json::to_string(&object).map_err(|e| Error::Input(format!("JSON: {e}")))?;
    Ok(text + "\n")
}

enum Prepared {
    Picture(RgbImage),
    Video(Vec<RgbImage>),
    Spectrogram(Vec<f32>),
}

/// Decodes and processes one item; what is wrong with it is a line for the user.
fn prepare(
    item: &Item,
    processors: &Processors,
    whole: bool,
    videos: Option<(&Ffmpeg, usize)>,
    limits: &MediaLimits,
) -> std::result::Result<Prepared, String> {
    let missing = || {
        Error::Input("the model came without preprocessor_config.json, which says how it sees files".into())
    };
    let work = || match (item.modality, &item.path) {
        (Modality::Image, Some(path)) if item.video => {
            let (ffmpeg, frames) = videos.ok_or_else(missing)?;
            let processor = processors.image.as_ref().ok_or_else(missing)?;
            media::frames(path, &item.span, processor, ffmpeg, frames, limits).map(Prepared::Video)
        }
        (Modality::Audio, Some(path)) if item.video => {
            let (ffmpeg, _) = videos.ok_or_else(missing)?;
            let processor = processors.audio.as_ref().ok_or_else(missing)?;
            media::sound_track(path, &item.span, processor, ffmpeg, whole, limits).map(Prepared::Spectrogram)
        }
        (Modality::Image, Some(path)) => {
            media::picture(path, processors.image.as_ref().ok_or_else(missing)?, limits)
                .map(Prepared::Picture)
        }
        (Modality::Audio, Some(path)) => {
            let processor = processors.audio.as_ref().ok_or_else(missing)?;
            let mel = if whole { media::speech } else { media::spectrogram };
            Ok(Prepared::Spectrogram(mel(path, processor, limits)?))
        }
        _ => Err(Error::Input("it is neither a picture nor a sound".into())),
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|e: Error| {
            let text = e.to_string();
            text.strip_prefix(&item.id).and_then(|r| r.strip_prefix(": ")).unwrap_or(&text).to_owned()
        }),
        Err(_) => Err("its decoder panicked (this is a bug, please report it)".into()),
    }
}

/// Runs the work on one batch, each modality by itself.
fn batch_of(
    items: &[Item],
    prepared: Vec<std::result::Result<Prepared, String>>,
    first: u64,
    work: Work,
) -> Result<Vec<std::result::Result<Value, String>>> {
    let mut values: Vec<Option<std::result::Result<Value, String>>> = items.iter().map(|_| None).collect();
    let (mut pictures, mut mels) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut videos = (Vec::new(), Vec::new());
    for (i, prepared) in prepared.into_iter().enumerate() {
        match prepared {
            Ok(Prepared::Picture(picture)) => {
                pictures.0.push(i);
                pictures.1.push(picture);
            }
            Ok(Prepared::Video(frames)) => {
                videos.0.push(i);
                videos.1.push(frames);
            }
            Ok(Prepared::Spectrogram(mel)) => {
                mels.0.push(i);
                mels.1.push(mel);
            }
            Err(reason) => values[i] = Some(Err(reason)),
        }
    }
    for (at, media) in [
        (pictures.0, Media::Pictures(pictures.1)),
        (mels.0, Media::Spectrograms(mels.1)),
        (videos.0, Media::Videos(videos.1)),
    ] {
        if at.is_empty() {
            continue;
        }
        let part: Vec<&Item> = at.iter().map(|i| &items[*i]).collect();
        for (i, mut value) in at.iter().zip(work(&part, media, first)?) {
            // A record's picture and sound share its id.
            if let Ok(Value::Object(object)) = &mut value {
                let item = &items[*i];
                let name = if item.video && item.modality == Modality::Image {
                    "video"
                } else {
                    item.modality.name()
                };
                object.insert("modality".into(), name.into());
            }
            values[*i] = Some(value);
        }
    }
    Ok(values.into_iter().map(|v| v.unwrap_or_else(|| Err("the model gave nothing for it".into()))).collect())
}

/// A line of the work so far.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    /// The first: a sum over everything that changes a value.
    Work(String),
    Done(Value),
    Skipped(String),
}

fn kept_line(kept: &Kept) -> Result<String> {
    Ok(serde_json::to_string(kept).map_err(|e| Error::Input(format!("JSON: {e}")))? + "\n")
}

struct Store {
    path: PathBuf,
    file: File,
    /// Items behind us.
    done: usize,
}

impl Store {
    fn open(lines: &Lines, items: &[Item], batch: usize, made: &mut Understood) -> Result<Self> {
        let path = crate::resume::partial(lines.out);
        let mut hash = Sha256::new();
        hash.update(lines.settings.as_bytes());
        hash.update((batch as u64).to_le_bytes());
        for item in items {
            let span = if item.span.is_whole() { String::new() } else { item.span.to_string() };
            for part in
                [item.id.as_str(), item.modality.name(), span.as_str()].into_iter().filter(|p| !p.is_empty())
            {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        let fingerprint = hex(&hash.finalize());
        if lines.fresh && path.exists() {
            fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
        }
        let mut kept = Vec::new();
        if path.is_file() {
            let file = File::open(&path).map_err(Error::io(&path, "read"))?;
            let mut reader = BufReader::new(file);
            let mut text = String::new();
            loop {
                text.clear();
                let n = reader.read_line(&mut text).map_err(Error::io(&path, "read"))?;
                // A line that was not finished is cut off.
                if n == 0 || !text.ends_with('\n') {
                    break;
                }
                let Ok(line) = serde_json::from_str(&text) else { break };
                kept.push(line);
            }
        }
        let other = |message| Err(Error::format(&path, message));
        match kept.first() {
            None => {}
            Some(Kept::Work(found)) if *found == fingerprint => {}
            Some(Kept::Work(_)) => {
                return other(
                    "holds the work of another command (other inputs, model or options); run that one, or give --fresh",
                );
            }
            Some(_) => return other("is not the work of this command; give --fresh"),
        }
        let found = kept.len().saturating_sub(1);
        if found > items.len() || kept.iter().skip(1).any(|k| matches!(k, Kept::Work(_))) {
            return other("is not the work of this command; give --fresh");
        }
        // Whole batches only, so that they are composed as in a run that was never stopped.
        let done = if found == items.len() { found } else { found - found % batch.max(1) };
        kept.truncate(done + 1);
        if kept.is_empty() {
            kept.push(Kept::Work(fingerprint));
        }
        // The file is written anew beside and takes the old one's place: what is done is never not on the disk.
        let mut text = String::new();
        for line in &kept {
            text += &kept_line(line)?;
        }
        write_atomically(&path, text.as_bytes())?;
        for (line, item) in kept.into_iter().skip(1).zip(items) {
            match line {
                Kept::Done(value) => made.done.push((item.id.clone(), value)),
                Kept::Skipped(reason) => made.skipped.push(Skip { id: item.id.clone(), reason }),
                Kept::Work(_) => {}
            }
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(Error::io(&path, "write"))?;
        Ok(Self { path, file, done })
    }

    fn write(&mut self, lines: &[Kept]) -> Result<()> {
        let mut text = String::new();
        for kept in lines {
            text += &kept_line(kept)?;
        }
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io(&self.path, "write"))
    }

    fn keep(&mut self, items: &[Item], values: &[std::result::Result<Value, String>]) -> Result<()> {
        let lines: Vec<Kept> = values
            .iter()
            .map(|v| match v {
                Ok(value) => Kept::Done(value.clone()),
                Err(reason) => Kept::Skipped(reason.clone()),
            })
            .collect();
        self.write(&lines)?;
        self.done += items.len();
        Ok(())
    }

    fn remove(self) -> Result<()> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(Error::io(&self.path, "remove"))
    }
}
