//! Captions, matches, answers and transcripts of many files: worker threads decode, this thread runs the model, meanwhile; what is done
//! is on the disk before the next batch begins, and a stopped job goes on there.

use crate::embed::{check_skips, prepare};
use crate::identity::hex;
use crate::ledger::{DAMAGED, Ledger, forget, stamp};
use crate::ordered::ordered;
use crate::{EmbedOptions, Error, Flow, Item, Listing, Progress, Result, Skip};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use unisono_encoders::Modality;
use unisono_files::write_atomic;
use unisono_fusion::config::MemoryConfig;
use unisono_fusion::{FusionModel, Sequence};
use unisono_media::MediaLimits;
use unisono_media::video::Ffmpeg;
pub use unisono_processors::Heard;
use unisono_processors::{Contract, Prepared};

/// Items of one modality, ready for the model.
#[derive(Debug)]
pub enum Media {
    /// From the image processor.
    Pictures(Vec<RgbImage>),
    /// Log-mel spectrograms `[T_i, M]`, and the sounds that they are of.
    Spectrograms(Vec<Vec<f32>>, Vec<Heard>),
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
            Self::Spectrograms(mels, _) => vec![model.hear(mels)?],
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
    /// Files of folders that nobody asked for: see [`Listing::left_out`].
    pub left_out: usize,
    /// How many of each kind: see [`Listing::left_out_kinds`].
    pub left_out_kinds: BTreeMap<String, usize>,
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
    /// The sound track that is heard, counted from 1; absent: the container's own choice.
    pub audio_track: Option<u16>,
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
    How { stage, options, whole, frames, ffmpeg, limits, audio_track, lines }: How,
    work: Work,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Understood> {
    let Listing { items, skipped: unlisted, left_out, left_out_kinds } = listing;
    let total = items.len() + unlisted.len();
    let mut made = Understood { done: Vec::new(), skipped: unlisted, left_out, left_out_kinds };
    check_skips(&made.skipped, options.max_skip)?;
    // Looked for before anything is done, where it is needed or was named.
    let decoded = items.iter().any(|item| item.video) || ffmpeg.is_some() || audio_track.is_some();
    let contract = Contract {
        frames: frames.clamp(1, model.most_frames()),
        whole,
        limits,
        ffmpeg: if decoded { Some(Ffmpeg::find(ffmpeg)?.hearing(audio_track)) } else { None },
        // The model's tensors stay on this thread.
        ..Contract::new(model.towers().processors())
    };
    let mut store = match lines {
        Some(lines) => {
            let work = fingerprint(lines.settings, &items, options.batch);
            Some(Store::open(&lines, &work, &items, options.batch, &mut made)?)
        }
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
    let mut waiting: Vec<std::result::Result<Prepared, String>> = Vec::with_capacity(batch);
    let mut stamps = Vec::with_capacity(batch);
    progress(Progress { stage, done: unlisted + start, total, skipped: made.skipped.len() }).check()?;
    ordered(
        rest,
        options.workers,
        ahead,
        |item| {
            // Before it is read: a file that changes meanwhile is done again by the next run.
            let stamp = stamp_of(item);
            (stamp, prepare(item, &contract))
        },
        |index, (stamp, prepared)| {
            stamps.push(stamp);
            waiting.push(prepared);
            if waiting.len() < batch && index + 1 < rest.len() {
                return Ok(());
            }
            let from = index + 1 - waiting.len();
            let part = &rest[from..=index];
            let values = batch_of(part, std::mem::take(&mut waiting), (start + from) as u64, work)?;
            let files = std::mem::take(&mut stamps);
            if let Some(store) = &mut store {
                store.keep(files, &values)?;
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
            store.ledger.remove()?;
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
        write_atomic(lines.out, |w| w.write_all(text.as_bytes()))?;
        store.ledger.remove()?;
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

/// Runs the work on one batch, each modality by itself.
fn batch_of(
    items: &[Item],
    prepared: Vec<std::result::Result<Prepared, String>>,
    first: u64,
    work: Work,
) -> Result<Vec<std::result::Result<Value, String>>> {
    let mut values: Vec<Option<std::result::Result<Value, String>>> = items.iter().map(|_| None).collect();
    let (mut pictures, mut mels) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new(), Vec::new()));
    let mut videos = (Vec::new(), Vec::new());
    for (i, prepared) in prepared.into_iter().enumerate() {
        match prepared {
            Ok(Prepared::Image(picture)) => {
                pictures.0.push(i);
                pictures.1.push(picture);
            }
            Ok(Prepared::Video(clip)) => {
                videos.0.push(i);
                videos.1.push(clip.frames);
            }
            Ok(Prepared::Audio(mel, heard)) => {
                mels.0.push(i);
                mels.1.push(mel);
                mels.2.push(heard);
            }
            Ok(Prepared::Text(_)) => values[i] = Some(Err("it is neither a picture nor a sound".into())),
            Err(reason) => values[i] = Some(Err(reason)),
        }
    }
    for (at, media) in [
        (pictures.0, Media::Pictures(pictures.1)),
        (mels.0, Media::Spectrograms(mels.1, mels.2)),
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

/// What came of one item, as the work so far remembers it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Length and time of its file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

/// The work so far, in a file beside the output.
pub(crate) struct Store {
    ledger: Ledger,
    /// Items behind us.
    pub(crate) done: usize,
}

impl Store {
    /// The work `work` as far as an earlier run has done it, which `made` gets.
    pub(crate) fn open(
        lines: &Lines,
        work: &str,
        items: &[Item],
        batch: usize,
        made: &mut Understood,
    ) -> Result<Self> {
        let path = crate::resume::partial(lines.out);
        if lines.fresh {
            forget(&path)?;
        }
        let (mut ledger, mut kept) = Ledger::open::<Kept>(&path, "lines", work, items.len())?;
        if kept.iter().any(|k| k.done.is_some() == k.skipped.is_some()) {
            return Err(Error::format(&path, DAMAGED));
        }
        // A file that changed is done again, and all after it.
        let same = |(kept, item): &(&Kept, &Item)| kept.file == stamp_of(item);
        let found = kept.iter().zip(items).take_while(same).count();
        // Whole batches only, so that they are composed as in a run that was never stopped.
        let done = if found == items.len() { found } else { found - found % batch.max(1) };
        ledger.cut(done)?;
        kept.truncate(done);
        for (kept, item) in kept.into_iter().zip(items) {
            if let Some(value) = kept.done {
                made.done.push((item.id.clone(), value));
            } else {
                let reason = kept.skipped.unwrap_or_default();
                made.skipped.push(Skip { id: item.id.clone(), reason });
            }
        }
        Ok(Self { ledger, done })
    }

    /// The values of a batch, and its files' stamps.
    fn keep(&mut self, stamps: Vec<String>, values: &[std::result::Result<Value, String>]) -> Result<()> {
        let kept = |(file, value): (String, &std::result::Result<Value, String>)| {
            let (done, skipped) = (value.as_ref().ok().cloned(), value.as_ref().err().cloned());
            Kept { file, done, skipped }
        };
        let lines: Vec<Kept> = stamps.into_iter().zip(values).map(kept).collect();
        self.ledger.append(&lines)?;
        self.done += values.len();
        Ok(())
    }
}

fn stamp_of(item: &Item) -> String {
    item.path.as_deref().map(stamp).unwrap_or_default()
}

/// Of everything that changes a value: settings, items, how batches are composed.
fn fingerprint(settings: &str, items: &[Item], batch: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(settings.as_bytes());
    hash.update((batch as u64).to_le_bytes());
    for item in items {
        let span = if item.span.is_whole() { String::new() } else { item.span.to_string() };
        let path = item.path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        for part in [item.id.as_str(), item.modality.name(), &path, &span] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex(&hash.finalize())
}
