//! `unisono match`: do a text and an image, audio file, video or other text belong together?

use super::{FileArgs, FrameArgs, LineArgs};
use crate::error::Error;
use crate::style;
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Fit, Match, Matched};

/// Say how probable it is that a text and each image, audio, video or other text belong together
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-itm-base-coco; for texts
    /// a re-ranker such as cross-encoder/ms-marco-MiniLM-L6-v2
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Images, audio files, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present_any = ["data", "with"])]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs,
    #[command(flatten)]
    frames: FrameArgs,
    /// A text; may be given several times
    #[arg(long, value_name = "TEXT", required = true)]
    text: Vec<String>,
    /// A text that they are compared with, by a model that compares texts; may be given several times. Without it a source's texts are
    #[arg(long, value_name = "TEXT")]
    with: Vec<String>,
    #[command(flatten)]
    lines: LineArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let _held = args.lines.claim(&args.files, &args.how)?;
    let mut ready = args.how.ready_with(&args.model, &args.files, &args.with, Ability::Match)?;
    args.frames.set(&mut ready)?;
    let mut task = Match { texts: args.text.clone() };
    let width = args.text.iter().map(|t| t.chars().count()).max().unwrap_or(0).min(60);
    args.lines.run(ready, &mut task, |id, value| {
        let shown = |m: &Matched| match m.fit {
            Fit::Probability(p) => format!("{:5.1} %", 100.0 * p),
            Fit::Score(score) => format!("{score:7.3}"),
        };
        if let [one] = &value.matches[..] {
            return format!("{}  {id}\n", shown(one));
        }
        let mut text = format!("{id}\n");
        for m in &value.matches {
            let words = style::shorten(&m.text, width);
            text += &format!("  {words:width$}  {}\n", shown(m));
        }
        text
    })
}
