//! What `caption`, `match`, `ask` and `transcribe` share: files, generation options, resumable lines, printing.

pub(crate) mod ask;
pub(crate) mod caption;
pub(crate) mod matching;
pub(crate) mod transcribe;

use crate::error::Error;
use crate::inputs::{WorkArgs, name_skipped, watch};
use crate::progress::Meter;
use crate::{interrupt, out, place, style};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use unisono_fusion::{Ability, FusionModel, Generation};
use unisono_jobs::understand::{How, Lines, Understood, Work, sees, understand};
use unisono_jobs::{Inputs, Listing, identity_with_fusion};

/// The model and the files.
#[derive(clap::Args, Debug)]
pub(crate) struct FileArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-image-captioning-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Pictures, sounds, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "manifest")]
    files: Vec<PathBuf>,
    /// A manifest (JSON Lines): its records' pictures, sounds and videos
    #[arg(long, visible_alias = "data", value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Only the manifest's records of this split
    #[arg(long, value_name = "NAME", requires = "manifest")]
    split: Option<String>,
    /// Frames of a video that the model looks at, at most, spread evenly over it
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    frames: u16,
    /// The ffmpeg program that decodes videos [default: the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE", env = "UNISONO_FFMPEG")]
    ffmpeg: Option<PathBuf>,
    #[command(flatten)]
    how: WorkArgs,
}

/// Where results go when there are many.
#[derive(clap::Args, Debug)]
pub(crate) struct LineArgs {
    /// Write one JSON object a line here instead of printing; a job that was stopped goes on where it was
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begin anew, though an earlier run left work beside OUT
    #[arg(long, requires = "out")]
    fresh: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How texts are generated; what is not given is the model's own.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Generation")]
pub(crate) struct GenerationArgs {
    /// Beams of a beam search; 1 takes the best token each time
    #[arg(long, value_name = "N")]
    beams: Option<usize>,
    /// Most tokens, the prompt's included
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Least tokens, the prompt's included
    #[arg(long, value_name = "N")]
    min_length: Option<usize>,
    /// Beam scores are divided by length to this power: above 0 favours long texts
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    length_penalty: Option<f64>,
    /// Tokens that were used lose by this factor; 1 is none
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f64>,
    /// No run of so many tokens twice; 0 allows all
    #[arg(long, value_name = "N")]
    no_repeat_ngram: Option<usize>,
    /// Draw tokens at this temperature; 0 draws none
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Draw from the so many best tokens only; 0 from all
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw from the best tokens that have this probability together
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl GenerationArgs {
    fn over(&self, base: &Generation) -> Result<Generation, Error> {
        let made = Generation {
            beams: self.beams.unwrap_or(base.beams),
            max_length: self.max_length.unwrap_or(base.max_length),
            min_length: self.min_length.unwrap_or(base.min_length),
            length_penalty: self.length_penalty.unwrap_or(base.length_penalty),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            no_repeat_ngram: self.no_repeat_ngram.unwrap_or(base.no_repeat_ngram),
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            seed: self.seed,
            ..base.clone()
        };
        made.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(made)
    }
}

/// What a command does with its files.
struct Stage {
    /// In a word.
    name: &'static str,
    /// Sounds keep their length.
    whole: bool,
    /// Shows no progress: the result appears as it comes.
    quiet: bool,
}

/// A model that is loaded, and its files that are listed.
struct Ready {
    dir: PathBuf,
    model: FusionModel,
    listing: Listing,
}

impl FileArgs {
    /// Loads the model and lists the files; what can be refused is refused before anything is decoded.
    fn ready(&self, ability: Ability) -> Result<Ready, Error> {
        interrupt::install();
        let device = self.how.device.get()?;
        let dir = place::model(&self.model)?;
        let model = self.how.understands(&dir, device)?;
        model.require(ability).map_err(|e| Error::Failed(format!("{}: {e}", dir.display())))?;
        let modalities = sees(&model);
        let inputs = Inputs {
            manifest: self.manifest.clone(),
            split: self.split.clone(),
            videos: true,
            paths: self.files.clone(),
            ..Inputs::default()
        };
        let listing = inputs.list(&modalities)?;
        Ok(Ready { dir, model, listing })
    }

