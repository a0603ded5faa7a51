//! Captions, answers, matches and transcripts of many files: users of the one pipeline, each a [`Task`].

mod ask;
mod caption;
pub(crate) mod lines;
mod matching;
mod recaption;
mod rerank;
mod subtitles;
mod transcribe;
mod transcript;

pub use ask::{Answer, Ask, Candidate};
pub use caption::{Caption, Captioned};
pub use lines::{WrittenLines, understand_to};
pub use matching::{Fit, Match, Matched, Matches};
pub use recaption::{Recaption, Recaptioned, one_each};
pub use rerank::{Found, Score, rerank};
pub use subtitles::Format;
pub use transcribe::{Folder, Transcribe, WrittenTranscripts, transcribe_to};
pub use transcript::{Segment, Transcript};
pub use unisono_processors::AudioTiming;

use crate::pipeline::{Batch, Outcome, Pipeline, Round, Sink};
use crate::{EmbedOptions, Error, Flow, Inputs, Item, LeftOut, Listing, Progress, Result, Skip};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::Modality;
use unisono_fusion::config::MemoryConfig;
use unisono_fusion::{Ability, FusionModel, Sequence};
use unisono_media::MediaLimits;
use unisono_media::video::Ffmpeg;
use unisono_processors::{Contract, Prepared};

/// A loaded model that says something of images, audio files and videos, or compares texts.
#[derive(Debug)]
pub struct Understander {
    model: FusionModel,
    /// The folder that it came from, which tells it from others.
    folder: Option<PathBuf>,
    frames: usize,
    ffmpeg: Option<PathBuf>,
    limits: MediaLimits,
    audio_track: Option<u16>,
}

impl Understander {
    /// Loads a model directory, of this program's or another library's, onto `device`.
    ///
    /// # Errors
    /// A missing or broken file; the message names it.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let mut model = Self::new(unisono_fusion::import::load(dir.as_ref(), device)?.model);
        model.set_folder(dir);
        Ok(model)
    }

    /// Wraps a model in memory.
    pub fn new(model: FusionModel) -> Self {
        Self {
            model,
            folder: None,
            frames: 8,
            ffmpeg: None,
            limits: MediaLimits::default(),
            audio_track: None,
        }
    }

    /// Says which folder a model in memory came from: what it made before is known again by that.
    pub fn set_folder(&mut self, dir: impl AsRef<Path>) {
        self.folder = Some(dir.as_ref().to_owned());
    }

    /// Frames of a video that are looked at, at most, spread evenly over it; the model's own bound holds besides. Without this, 8.
    pub fn set_frames(&mut self, frames: usize) {
        self.frames = frames;
    }

    /// The program that decodes videos, and the audio files that nothing else does; without this it is looked for.
    pub fn set_ffmpeg(&mut self, program: Option<PathBuf>) {
        self.ffmpeg = program;
    }

    /// What files may cost; without this, [`MediaLimits::default`].
    pub fn set_limits(&mut self, limits: MediaLimits) {
        self.limits = limits;
    }

    /// The audio track that is heard, counted from 1; without this, the container's own choice.
    pub fn set_audio_track(&mut self, track: Option<u16>) {
        self.audio_track = track;
    }

    /// The model.
    pub fn model(&self) -> &FusionModel {
        &self.model
    }

    /// What it attends to, of the modalities that files have.
    pub fn sees(&self) -> Vec<Modality> {
        sees(&self.model)
    }

    /// What of these files and folders it attends to.
    ///
    /// # Errors
    /// As [`Inputs::list`].
    pub fn list<P: Into<PathBuf>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Listing> {
        Inputs { videos: true, ..Inputs::files(paths) }.list(&self.sees())
    }

    /// Whether it has this ability.
    ///
    /// # Errors
    /// It has not; what it has is said.
    pub fn require(&self, ability: Ability) -> Result<()> {
        match (self.model.require(ability), &self.folder) {
            (Err(e), Some(dir)) => Err(Error::format(dir, e.to_string())),
            (required, _) => Ok(required?),
        }
    }

    /// Everything besides the items and the task that changes a value; none of a model that came from no folder.
    fn settings(&self) -> Option<Result<String>> {
        let dir = self.folder.as_deref()?;
        let of = |identity| {
            let (precision, frames, limits) =
                (self.model.towers().precision(), self.frames, self.limits.fingerprint());
            let track = self.audio_track.map_or_else(String::new, |n| format!(" track {n}"));
            format!("{identity} {precision} {frames} frames{track}{limits}")
        };
        Some(crate::identity_with_fusion(dir).map(of))
    }

    /// How it is fed. The model's tensors stay on this thread.
    fn contract(&self, listing: &Listing, whole: bool) -> Result<Contract<'_>> {
        // Looked for before anything is done, where it is needed or was named.
        let decoded =
            self.ffmpeg.is_some() || self.audio_track.is_some() || listing.items.iter().any(|i| i.video);
        let ffmpeg = match decoded {
            true => Some(Ffmpeg::find(self.ffmpeg.as_deref())?.hearing(self.audio_track)),
            false => None,
        };
        let frames = self.frames.clamp(1, self.model.most_frames());
        let limits = self.limits;
        Ok(Contract { frames, whole, limits, ffmpeg, ..Contract::new(self.model.towers().processors()) })
    }
}

