//! `unisono ask`: an answer to a question about each image, audio or video.

use super::generation::{GenerationArgs, TextLength};
use super::{FileArgs, FrameArgs, LineArgs};
use crate::error::Error;
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::understand::Ask;

/// Answer a question about each image, audio or video
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-vqa-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Images, audio files, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "data")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs,
    #[command(flatten)]
    frames: FrameArgs,
    /// The question
    #[arg(long, value_name = "TEXT")]
    question: String,
    /// An answer that may be right; given several times, they are ranked and none is made up
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["GenerationArgs", "TextLength"])]
    answer: Vec<String>,
    #[command(flatten)]
    lines: LineArgs,
    #[command(flatten)]
    generation: GenerationArgs,
    #[command(flatten)]
    length: TextLength,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let _held = args.lines.claim(&args.files, &args.how)?;
    let mut ready = args.how.ready(&args.model, &args.files, Ability::Ask)?;
    let mut task = Ask::new(ready.model.model(), &args.question);
    task.generation = args.length.over(args.generation.over(&task.generation, false)?, ready.room())?;
    task.answers.clone_from(&args.answer);
    args.frames.set(&mut ready)?;
    args.lines.run(ready, &mut task, |id, value| {
        let mut text = format!("{id}: {}\n", value.answer.as_deref().unwrap_or_default());
        for candidate in &value.answers {
            text += &format!("  {:5.1} %  {}\n", 100.0 * candidate.probability, candidate.answer);
        }
        text
    })
}
