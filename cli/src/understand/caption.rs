//! `unisono caption`: a sentence about each image, audio or video.

use super::generation::{GenerationArgs, TextLength};
use super::{FileArgs, FrameArgs, LineArgs, Ready};
use crate::error::Error;
use crate::{interrupt, out};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Caption, Captioned, understand};

/// Write a sentence about each image, audio or video
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-image-captioning-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Images, audio files, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "data")]
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
    let mut ready = args.how.ready(&args.model, &args.files, Ability::Caption)?;
    let mut task = Caption::new(ready.model.model());
    task.generation = args.length.over(args.generation.over(&task.generation, false)?, ready.room())?;
    task.prompt.clone_from(&args.prompt);
    args.frames.set(&mut ready)?;
    // One file on a terminal: its caption appears word by word.
    let live = ready.listing.items.len() == 1
        && task.generation.beams == 1
        && !args.lines.json
        && args.lines.out.is_none()
        && std::io::stdout().is_terminal();
    if !live {
        let line = |id: &str, value: &Captioned| format!("{id}: {}\n", value.caption);
        return args.lines.run(ready, &mut task, line);
    }
    let mut show = |words: &str| {
        let mut out = std::io::stdout().lock();
        // A reader that has gone is found when the line ends.
        drop(out.write_all(words.as_bytes()).and_then(|()| out.flush()));
    };
    task.words = Some(&mut show);
    let Ready { model, listing, options } = ready;
    understand(&model, listing, &mut task, &options, &mut |_| interrupt::flow())?;
    out::print("\n")
}
