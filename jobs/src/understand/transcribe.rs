//! What is said in audio files and videos.

use super::subtitles::Format;
use super::transcript::{Segment, Transcript};
use super::{Task, Understander, run};
use crate::pipeline::{Batch, Outcome, Round, Sink};
use crate::transcripts::Transcripts;
use crate::{EmbedOptions, Flow, LeftOut, Listing, Progress, Result, Skip};
use serde::Serialize;
use std::path::{Path, PathBuf};
use unisono_files::Lock;
use unisono_fusion::speech::Transcription;
use unisono_fusion::{Ability, FusionModel};
use unisono_processors::{AudioTiming, Prepared};

/// Write down what is said in audio files and videos.
#[derive(Debug, Clone)]
pub struct Transcribe {
    /// Language, task and how texts are written; [`Transcribe::new`] takes the model's own settings.
    pub transcription: Transcription,
}

impl Transcribe {
    /// As the model's own settings say, in whatever language is spoken.
    pub fn new(model: &FusionModel) -> Self {
        Self { transcription: Transcription::new(model.config().generation.clone()) }
    }
}

impl Task for Transcribe {
    type Value = Transcript;
    const STAGE: &'static str = "transcribe";
    const ABILITY: Ability = Ability::Transcribe;
    const WHOLE: bool = true;

    fn check(&self, model: &FusionModel) -> Result<()> {
        Ok(model.check_speech(&self.transcription)?)
    }

    fn settings(&self) -> String {
        format!("{:?}", self.transcription)
    }

    fn run(
        &mut self,
        model: &FusionModel,
        batch: Batch<'_>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Transcript>>> {
        let audios = batch.inputs.into_iter().filter_map(|input| match input {
            Prepared::Audio(mel, heard) => Some((mel, heard)),
            _ => None,
        });
        let (mels, heard): (Vec<_>, Vec<_>) = audios.unzip();
        self.write(model, &mels, &heard, go_on)
    }
}

impl Transcribe {
    /// What is said in spectrograms `[T, M]`, wherever they lie, each beside when its audio is.
    pub(crate) fn write<S: AsRef<[f32]>>(
        &self,
        model: &FusionModel,
        mels: &[S],
        heard: &[AudioTiming],
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Transcript>>> {
        let all = model.transcribe(mels, &self.transcription, &mut |_, _| go_on().into())?;
        let mut made = Vec::with_capacity(all.len());
        for (mut transcript, heard) in all.into_iter().zip(heard) {
            transcript.end_at(heard.whole_millis());
            let mut segments = Vec::with_capacity(transcript.segments.len());
            for s in &transcript.segments {
                let text = model.segment_text(s)?.trim().to_owned();
                if !text.is_empty() {
                    let (start, end) = (millis(heard.start + s.start), millis(heard.start + s.end));
                    segments.push(Segment { start, end, text });
                }
            }
            made.push(match segments.is_empty() {
                true => Err("no speech was found in it".to_owned()),
                false => {
                    let text: Vec<&str> = segments.iter().map(|s| s.text.as_str()).collect();
                    Ok(Transcript { language: transcript.language, text: text.join(" "), segments })
                }
            });
        }
        Ok(made)
    }
}

/// To the millisecond: times are steps of 20 ms, their sums are not.
fn millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// What was written into a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrittenTranscripts {
    /// The folder.
    pub out: PathBuf,
    /// Files written now.
    pub count: usize,
    /// Files that were there before.
    pub done_before: usize,
    /// Audio files without one, each with its reason.
    pub skipped: Vec<Skip>,
    /// What nobody asked for.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

/// A folder for transcripts, and how they are written.
#[derive(Debug)]
pub struct Folder<'a> {
    /// The folder.
    pub dir: &'a Path,
    /// The right to [write it](crate::transcripts::claim).
    pub lock: Lock,
    /// Folders that were walked: below them audio files keep their places.
    pub roots: &'a [PathBuf],
    /// The form of the files.
    pub format: Format,
    /// What this program wrote there, and nobody changed since, is written again.
    pub fresh: bool,
}

/// Writes a file for each audio file of a listing into a folder, as they come; what is there is not done again, and `resumed` is told how many are.
///
/// # Errors
/// As [`understand`](super::understand) and [`Transcripts::plan`].
pub fn transcribe_to(
    model: &Understander,
    mut listing: Listing,
    task: &mut Transcribe,
    options: &EmbedOptions,
    folder: Folder<'_>,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<WrittenTranscripts> {
    let Folder { dir, lock, roots, format, fresh } = folder;
    let ending = format.ending();
    let settings = model.settings().transpose()?.unwrap_or_default();
    let settings = format!("{settings} {ending} {}", task.settings());
    let mut files = Files { folder: Transcripts::open(dir, lock, &settings)?, format };
    let done_before = files.folder.plan(&mut listing, roots, ending, fresh)?;
    if done_before > 0 {
        resumed(done_before);
    }
    let left = !listing.items.is_empty() || !listing.skipped.is_empty();
    let skipped = match left {
        true => run(model, &listing, task, options, &mut files, progress)?,
        false => Vec::new(),
    };
    let count = files.folder.written();
    Ok(WrittenTranscripts { out: dir.to_owned(), count, done_before, skipped, left_out: listing.left_out })
}

/// A file for each row. What was written before is left out of the listing, so that none is done here.
struct Files {
    folder: Transcripts,
    format: Format,
}

impl Sink<Transcript> for Files {
    fn keep(&mut self, round: Round<'_, Transcript>) -> Result<()> {
        for (item, outcome) in round.items.iter().zip(round.outcomes) {
            if let Ok(transcript) = outcome {
                self.folder.write(item, &self.format.render(&transcript)?)?;
            }
        }
        Ok(())
    }
}
