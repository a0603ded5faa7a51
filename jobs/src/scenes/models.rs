//! The models of a job: what they look at and what they say of it. Frames come to the one that embeds them while films are decoded; all else is
//! said of films that are over, on a thread of its own: each model is one thread's at a time.

use super::spool::Spool;
use super::work::Heard;
use crate::classify::{Table, table};
use crate::understand::{AudioTiming, Caption, Task, Transcribe};
use crate::{Batch, Embedder, Error, Flow, Modality, Outcome, Result, Vectors};
use image::RgbImage;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use unisono_encoders::Clip;
use unisono_fusion::config::MemoryConfig;
use unisono_fusion::speech::Transcription;
use unisono_fusion::{Ability, FusionModel, Generation};
use unisono_processors::{ImageProcessor, LogMel, Prepared};
use unisono_scenes::labels::{LabelInput, LabelSet};
use unisono_scenes::record::{Label, Spoken};
use unisono_scenes::settings::LabelSettings;

/// Frames that an embedding model takes at once.
const BATCH: usize = 16;
/// Frames of a scene that a captioning model looks at, at most.
const CAPTION_FRAMES: usize = 4;

/// The models of a job, each where it is wanted.
#[derive(Default)]
pub struct Models {
    embedder: Option<LabelledEmbedder>,
    caption: Option<Captioner>,
    speech: Option<Transcriber>,
    arithmetic: String,
    stop: Option<fn() -> bool>,
}

/// An embedding model with the vectors of labels.
struct LabelledEmbedder {
    embedder: Mutex<Embedder>,
    dim: usize,
    dir: PathBuf,
    identity: String,
    tables: Vec<(LabelSet, Table)>,
    image: Option<ImageProcessor>,
    audio: Option<LogMel>,
}

/// A captioning model, and how it writes.
struct Captioner {
    model: Mutex<FusionModel>,
    generation: Generation,
    identity: String,
    image: Option<ImageProcessor>,
    most_frames: usize,
}

/// A speech model, and how it writes.
struct Transcriber {
    model: Mutex<FusionModel>,
    task: Transcribe,
    identity: String,
    audio: Option<LogMel>,
}

/// A model, for this thread.
fn taken<T>(model: &Mutex<T>) -> MutexGuard<'_, T> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frames of one video on their way through the embedding model.
#[derive(Default)]
pub(super) struct FrameEmbedder {
    waiting: Vec<Prepared>,
    /// `[N, D]` unit vectors of the frames so far.
    data: Vec<f32>,
}

impl Models {
    /// Asked while a text is written, which may take long: whether the job should stop.
    pub fn stop_when(&mut self, wanted: fn() -> bool) {
        self.stop = Some(wanted);
    }

    /// Whether the job should stop.
    pub(super) fn flow(&self) -> Flow {
        if self.stop.is_some_and(|wanted| wanted()) { Flow::Stop } else { Flow::Continue }
    }

    /// Names the arithmetic that the models were prepared for: results of another are not mixed with theirs.
    pub fn arithmetic(&mut self, name: &str) {
        name.clone_into(&mut self.arithmetic);
    }

    /// Frames and audio files get vectors, scenes are grouped by them and labelled, as far as the model has the towers. `identity` is the
    /// [`identity`](crate::identity()) of `dir`. What a set of labels would need and the model lacks leaves the set out.
    ///
    /// # Errors
    /// A model that neither sees nor hears; libtorch's.
    pub fn embed(
        &mut self,
        embedder: Embedder,
        dir: &Path,
        identity: String,
        labels: &LabelSettings,
    ) -> Result<()> {
        let has = embedder.model().modalities();
        if !has.contains(&Modality::Image) && !has.contains(&Modality::Audio) {
            let has: Vec<&str> = has.iter().map(|m| m.name()).collect();
            return Err(Error::Input(format!(
                "{}: expected a model with an image or audio tower, found: {}",
                dir.display(),
                has.join(", ")
            )));
        }
        let mut tables = Vec::new();
        for named in &labels.sets {
            let set = LabelSet::load(named)?;
            let modality = modality(set.input);
            // A checkpoint may come without its tokenizer.
            let reads = has.contains(&Modality::Text) && embedder.model().processors().text.is_some();
            if reads && has.contains(&modality) {
                let table = table(&embedder, &set.labels, &set.prompts, modality)?;
                tables.push((set, table));
            }
        }
        let processors = embedder.model().processors();
        let image = processors.image.clone().filter(|_| has.contains(&Modality::Image));
        let audio = processors.audio.clone().filter(|_| has.contains(&Modality::Audio));
        let (dim, dir) = (embedder.dim(), dir.to_owned());
        let embedder = Mutex::new(embedder);
        self.embedder = Some(LabelledEmbedder { embedder, dim, dir, identity, tables, image, audio });
        Ok(())
    }

