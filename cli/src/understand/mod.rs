//! What `caption`, `match`, `ask` and `transcribe` share: files, generation options, resumable lines, printing.

pub(crate) mod ask;
pub(crate) mod caption;
pub(crate) mod generation;
pub(crate) mod matching;
pub(crate) mod transcribe;

use crate::error::Error;
use crate::inputs::{WorkArgs, name_left_out, name_skipped, refuse_input, show_progress};
use crate::progress::Meter;
use crate::source::SourceArgs;
use crate::{interrupt, out, place, style};
use std::path::{Path, PathBuf};
use unisono_files::Lock;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Task, Understander, understand, understand_to};
use unisono_jobs::{EmbedOptions, Inputs, Item, Job, Listing, Modality, ledger, output, partial};

/// Files and how they are worked on. `WHOLE`: as for [`WorkArgs`].
#[derive(clap::Args, Debug)]
pub(crate) struct FileArgs<const WHOLE: bool = false> {
    #[command(flatten)]
    source: SourceArgs,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
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
    /// Tells the model how many, after seeing that the option has something to say.
    fn set(&self, ready: &mut Ready) -> Result<(), Error> {
        let Some(frames) = self.frames else { return Ok(()) };
        if !ready.model.sees().contains(&Modality::Image) {
            return Err(Error::Usage(
                "--frames: this model hears and does not see: it looks at no frame".into(),
            ));
        }
        if !ready.listing.items.iter().any(|item| item.video) {
            out::note("note: --frames changes nothing, no video is among the inputs");
        }
        ready.model.set_frames(frames.into());
        Ok(())
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

/// A model that is loaded, and its files that are listed.
pub(crate) struct Ready {
    pub(crate) model: Understander,
    pub(crate) listing: Listing,
    pub(crate) options: EmbedOptions,
}

impl Ready {
    /// The longest text that the model writes, in tokens.
    pub(crate) fn room(&self) -> Option<usize> {
        self.model.model().writer().and_then(|w| usize::try_from(w.config().context_length).ok())
    }

    /// Does a task for all files into a file of lines, going on where an earlier run stopped, and says how many of `what` were written.
    pub(crate) fn write<T: Task>(self, task: &mut T, job: &Job, json: bool, what: &str) -> Result<(), Error> {
        interrupt::keeps(interrupt::Kept::Lines(ledger(job.out)));
        let mut resumed =
            |done| out::note(&format!("resumed: {done} are done, in {}", partial(job.out).display()));
        let mut meter = Meter::new();
        let Self { model, listing, options } = self;
        let mut progress = show_progress(&mut meter);
        let made = understand_to(&model, listing, task, &options, job, &mut resumed, &mut progress)?;
        drop(progress);
        meter.finish();
        if json {
            return out::json(&made);
        }
        name_skipped(&made.skipped);
        let mut line = format!("{}: {}", job.out.display(), style::count(made.count, what));
        if !made.skipped.is_empty() {
            line += &format!(", {} skipped", made.skipped.len());
        }
        out::print(&(line + "\n"))
    }
}

impl<const WHOLE: bool> FileArgs<WHOLE> {
    /// Loads the model and lists the files; what can be refused is refused before anything is decoded.
    fn ready(&self, model: &Path, files: &[PathBuf], ability: Ability) -> Result<Ready, Error> {
        self.ready_with(model, files, &[], ability)
    }

    /// [`ready`](Self::ready) for files and texts, each of which is its own id.
    fn ready_with(
        &self,
        model: &Path,
        files: &[PathBuf],
        texts: &[String],
        ability: Ability,
    ) -> Result<Ready, Error> {
        interrupt::install();
        let device = self.how.device.get()?;
        let mut model = self.how.understander(&place::model(model)?, device)?;
        model.set_ffmpeg(self.ffmpeg.clone());
        model.require(ability)?;
        let sees = model.sees();
        if !texts.is_empty() && !sees.contains(&Modality::Text) {
            let seen = sees.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
            let message = format!("--with: this model compares texts with {seen}, not with other texts");
            return Err(Error::Usage(message));
        }
        let source = self.source.get()?;
        let inputs = Inputs {
            source: source.clone(),
            split: self.source.split.clone(),
            videos: true,
            paths: files.to_vec(),
            ..Inputs::default()
        };
        let mut listing = match (files, &source) {
            ([], None) => Listing::default(),
            _ => inputs.list(&sees)?,
        };
        listing.items.extend(texts.iter().map(|text| Item::text(text, text)));
        name_left_out(&listing.left_out);
        Ok(Ready { model, listing, options: self.how.options() })
    }
}

impl LineArgs {
    /// Takes the output, where there is one, before a model is loaded.
    fn claim(&self, files: &[PathBuf], how: &FileArgs) -> Result<Option<Lock>, Error> {
        let Some(out) = &self.out else { return Ok(None) };
        refuse_input(out, files.iter().chain(how.source.read()))?;
        Ok(Some(output::claim(out)?))
    }

    /// Does a task for all files, and writes or prints what was said: `text` makes lines of an id and its value.
    fn run<T: Task>(
        &self,
        ready: Ready,
        task: &mut T,
        text: impl Fn(&str, &T::Value) -> String,
    ) -> Result<(), Error> {
        let Some(out) = &self.out else {
            let Ready { model, listing, options } = ready;
            let mut meter = Meter::new();
            let found = understand(&model, listing, task, &options, &mut show_progress(&mut meter))?;
            meter.finish();
            if self.json {
                return out::json(&found);
            }
            name_skipped(&found.skipped);
            return out::print(&found.rows.iter().map(|row| text(&row.id, &row.value)).collect::<String>());
        };
        ready.write(task, &Job { out, fresh: self.fresh }, self.json, "file")
    }
}
