//! `unisono data caption`: synthetic captions beside the data.

use super::run::RunArgs;
use crate::error::Error;
use crate::inputs::refuse_input;
use crate::source::{self, PathArgs};
use crate::understand::Ready;
use crate::understand::generation::{GenerationArgs, TextLength};
use crate::{interrupt, place};
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Caption, Recaption, one_each};
use unisono_jobs::{Job, output};

/// Write a caption of every record, to stand beside those that it has
///
/// Of a record the image is captioned, or else the video, or the first audio file. OUT is read as --annotations: `add_text` adds the caption to the record's own.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-image-captioning-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Where the captions go: JSON Lines
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// They take the place of a record's own
    #[arg(long)]
    replace: bool,
    /// How every caption begins, such as "a photo of"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prompt: String,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    generation: GenerationArgs,
    #[command(flatten)]
    length: TextLength,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    refuse_input(&args.out, args.source.read())?;
    let _held = output::claim(&args.out)?;
    let how = &args.run.how;
    let options = how.options();
    let mut model = how.understander(&place::model(&args.model)?, how.device.get()?)?;
    model.set_ffmpeg(args.run.ffmpeg.clone());
    model.require(Ability::Caption)?;
    let source = source::open(&args.source.get()?)?;
    let ready = Ready { listing: one_each(&*source, &model)?, model, options };
    let mut caption = Caption::new(ready.model.model());
    caption.generation = args.length.over(args.generation.over(&caption.generation, false)?, ready.room())?;
    caption.prompt.clone_from(&args.prompt);
    let mut task = Recaption { caption, replace: args.replace };
    ready.write(&mut task, &Job { out: &args.out, fresh: args.run.fresh }, args.run.json, "caption")
}