    /// Scenes get captions.
    ///
    /// # Errors
    /// A model that writes none, or not of images.
    pub fn caption(&mut self, model: FusionModel, generation: Generation, identity: String) -> Result<()> {
        model.require(Ability::Caption)?;
        let sees = match &model.config().memory {
            MemoryConfig::Tower { modality, .. } => *modality == Modality::Image,
            MemoryConfig::Own { modalities, .. } => modalities.contains(&Modality::Image),
        };
        if !sees {
            return Err(Error::Input(
                "expected a captioning model that looks at images, found one that does not".into(),
            ));
        }
        let (image, most_frames) = (model.towers().processors().image.clone(), model.most_frames());
        let model = Mutex::new(model);
        self.caption = Some(Captioner { model, generation, identity, image, most_frames });
        Ok(())
    }

    /// What is said is written down.
    ///
    /// # Errors
    /// A model that does not, or an option that it does not have.
    pub fn transcribe(&mut self, model: FusionModel, options: Transcription, identity: String) -> Result<()> {
        model.require(Ability::Transcribe)?;
        let task = Transcribe { transcription: options };
        task.check(&model)?;
        let audio = model.towers().processors().audio.clone();
        self.speech = Some(Transcriber { model: Mutex::new(model), task, identity, audio });
        Ok(())
    }

    /// What has to be said of the label sets in use.
    pub fn warnings(&self) -> Vec<(String, String)> {
        let tables = self.embedder.iter().flat_map(|e| &e.tables);
        tables.filter_map(|(set, _)| Some((set.name.clone(), set.warning.clone()?))).collect()
    }

    /// Label sets that the model cannot use, of those asked for.
    pub fn left_out(&self, labels: &LabelSettings) -> Vec<String> {
        let Some(of) = &self.embedder else { return Vec::new() };
        let used =
            |name: &String| of.tables.iter().any(|(set, _)| LabelSet::load(name).is_ok_and(|s| s == *set));
        labels.sets.iter().filter(|name| !used(name)).cloned().collect()
    }

    /// Everything of the models that changes a result.
    pub(super) fn fingerprint(&self) -> String {
        let mut text = self.arithmetic.clone();
        if let Some(of) = &self.embedder {
            text += &format!(" embed {}", of.identity);
            for (set, _) in &of.tables {
                text += &format!(" {} {:?} {:?}", set.name, set.prompts, set.labels);
            }
        }
        if let Some(Captioner { generation, identity, .. }) = &self.caption {
            text += &format!(" caption {identity} {generation:?}");
        }
        if let Some(Transcriber { task, identity, .. }) = &self.speech {
            text += &format!(" speech {identity} {}", task.settings());
        }
        text
    }

    /// The model's folder and identity.
    pub(super) fn embedding(&self) -> Option<(&Path, &str, usize)> {
        self.embedder.as_ref().map(|e| (e.dir.as_path(), e.identity.as_str(), e.dim))
    }

    /// Whether frames are looked at.
    pub(super) fn sees_frames(&self) -> bool {
        self.image_processor().is_some() || self.caption.is_some()
    }

    pub(super) fn image_processor(&self) -> Option<&ImageProcessor> {
        self.embedder.as_ref()?.image.as_ref()
    }

    fn audio_processor(&self) -> Option<&LogMel> {
        self.embedder.as_ref()?.audio.as_ref()
    }

    /// Whether any of them listens to the audio.
    pub fn listen(&self) -> bool {
        self.audio_rate().is_some() || self.speech_processor().is_some()
    }

    pub(super) fn audio_rate(&self) -> Option<u32> {
        self.audio_processor().map(|p| p.config().sample_rate)
    }

    pub(super) fn speech_processor(&self) -> Option<&LogMel> {
        self.speech.as_ref()?.audio.as_ref()
    }

    /// What a captioning model looks at frames with.
    pub(super) fn caption_processor(&self) -> Option<&ImageProcessor> {
        self.caption.as_ref()?.image.as_ref()
    }

    /// Which of so many frames a captioning model looks at.
    pub(super) fn caption_frames(&self, count: usize) -> Vec<usize> {
        let most = self.caption.as_ref().map_or(0, |of| of.most_frames);
        unisono_media::video::spread(count, CAPTION_FRAMES.min(most).max(1))
    }

    /// Labels of an image's or audio's vector `[D]`, by set.
    pub(super) fn labels(&self, input: LabelInput, vector: &[f32], top: usize) -> Vec<(String, Vec<Label>)> {
        let tables = self.embedder.iter().flat_map(|e| &e.tables).filter(|(set, _)| set.input == input);
        tables
            .map(|(set, table)| {
                let guesses = table.guess(&set.labels, vector, top);
                let label = |g: crate::classify::Guess| Label { label: g.label, probability: g.probability };
                (set.name.clone(), guesses.into_iter().map(label).collect())
            })
            .collect()
    }