    /// Runs the work over all files, showing progress unless it is quiet.
    fn run(
        &self,
        stage: Stage,
        ready: Ready,
        lines: Option<(&Path, bool, &str)>,
        work: impl FnOnce(
            &FusionModel,
            &mut dyn FnMut(Work) -> Result<Understood, Error>,
        ) -> Result<Understood, Error>,
    ) -> Result<Understood, Error> {
        let Ready { dir, model, listing } = ready;
        let Stage { name: stage, whole, quiet } = stage;
        let mut options = self.how.options();
        if whole {
            // An hour of sound is a hundred megabytes of spectrogram: few of them at once, whose windows go together.
            options.batch = options.batch.min(4);
        }
        let mut meter = Meter::new();
        let settings = match lines {
            Some((_, _, settings)) => {
                let (identity, precision) = (identity_with_fusion(&dir)?, self.how.precision_name());
                let limits = self.how.limits.get().fingerprint();
                format!("{identity} {precision} {} frames {settings}{limits}", self.frames)
            }
            None => String::new(),
        };
        let lines = lines.map(|(out, fresh, _)| Lines { out, settings: &settings, fresh });
        let mut listing = Some(listing);
        let found = work(&model, &mut |work| {
            let partial = lines.map(|l| unisono_jobs::resume::partial(l.out));
            let mut resumed = |done: usize| {
                if let Some(partial) = &partial {
                    out::note(&format!("resumed: {done} are done, in {}", partial.display()));
                }
            };
            let listing = listing.take().unwrap_or_default();
            understand(
                &model,
                listing,
                How {
                    stage,
                    options: &options,
                    whole,
                    frames: self.frames.into(),
                    ffmpeg: self.ffmpeg.as_deref(),
                    limits: self.how.limits.get(),
                    lines,
                },
                work,
                &mut resumed,
                &mut |p| if quiet { interrupt::flow() } else { watch(&mut meter)(p) },
            )
            .map_err(|e| match (e, &partial) {
                (unisono_jobs::Error::Interrupted, Some(_)) => {
                    Error::Interrupted("what is done is kept; the same command goes on there")
                }
                (e, _) => e.into(),
            })
        })?;
        meter.finish();
        Ok(found)
    }
}

impl LineArgs {
    fn lines<'a>(&'a self, settings: &'a str) -> Result<Option<(&'a Path, bool, &'a str)>, Error> {
        let Some(out) = &self.out else { return Ok(None) };
        unisono_jobs::output::writable(out)?;
        Ok(Some((out.as_path(), self.fresh, settings)))
    }

    /// Prints what was found: `text` makes a line of an id and its value.
    fn print(&self, found: &Understood, text: impl Fn(&str, &Value) -> String) -> Result<(), Error> {
        if self.json {
            let files: Vec<Value> = found
                .done
                .iter()
                .map(|(id, value)| {
                    let mut object = json!({ "id": id });
                    if let (Value::Object(all), Value::Object(more)) = (&mut object, value) {
                        all.extend(more.clone());
                    }
                    object
                })
                .collect();
            return match &self.out {
                Some(out) => {
                    out::json(&json!({ "out": out, "count": files.len(), "skipped": found.skipped }))
                }
                None => out::json(&json!({ "files": files, "skipped": found.skipped })),
            };
        }
        name_skipped(&found.skipped);
        match &self.out {
            Some(out) => {
                let mut line = format!("{}: {}", out.display(), style::count(found.done.len(), "file"));
                if !found.skipped.is_empty() {
                    line += &format!(", {} skipped", found.skipped.len());
                }
                out::print(&(line + "\n"))
            }
            None => out::print(&found.done.iter().map(|(id, v)| text(id, v)).collect::<String>()),
        }
    }
}
