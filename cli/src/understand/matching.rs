//! `unisono match`: do a text and an image, audio file or video belong together?

use super::{FileArgs, FrameArgs, LineArgs};
use crate::error::Error;
use crate::style;
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Match, Matched};

/// Say how probable it is that a text and each image, audio or video belong together
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-itm-base-coco
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Images, audio files, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "manifest")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs,
    #[command(flatten)]
    frames: FrameArgs,
    /// A text; may be given several times
    #[arg(long, value_name = "TEXT", required = true)]
    text: Vec<String>,
    #[command(flatten)]
    lines: LineArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let _held = args.lines.claim(&args.files, &args.how)?;
    let mut ready = args.how.ready(&args.model, &args.files, Ability::Match)?;
    args.frames.set(&mut ready)?;
    let mut task = Match { texts: args.text.clone() };
    let width = args.text.iter().map(|t| t.chars().count()).max().unwrap_or(0).min(60);
    args.lines.run(ready, &mut task, |id, value| {
        let percent = |m: &Matched| 100.0 * m.probability;
        if let [one] = &value.matches[..] {
            return format!("{:5.1} %  {id}\n", percent(one));
        }
        let mut text = format!("{id}\n");
        for m in &value.matches {
            let words = style::shorten(&m.text, width);
            text += &format!("  {words:width$}  {:5.1} %\n", percent(m));
        }
        text
    })
}
