//! `unisono transcribe`: what is said in sounds and videos, as text, subtitles or JSON.

use super::generation::{GenerationArgs, lengths};
use super::{FileArgs, Stage};
use crate::error::Error;
use crate::inputs::name_skipped;
use crate::{interrupt, out, style};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use unisono_fusion::speech::{Task, Transcription};
use unisono_fusion::{Ability, FusionModel};
use unisono_jobs::transcripts::{self, Transcripts};
use unisono_jobs::understand::{Media, Understood};
use unisono_jobs::{Error as JobError, Listing, identity_with_fusion};

/// Write down what is said in sounds and videos
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as openai/whisper-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Sounds, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "manifest")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs<true>,
    /// Form of what is written: text, srt or vtt (subtitles), or json (segments with their times, and the language) [default: text, or
    /// json with --json]
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<Format>,
    /// A folder for one file a sound, named after it, in folders as the sounds are; what lies there is not done again
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write again what this command wrote in DIR and nobody changed since
    #[arg(long, requires = "out")]
    fresh: bool,
    /// The language that is spoken, by its code (de) [default: found out]
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// The sound track that is heard, counted from 1 [default: the one that the file calls its default]
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
enum Format {
    /// Plain text
    Text,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// Segments with their times, and the language
    Json,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
        }
    }

    fn render(self, value: &Value) -> Result<String, Error> {
        let segments = value["segments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let words = |s: &Value| s["text"].as_str().unwrap_or_default().trim().to_owned();
        let seconds = |s: &Value, key: &str| s[key].as_f64().unwrap_or_default();
        Ok(match self {
            Self::Text => segments.iter().map(|s| words(s) + "\n").collect(),
            Self::Srt => segments
                .iter()
                .enumerate()
                .map(|(i, s)| {
                    let (a, b) = (clock(seconds(s, "start"), ','), clock(seconds(s, "end"), ','));
                    format!("{}\n{a} --> {b}\n{}\n\n", i + 1, words(s).replace("-->", "->"))
                })
                .collect(),
            Self::Vtt => {
                let cue = |s: &Value| {
                    let (a, b) = (clock(seconds(s, "start"), '.'), clock(seconds(s, "end"), '.'));
                    let words = words(s).replace('&', "&amp;").replace('<', "&lt;").replace("-->", "->");
                    format!("\n{a} --> {b}\n{words}\n")
                };
                format!("WEBVTT\n{}", segments.iter().map(cue).collect::<String>())
            }
            Self::Json => {
                let text = serde_json::to_string_pretty(value);
                text.map_err(|e| Error::Failed(format!("JSON: {e}")))? + "\n"
            }
        })
    }
}

