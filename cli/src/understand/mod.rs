//! What `caption`, `match`, `ask` and `transcribe` share: files, generation options, resumable lines, printing.

pub(crate) mod ask;
pub(crate) mod caption;
mod generation;
pub(crate) mod matching;
pub(crate) mod transcribe;

use crate::error::Error;
use crate::inputs::{WorkArgs, name_others, name_skipped, refuse_input, watch};
use crate::progress::Meter;
use crate::{interrupt, out, place, style};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use unisono_files::Lock;
use unisono_fusion::{Ability, FusionModel};
use unisono_jobs::understand::{How, Lines, Understood, Work, sees, understand};
use unisono_jobs::{Inputs, Listing, Modality, identity_with_fusion};

/// Files and how they are worked on. `WHOLE`: as for [`WorkArgs`].
#[derive(clap::Args, Debug)]
pub(crate) struct FileArgs<const WHOLE: bool = false> {
    /// A manifest (JSON Lines), or MSR-VTT's own JSON and CSV files: its records' files
    #[arg(long, visible_alias = "data", value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Only the manifest's records of this split
    #[arg(long, value_name = "NAME", requires = "manifest")]
    split: Option<String>,
    /// The ffmpeg program that decodes videos, and sounds that nothing else reads [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    #[command(flatten)]
    how: WorkArgs<WHOLE>,
}

/// Frames that are looked at.
#[derive(clap::Args, Debug)]
pub(crate) struct FrameArgs {
    /// Frames of a video that the model looks at, at most, spread evenly over it [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    frames: Option<u16>,
}

impl FrameArgs {
    /// How many, after seeing that the option has something to say.
    fn get(&self, ready: &Ready) -> Result<u16, Error> {
        const FRAMES: u16 = 8;
        let Some(frames) = self.frames else { return Ok(FRAMES) };
        if !sees(&ready.model).contains(&Modality::Image) {
            return Err(Error::Usage(
                "--frames: this model hears and does not see: it looks at no frame".into(),
            ));
        }
        if !ready.listing.items.iter().any(|item| item.video) {
            out::note("note: --frames changes nothing, no video is among the inputs");
        }
        Ok(frames)
    }
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

/// What a command does with its files.
struct Stage {
    /// In a word.
    name: &'static str,
    /// Frames of a video that are looked at, at most.
    frames: u16,
    /// Shows no progress: the result appears as it comes.
    quiet: bool,
    /// The sound track that is heard, counted from 1; absent: the container's own choice.
    audio_track: Option<u16>,
}

/// A model that is loaded, and its files that are listed.
struct Ready {
    dir: PathBuf,
    model: FusionModel,
    listing: Listing,
}

impl Ready {
    /// The longest text that the model writes, in tokens.
    fn room(&self) -> Option<usize> {
        self.model.writer().and_then(|w| usize::try_from(w.config().context_length).ok())
    }
}

impl<const WHOLE: bool> FileArgs<WHOLE> {
    /// Loads the model and lists the files; what can be refused is refused before anything is decoded.
    fn ready(&self, model: &Path, files: &[PathBuf], ability: Ability) -> Result<Ready, Error> {
        interrupt::install();
        let device = self.how.device.get()?;
        let dir = place::model(model)?;
        let model = self.how.understands(&dir, device)?;
        model.require(ability).map_err(|e| Error::Failed(format!("{}: {e}", dir.display())))?;
        let modalities = sees(&model);
        let inputs = Inputs {
            manifest: self.manifest.clone(),
            split: self.split.clone(),
            videos: true,
            paths: files.to_vec(),
            ..Inputs::default()
        };
        let listing = inputs.list(&modalities)?;
        name_others(listing.others().as_deref());
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
        let Stage { name: stage, frames, quiet, audio_track } = stage;
        let options = self.how.options();
        let mut meter = Meter::new();
        let settings = match lines {
            Some((_, _, settings)) => {
                let (identity, precision) = (identity_with_fusion(&dir)?, self.how.precision_name());
                let limits = self.how.limits.get().fingerprint();
                format!("{identity} {precision} {frames} frames {settings}{limits}")
            }
            None => String::new(),
        };
        let lines = lines.map(|(out, fresh, _)| Lines { out, settings: &settings, fresh });
        if let Some(lines) = lines {
            interrupt::keeps(interrupt::Kept::Lines(unisono_jobs::resume::partial(lines.out)));
        }
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
                    whole: WHOLE,
                    frames: frames.into(),
                    ffmpeg: self.ffmpeg.as_deref(),
                    limits: self.how.limits.get(),
                    audio_track,
                    lines,
                },
                work,
                &mut resumed,
                &mut |p| if quiet { interrupt::flow() } else { watch(&mut meter)(p) },
            )
            .map_err(Error::from)
        })?;
        meter.finish();
        Ok(found)
    }
}

impl LineArgs {
    /// Takes the output, where there is one, before a model is loaded.
    fn claim(&self, files: &[PathBuf], how: &FileArgs) -> Result<Option<Lock>, Error> {
        let Some(out) = &self.out else { return Ok(None) };
        refuse_input(out, files.iter().chain(&how.manifest))?;
        Ok(Some(unisono_jobs::output::claim(out)?))
    }

    fn lines<'a>(&'a self, settings: &'a str) -> Result<Option<(&'a Path, bool, &'a str)>, Error> {
        Ok(self.out.as_deref().map(|out| (out, self.fresh, settings)))
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
                Some(out) => out::json(&json!({
                    "out": out, "count": files.len(), "skipped": found.skipped,
                    "left_out": found.left_out, "left_out_kinds": found.left_out_kinds,
                })),
                None => out::json(&json!({
                    "files": files, "skipped": found.skipped,
                    "left_out": found.left_out, "left_out_kinds": found.left_out_kinds,
                })),
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
