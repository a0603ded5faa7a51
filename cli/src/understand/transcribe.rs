//! `unisono transcribe`: what is said in audio files and videos, as text, subtitles or JSON.

use super::generation::{GenerationArgs, lengths};
use super::{FileArgs, Ready};
use crate::error::Error;
use crate::inputs::{name_skipped, show_progress};
use crate::progress::Meter;
use crate::window::WindowArg;
use crate::{interrupt, out, style};
use clap::ValueEnum;
use serde_json::json;
use std::path::PathBuf;
use unisono_fusion::speech::{Task, Transcription};
use unisono_fusion::{Ability, FusionModel};
use unisono_jobs::transcripts;
use unisono_jobs::understand::{Folder, Format, Transcribe, transcribe_to, understand};

/// Write down what is said in audio files and videos
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as openai/whisper-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Audio files, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "data")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs<true>,
    /// Form of what is written: text, srt or vtt (subtitles), or json (segments with their times, and the language) [default: text, or
    /// json with --json]
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<FormatArg>,
    /// A folder for one file an audio file, named after it, in folders as the audio files are; what lies there is not done again
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write again what this command wrote in DIR and nobody changed since
    #[arg(long, requires = "out")]
    fresh: bool,
    /// The language that is spoken, by its code (de) [default: found out]
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// The audio track that is heard, counted from 1 [default: the one that the file calls its default]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    audio_track: Option<u16>,
    /// Write English, whatever is spoken
    #[arg(long)]
    translate: bool,
    /// Text that comes before: its names and spelling are followed
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prompt: String,
    /// Show each window of 30 seconds what was written before it: more of one piece, and mistakes go on too
    #[arg(long)]
    condition: bool,
    #[command(flatten)]
    window: WindowArg,
    /// Take each window's first text, however bad it seems: faster, repeats itself on noise. Without this, bad ones are drawn again at
    /// temperatures from --temperature up to 1
    #[arg(long)]
    no_fallback: bool,
    /// Print JSON: the transcripts, or with --out a summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    generation: GenerationArgs,
    #[command(flatten)]
    length: WindowLength,
}

/// How long the texts of windows are.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Generation")]
struct WindowLength {
    /// Most tokens of a window of 30 seconds, not counting what it begins with
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_length: Option<u32>,
    /// Least tokens of a window, not counting what it begins with
    #[arg(long, value_name = "N")]
    min_length: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// Plain text
    Text,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// Segments with their times, and the language
    Json,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Text => Self::Text,
            FormatArg::Srt => Self::Srt,
            FormatArg::Vtt => Self::Vtt,
            FormatArg::Json => Self::Json,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let format = args.format()?;
    lengths(args.length.min_length, args.length.max_length)?;
    args.how.how.limits.only_heard()?;
    // Before a model is loaded.
    let held = args.out.as_deref().map(transcripts::claim).transpose()?;
    let mut ready = args.how.ready(&args.model, &args.files, Ability::Transcribe)?;
    let mut task = Transcribe { transcription: args.options(ready.model.model())? };
    ready.model.set_audio_track(args.audio_track);
    let mut meter = Meter::new();
    let Ready { model, listing, options } = ready;
    if let (Some(dir), Some(lock)) = (&args.out, held) {
        interrupt::keeps(interrupt::Kept::If(transcripts::record(dir)));
        let folder = Folder { dir, lock, roots: &args.files, format, fresh: args.fresh };
        let mut resumed = |done| {
            out::note(&format!("{} done already, in {}", style::count(done, "audio file"), dir.display()));
        };
        let made = {
            let mut progress = show_progress(&mut meter);
            transcribe_to(&model, listing, &mut task, &options, folder, &mut resumed, &mut progress)?
        };
        meter.finish();
        if args.json {
            return out::json(&made);
        }
        name_skipped(&made.skipped);
        // Of a folder where all was done that is said already.
        return match made.count == 0 && made.done_before > 0 && made.skipped.is_empty() {
            true => Ok(()),
            false => out::print(&format!("{}: {}\n", dir.display(), style::count(made.count, "transcript"))),
        };
    }
    let found = understand(&model, listing, &mut task, &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if format == Format::Json {
        let mut document = json!(found);
        for file in document["files"].as_array_mut().into_iter().flatten() {
            // All are heard.
            file.as_object_mut().map(|file| file.shift_remove("modality"));
        }
        return out::json(&document);
    }
    name_skipped(&found.skipped);
    let many = found.rows.len() > 1;
    let mut text = String::new();
    for row in &found.rows {
        if many {
            text += &format!("# {}\n", row.id);
        }
        text += &format.render(&row.value)?;
    }
    out::print(&text)
}

impl Args {
    /// The form that is asked for.
    fn format(&self) -> Result<Format, Error> {
        match (self.format.map(Format::from), self.json) {
            (Some(format), true) if format != Format::Json && self.out.is_none() => Err(Error::Usage(
                "--json prints JSON and --format another form; give one of them, or --out DIR for files of that form".into(),
            )),
            (Some(format), _) => Ok(format),
            (None, true) => Ok(Format::Json),
            (None, false) => Ok(Format::Text),
        }
    }

    /// How the model writes; what it cannot do is wrong usage.
    fn options(&self, model: &FusionModel) -> Result<Transcription, Error> {
        let usage = |message: String| Err(Error::Usage(message));
        let mut options =
            Transcription::new(self.generation.over(&model.config().generation, !self.no_fallback)?);
        if let Some(when) = self.generation.early_stopping {
            options.generation.early_stopping = when.into();
        }
        let first = options.generation.temperature;
        if self.no_fallback {
            options.temperatures = vec![first];
        } else {
            // Warmer and warmer, beginning where the user says.
            options.temperatures.retain(|t| *t > first);
            options.temperatures.insert(0, first);
        }
        (options.least, options.most) = lengths(self.length.min_length, self.length.max_length)?;
        let longest = options.most.unwrap_or(options.generation.max_length);
        if let Some(least) = options.least.filter(|least| *least > longest) {
            return usage(format!("--min-length {least}: a window has at most {longest} tokens here"));
        }
        let Some(speech) = &model.config().speech else { return Ok(options) };
        if let Some(code) = &self.language {
            let known: Vec<&str> = speech.languages.keys().map(String::as_str).collect();
            if known.is_empty() && code != "en" {
                return usage(format!("--language {code}: this model knows English only"));
            }
            if !known.is_empty() && !known.contains(&code.as_str()) {
                return usage(format!("--language {code}: expected one of {}", known.join(", ")));
            }
        }
        if self.translate && speech.translate.is_none() {
            return usage("--translate: this model does not translate".into());
        }
        for (option, given) in [("--prompt", !self.prompt.is_empty()), ("--condition", self.condition)] {
            if given && speech.previous.is_none() {
                return usage(format!("{option}: this model has no token for earlier text"));
            }
        }
        options.language.clone_from(&self.language);
        options.task = if self.translate { Task::Translate } else { Task::Transcribe };
        options.condition = self.condition;
        options.window = self.window.get();
        if !options.window.is_whole() && !model.towers().cuts_windows() {
            return usage(
                "--window auto: this model's windows cannot be cut: its audio tower hears whole ones only"
                    .into(),
            );
        }
        if !self.prompt.is_empty() {
            options.prompt = model.speech_prompt(&self.prompt).map_err(|e| Error::Jobs(e.into()))?;
        }
        Ok(options)
    }
}