    /// Unit vectors of stretches of audio, `None` for those too short for the front end.
    pub(super) fn embed_audio(&self, pieces: &[&[f32]]) -> Result<Vec<Option<Vec<f32>>>> {
        let (Some(of), Some(processor)) = (&self.embedder, self.audio_processor()) else {
            return Ok(vec![None; pieces.len()]);
        };
        let mut out = Vec::with_capacity(pieces.len());
        for part in pieces.chunks(BATCH) {
            let rate = f64::from(processor.config().sample_rate);
            let timing = |n: usize| AudioTiming { start: 0.0, seconds: n as f64 / rate };
            let mels: Vec<Option<Prepared>> = part
                .iter()
                .map(|piece| if piece.is_empty() { None } else { processor.process(piece).ok() })
                .zip(part)
                .map(|(mel, piece)| Some(Prepared::Audio(mel?, timing(piece.len()))))
                .collect();
            let vectors = match mels.iter().flatten().next() {
                Some(_) => taken(&of.embedder).vectors(mels.iter().flatten())?,
                None => Vectors { dim: of.dim, data: Vec::new() },
            };
            let mut rows = vectors.rows();
            out.extend(mels.iter().map(|mel| mel.as_ref().and_then(|_| rows.next()).map(<[f32]>::to_vec)));
        }
        Ok(out)
    }

    /// A sentence about frames of one scene, in their order, as the model's processor made them.
    pub(super) fn write_caption(
        &self,
        frames: Vec<RgbImage>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Option<String>> {
        let Some(of) = &self.caption else { return Ok(None) };
        if frames.is_empty() {
            return Ok(None);
        }
        let mut task = Caption { prompt: String::new(), generation: of.generation.clone(), words: None };
        let clip = Prepared::Video(Clip { frames, audio: None });
        let caption = one(&mut task, &of.model, clip, go_on)?.map(|made| made.caption);
        Ok(caption.filter(|text| !text.trim().is_empty()))
    }

    /// What is said in an audio track; times on the clock of its film.
    pub(super) fn write_down(
        &self,
        heard: &Heard,
        folder: &Path,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Spoken>> {
        let Some(of) = &self.speech else { return Ok(Vec::new()) };
        let Some(front) = &of.audio else { return Ok(Vec::new()) };
        // As long as its audio: on the disk as well.
        let mut spool = Spool::new(folder)?;
        let least = front.whole_in_pieces((*heard.samples).as_ref(), &mut |piece| spool.push(piece))?;
        let mel = spool.finish(least)?;
        let made = of.task.write(&taken(&of.model), &[mel], &[heard.timing], go_on)?;
        let segments = made.into_iter().filter_map(Outcome::ok).flat_map(|transcript| transcript.segments);
        Ok(segments.map(|s| Spoken { start: s.start, end: s.end, text: s.text, speaker: None }).collect())
    }

    /// Whether scenes get captions.
    pub(super) fn captions(&self) -> bool {
        self.caption.is_some()
    }
}

/// What a task says of one input; `None` where it has nothing to say.
fn one<T: Task>(
    task: &mut T,
    model: &Mutex<FusionModel>,
    input: Prepared,
    go_on: &mut dyn FnMut() -> Flow,
) -> Result<Option<T::Value>> {
    let batch = Batch { items: Vec::new(), inputs: vec![input], first: 0 };
    let made: Vec<Outcome<T::Value>> = task.run(&taken(model), batch, go_on)?;
    Ok(made.into_iter().next().and_then(Outcome::ok))
}

fn modality(input: LabelInput) -> Modality {
    match input {
        LabelInput::Images => Modality::Image,
        LabelInput::Audio => Modality::Audio,
    }
}

impl FrameEmbedder {
    /// The next frame; batches are the same however videos are interleaved.
    pub(super) fn push(&mut self, models: &Models, image: RgbImage) -> Result<()> {
        self.waiting.push(Prepared::Image(image));
        if self.waiting.len() == BATCH { self.flush(models) } else { Ok(()) }
    }

    fn flush(&mut self, models: &Models) -> Result<()> {
        if let (Some(of), false) = (&models.embedder, self.waiting.is_empty()) {
            self.data.extend(taken(&of.embedder).vectors(&self.waiting)?.data);
        }
        self.waiting.clear();
        Ok(())
    }

    /// Vectors of all frames.
    pub(super) fn finish(mut self, models: &Models) -> Result<Option<Vectors>> {
        self.flush(models)?;
        let dim = models.embedding().map(|(_, _, dim)| dim);
        Ok(dim.filter(|_| !self.data.is_empty()).map(|dim| Vectors { dim, data: self.data }))
    }
}