/// `01:02:03,456`, to the nearest millisecond.
fn clock(seconds: f64, point: char) -> String {
    let ms = (seconds.max(0.0) * 1000.0).round() as u64;
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}{point}{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let format = args.format()?;
    lengths(args.length.min_length, args.length.max_length)?;
    args.how.how.limits.only_heard()?;
    // Before a model is loaded.
    let held = args.out.as_deref().map(transcripts::claim).transpose()?;
    let mut ready = args.how.ready(&args.model, &args.files, Ability::Transcribe)?;
    let failed = |e: unisono_fusion::Error| Error::Jobs(JobError::from(e));
    let options = args.options(&ready.model)?;
    ready.model.check_speech(&options).map_err(failed)?;
    let mut before_now = 0;
    let mut folder = match (&args.out, held) {
        (Some(dir), Some(held)) => {
            let (identity, precision) = (identity_with_fusion(&ready.dir)?, args.how.how.precision_name());
            let limits = args.how.how.limits.get().fingerprint();
            let settings = format!(
                "{identity} {precision} {} {options:?} {:?}{limits}",
                format.ending(),
                args.audio_track
            );
            let mut folder = Transcripts::open(dir, held, &settings)?;
            let done = folder.plan(&mut ready.listing, &args.files, format.ending(), args.fresh)?;
            if done > 0 {
                out::note(&format!("{} done already, in {}", style::count(done, "sound"), dir.display()));
                interrupt::keeps(interrupt::Kept::Work);
            }
            if ready.listing.items.is_empty() && ready.listing.skipped.is_empty() {
                return if args.json {
                    out::json(&summary(dir, done, &nothing_left(&ready.listing)))
                } else {
                    Ok(())
                };
            }
            before_now = done;
            Some(folder)
        }
        _ => None,
    };
    let mut unwritten = None;
    // Of a video the sound is heard: no frame is looked at.
    let stage = Stage { name: "transcribe", frames: 1, quiet: false, audio_track: args.audio_track };
    let found = args.how.run(stage, ready, None, |model, run| {
        run(&mut |items, media, _| {
            let Media::Spectrograms(mels, heard) = media else { return Ok(Vec::new()) };
            let all = model.transcribe(&mels, &options, &mut |_, _| interrupt::flow().into())?;
            let mut values = Vec::with_capacity(all.len());
            for ((item, mut transcript), heard) in items.iter().zip(all).zip(heard) {
                transcript.end_at(heard.whole_millis());
                let mut segments = Vec::with_capacity(transcript.segments.len());
                for s in &transcript.segments {
                    let text = model.segment_text(s)?;
                    if !text.trim().is_empty() {
                        // On the clock of the file, as its pictures are.
                        let (start, end) = (round(heard.start + s.start), round(heard.start + s.end));
                        segments.push(json!({ "start": start, "end": end, "text": text.trim() }));
                    }
                }
                if segments.is_empty() {
                    values.push(Err("no speech was found in it".to_owned()));
                    continue;
                }
                let text: Vec<&str> = segments.iter().filter_map(|s| s["text"].as_str()).collect();
                let value =
                    json!({ "language": transcript.language, "text": text.join(" "), "segments": segments });
                if let Some(folder) = &mut folder {
                    let written = format.render(&value).and_then(|text| Ok(folder.write(item, &text)?));
                    if let Err(e) = written {
                        unwritten = Some(e);
                        return Err(JobError::Input("a transcript could not be written".into()));
                    }
                    interrupt::keeps(interrupt::Kept::Work);
                }
                values.push(Ok(value));
            }
            Ok(values)
        })
    });
    if let Some(e) = unwritten {
        return Err(e);
    }
    let kept = folder.as_ref().is_some_and(|folder| folder.written() > 0);
    let found = found.map_err(|e| match e {
        Error::Interrupted(_) if kept => {
            Error::Interrupted("what is written stays; the same command goes on there")
        }
        e => e,
    })?;
    if let Some(dir) = &args.out {
        if args.json {
            return out::json(&summary(dir, before_now, &found));
        }
        name_skipped(&found.skipped);
        let line = format!("{}: {}", dir.display(), style::count(found.done.len(), "transcript"));
        return out::print(&(line + "\n"));
    }
    if format == Format::Json {
        let files: Vec<Value> = found
            .done
            .iter()
            .map(|(id, v)| json!({ "id": id, "language": v["language"], "text": v["text"], "segments": v["segments"] }))
            .collect();
        return out::json(&json!({
            "files": files, "skipped": found.skipped,
            "left_out": found.left_out, "left_out_kinds": found.left_out_kinds,
        }));
    }
    name_skipped(&found.skipped);
    let many = found.done.len() > 1;
    let mut text = String::new();
    for (id, value) in &found.done {
        if many {
            text += &format!("# {id}\n");
        }
        text += &format.render(value)?;
    }
    out::print(&text)
}

/// What was written into `dir` now and before, and what could not be.
fn summary(dir: &Path, before: usize, found: &Understood) -> Value {
    json!({
        "out": dir, "count": found.done.len(), "done_before": before, "skipped": found.skipped,
        "left_out": found.left_out, "left_out_kinds": found.left_out_kinds,
    })
}

/// Of a listing whose files are all done.
fn nothing_left(listing: &Listing) -> Understood {
    Understood {
        left_out: listing.left_out,
        left_out_kinds: listing.left_out_kinds.clone(),
        ..Understood::default()
    }
}

impl Args {
    /// The form that is asked for.
    fn format(&self) -> Result<Format, Error> {
        match (self.format, self.json) {
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
        if !self.prompt.is_empty() {
            options.prompt = model.speech_prompt(&self.prompt).map_err(|e| Error::Jobs(e.into()))?;
        }
        Ok(options)
    }
}

/// To the millisecond: times are steps of 20 ms, their sums are not.
fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtitles() {
        let value = json!({ "language": "en", "text": "a b", "segments": [
            { "start": 0.0, "end": 1.5, "text": " one <two> --> three" },
            { "start": 3661.0406, "end": 3662.9999, "text": "four" },
        ]});
        let srt = Format::Srt.render(&value).unwrap();
        assert_eq!(
            srt,
            "1\n00:00:00,000 --> 00:00:01,500\none <two> -> three\n\n2\n01:01:01,041 --> 01:01:03,000\nfour\n\n"
        );
        let vtt = Format::Vtt.render(&value).unwrap();
        assert!(
            vtt.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\none &lt;two> -> three\n\n01:01:01.041")
        );
        assert_eq!(Format::Text.render(&value).unwrap(), "one <two> --> three\nfour\n");
    }
}
