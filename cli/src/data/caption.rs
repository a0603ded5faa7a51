//! `unisono data caption`: synthetic captions beside the data.

use crate::error::Error;
use crate::inputs::{WorkArgs, name_skipped, refuse_input, show_progress};
use crate::progress::Meter;
use crate::source::{self, PathArgs};
use crate::understand::generation::{GenerationArgs, TextLength};
use crate::{interrupt, out, place, style};
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Caption, Recaption, one_each, understand_to};
use unisono_jobs::{Job, ledger, output, partial};

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
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// Begin anew, though an earlier run left work beside OUT
    #[arg(long)]
    fresh: bool,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    how: WorkArgs,
    #[command(flatten)]
    generation: GenerationArgs,
    #[command(flatten)]
    length: TextLength,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    refuse_input(&args.out, args.source.read())?;
    let _held = output::claim(&args.out)?;
    interrupt::keeps(interrupt::Kept::Lines(ledger(&args.out)));
    let options = args.how.options();
    let mut model = args.how.understander(&place::model(&args.model)?, args.how.device.get()?)?;
    model.set_ffmpeg(args.ffmpeg.clone());
    model.require(Ability::Caption)?;
    let mut caption = Caption::new(model.model());
    let room = model.model().writer().and_then(|w| usize::try_from(w.config().context_length).ok());
    caption.generation = args.length.over(args.generation.over(&caption.generation, false)?, room)?;
    caption.prompt.clone_from(&args.prompt);
    let source = source::open(&args.source.get()?)?;
    let listing = one_each(&*source, &model)?;
    let mut task = Recaption { caption, replace: args.replace };
    let mut resumed =
        |done| out::note(&format!("resumed: {done} are done, in {}", partial(&args.out).display()));
    let job = Job { out: &args.out, fresh: args.fresh };
    let mut meter = Meter::new();
    let made = understand_to(
        &model,
        listing,
        &mut task,
        &options,
        &job,
        &mut resumed,
        &mut show_progress(&mut meter),
    )?;
    meter.finish();
    if args.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    out::print(&format!("{}: {}\n", made.out.display(), style::count(made.count, "caption")))
}
