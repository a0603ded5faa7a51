//! `unisono match`: do a text and a picture, sound or video belong together?

use super::{FileArgs, FrameArgs, LineArgs, Stage};
use crate::error::Error;
use crate::style;
use serde_json::{Value, json};
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::Error as JobError;

/// Say how probable it is that a text and each picture, sound or video belong together
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-itm-base-coco
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Pictures, sounds, videos, and folders with all that lies below them
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
    let ready = args.how.ready(&args.model, &args.files, Ability::Match)?;
    for text in &args.text {
        ready.model.fits("a text", text).map_err(|e| Error::Jobs(JobError::from(e)))?;
    }
    let settings = format!("match {:?}", args.text);
    let stage = Stage { name: "match", frames: args.frames.get(&ready)?, quiet: false, audio_track: None };
    let found = args.how.run(stage, ready, args.lines.lines(&settings)?, |model, run| {
        run(&mut |items, media, _| {
            let tokens = media.tokens(model)?;
            let mut rows = vec![Vec::with_capacity(args.text.len()); items.len()];
            for text in &args.text {
                let p = model.matches(&vec![text; items.len()], &tokens)?;
                rows.iter_mut()
                    .zip(p)
                    .for_each(|(row, p)| row.push(json!({ "text": text, "probability": p })));
            }
            Ok(rows.into_iter().map(|row| Ok(json!({ "matches": row }))).collect())
        })
    })?;
    let width = args.text.iter().map(|t| t.chars().count()).max().unwrap_or(0).min(60);
    args.lines.print(&found, |id, value| {
        let matches = value["matches"].as_array().map(Vec::as_slice).unwrap_or_default();
        let percent = |m: &Value| 100.0 * m["probability"].as_f64().unwrap_or_default();
        if let [one] = matches {
            return format!("{:5.1} %  {id}\n", percent(one));
        }
        let mut text = format!("{id}\n");
        for m in matches {
            let words = style::shorten(m["text"].as_str().unwrap_or_default(), width);
            text += &format!("  {words:width$}  {:5.1} %\n", percent(m));
        }
        text
    })
}
