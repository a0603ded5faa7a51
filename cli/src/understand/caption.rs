//! `unisono caption`: a sentence about each picture, sound or video.

use super::generation::{GenerationArgs, TextLength};
use super::{FileArgs, FrameArgs, LineArgs, Stage};
use crate::error::Error;
use crate::{interrupt, out};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::Error as JobError;

/// Write a sentence about each picture, sound or video
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-image-captioning-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Pictures, sounds, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "manifest")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs,
    #[command(flatten)]
    frames: FrameArgs,
    /// How every caption begins, such as "a photo of"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prompt: String,
    #[command(flatten)]
    lines: LineArgs,
    #[command(flatten)]
    generation: GenerationArgs,
    #[command(flatten)]
    length: TextLength,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let _held = args.lines.claim(&args.files, &args.how)?;
    let ready = args.how.ready(&args.model, &args.files, Ability::Caption)?;
    let failed = |e: unisono_fusion::Error| Error::Jobs(JobError::from(e));
    let options =
        args.length.over(args.generation.over(&ready.model.config().generation, false)?, ready.room())?;
    if !args.prompt.is_empty() {
        ready.model.fits("a prompt", &args.prompt).map_err(failed)?;
    }
    let prompt = ready.model.caption_prompt(&args.prompt).map_err(failed)?;
    // One file on a terminal: its caption appears word by word.
    let live = ready.listing.items.len() == 1
        && options.beams == 1
        && !args.lines.json
        && args.lines.out.is_none()
        && std::io::stdout().is_terminal();
    let settings = format!("caption {options:?} {prompt:?}");
    let stage = Stage { name: "caption", frames: args.frames.get(&ready)?, quiet: live, audio_track: None };
    let found = args.how.run(stage, ready, args.lines.lines(&settings)?, |model, run| {
        run(&mut |_, media, first| {
            let memory = model.cross_kv(&media.tokens(model)?)?;
            let mut words = Words::default();
            if live && !args.prompt.is_empty() {
                out::print(&format!("{} ", args.prompt)).map_err(|e| JobError::Input(e.to_string()))?;
            }
            let mut watch = |new: &[(usize, i64)]| {
                new.iter().filter(|_| live).for_each(|(_, id)| words.push(model, *id));
                interrupt::flow().into()
            };
            let texts = model.caption(&memory, &prompt, &options, first, Some(&mut watch))?;
            let one = |t| Ok(Ok(json!({ "caption": model.say(t)?, "score": t.score })));
            texts.iter().map(one).collect()
        })
    })?;
    if live {
        return out::print("\n");
    }
    args.lines.print(&found, |id, value| format!("{id}: {}\n", value["caption"].as_str().unwrap_or_default()))
}

/// Prints a text as its tokens come.
#[derive(Default)]
struct Words {
    ids: Vec<u32>,
    shown: String,
}

impl Words {
    fn push(&mut self, model: &unisono_fusion::FusionModel, id: i64) {
        self.ids.extend(u32::try_from(id).ok());
        let Ok(text) = model.text().and_then(|t| {
            let text = t.tokenizer().decode(&self.ids, true);
            text.map_err(|e| unisono_fusion::Error::Config(e.to_string()))
        }) else {
            return;
        };
        let text = text.replace("</w>", " ");
        // A character whose bytes are not all there yet is shown when they are.
        let whole = text.trim_end_matches('\u{fffd}').trim();
        if let Some(more) = whole.strip_prefix(self.shown.as_str()) {
            let mut out = std::io::stdout().lock();
            // A reader that has gone is found when the line ends.
            drop(out.write_all(more.as_bytes()).and_then(|()| out.flush()));
            self.shown = whole.to_owned();
        }
    }
}