/// What a model attends to, of the modalities that files have.
pub fn sees(model: &FusionModel) -> Vec<Modality> {
    match &model.config().memory {
        MemoryConfig::Tower { modality, .. } => vec![*modality],
        MemoryConfig::Own { modalities, .. } => {
            modalities.iter().copied().filter(|m| *m != Modality::Text).collect()
        }
    }
}

/// What is to be said of each file.
pub trait Task {
    /// What is said.
    type Value: Serialize;
    /// The task, in a word.
    const STAGE: &'static str;
    /// What a model needs for it.
    const ABILITY: Ability;
    /// Audio files keep their length, however long they are.
    const WHOLE: bool = false;

    /// Refuses what the model cannot do, before anything is decoded.
    ///
    /// # Errors
    /// Says what it can do.
    fn check(&self, model: &FusionModel) -> Result<()>;

    /// Everything of the task that changes a value.
    fn settings(&self) -> String;

    /// What is said of a batch. `go_on` is asked now and then.
    ///
    /// # Errors
    /// The model's, or [`Error::Interrupted`].
    fn run(
        &mut self,
        model: &FusionModel,
        batch: Batch<'_>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Self::Value>>>;
}

/// A file and what is said of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row<V> {
    /// The item's id.
    pub id: String,
    /// What is said.
    #[serde(flatten)]
    pub value: V,
    /// `image`, `audio` or `video`: a record's image and audio share its id.
    pub modality: &'static str,
}

impl<V> Row<V> {
    fn new(item: &Item, value: V) -> Self {
        let video = item.video && item.modality == Modality::Image;
        let modality = if video { Modality::Video } else { item.modality };
        Self { id: item.id.clone(), value, modality: modality.name() }
    }
}

/// What came of a job in memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Understood<V> {
    /// Of the items that have one, in the order of the inputs.
    #[serde(rename = "files")]
    pub rows: Vec<Row<V>>,
    /// The others.
    pub skipped: Vec<Skip>,
    /// What nobody asked for.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

impl<V> Sink<V> for Understood<V> {
    fn keep(&mut self, round: Round<'_, V>) -> Result<()> {
        let values = round.items.iter().zip(round.outcomes);
        self.rows.extend(values.filter_map(|(item, value)| Some(Row::new(item, value.ok()?))));
        Ok(())
    }
}

/// Does a task for a listing, in memory. [`understand_to`] writes lines, and goes on where it was stopped.
///
/// # Errors
/// A model without the ability, more unusable inputs than allowed, none usable at all, the model's, or [`Error::Interrupted`].
pub fn understand<T: Task>(
    model: &Understander,
    listing: Listing,
    task: &mut T,
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Understood<T::Value>> {
    let left_out = listing.left_out.clone();
    let mut made = Understood { rows: Vec::new(), skipped: Vec::new(), left_out };
    made.skipped = run(model, &listing, task, options, &mut made, progress)?;
    Ok(made)
}

/// Does a task for a listing, into a sink.
fn run<T: Task>(
    model: &Understander,
    listing: &Listing,
    task: &mut T,
    options: &EmbedOptions,
    sink: &mut dyn Sink<T::Value>,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Vec<Skip>> {
    model.require(T::ABILITY)?;
    task.check(&model.model)?;
    let contract = model.contract(listing, T::WHOLE)?;
    // A round is a batch: what models write costs more than a line on the disk.
    let pipeline = Pipeline { stage: T::STAGE, contract, options, round: options.batch.max(1), weigh: |_| 1 };
    let mut engine = |batch: Batch, go_on: &mut dyn FnMut() -> Flow| -> Result<Vec<Outcome<T::Value>>> {
        if matches!(batch.inputs.first(), Some(Prepared::Text(_))) && !model.model.towers().compares_texts() {
            return Ok(batch
                .items
                .iter()
                .map(|_| Err("it is neither an image nor an audio file".into()))
                .collect());
        }
        task.run(&model.model, batch, go_on)
    };
    pipeline.run(listing, &mut engine, sink, progress)
}

/// The tokens that a model attends to: one sequence, of videos one for each frame.
fn tokens(model: &FusionModel, inputs: Vec<Prepared>) -> Result<Vec<Sequence>> {
    let (mut images, mut mels, mut videos) = (Vec::new(), Vec::new(), Vec::new());
    for input in inputs {
        match input {
            Prepared::Image(image) => images.push(image),
            Prepared::Audio(mel, _) => mels.push(mel),
            Prepared::Video(clip) => videos.push(clip.frames),
            Prepared::Text(_) => {}
        }
    }
    Ok(match (images.is_empty(), mels.is_empty()) {
        (false, _) => vec![model.encode_images(&images)?],
        (_, false) => vec![model.encode_audio(&mels)?],
        _ => model.encode_videos(&videos)?,
    })
}
