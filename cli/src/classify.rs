//! `unisono classify`: what images and audio files show, by labels that the model was never trained on.

use crate::error::Error;
use crate::inputs::{WorkArgs, name_left_out, name_skipped, show_progress};
use crate::progress::Meter;
use crate::texts::TextArgs;
use crate::{interrupt, out, place, style};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use unisono_encoders::Role;
use unisono_jobs::classify::{Labels, classify, fitting};
use unisono_jobs::{Inputs, Modality, Skip};

/// Say what images and audio files show, by labels of your own (zero-shot)
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// One label a line
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// One prompt a line, {} for the label; a label's embedding is the mean over its prompts [default: a photo of a {}. | the sound of {}.]
    #[arg(long, value_name = "FILE")]
    templates: Option<PathBuf>,
    /// Labels shown a file
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Images, audio files, and folders with all that lies below them; of a folder's files those are taken that the model has a tower for
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    how: WorkArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let labels = Labels::read(&args.labels, args.templates.as_deref())?;
    let (device, options) = (args.how.device.get()?, args.how.options());
    // Labels ask, files answer.
    let mut embedder = args.how.load(&place::model(&args.model)?, Some(Role::Query), device)?;
    args.texts.set(embedder.model_mut()).map_err(unisono_jobs::Error::from)?;
    let inputs = Inputs { paths: args.files.clone(), ..Inputs::default() };
    let listing = inputs.list(&[Modality::Image, Modality::Audio, Modality::Video])?;
    let passed_over = listing.left_out.clone();
    let (listing, left_out) = fitting(listing, &embedder.model().embeds())?;
    args.texts.note(embedder.model(), "labels");
    let mut meter = Meter::new();
    let top = usize::from(args.top);
    let (found, skipped) =
        classify(&embedder, listing, &labels, top, &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(
            &json!({ "files": found, "skipped": skipped, "left_out": left_out, "left_out_kinds": passed_over.kinds }),
        );
    }
    let width = labels.names().iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for file in &found {
        text += &format!("{}\n", file.id);
        for guess in &file.guesses {
            text += &format!("  {:width$}  {:5.1} %\n", guess.label, 100.0 * guess.probability);
        }
    }
    name_skipped(&skipped);
    name_unfit(&left_out);
    name_left_out(&passed_over);
    out::print(&text)
}

/// Names what the model has no tower for, and videos: reason by reason, since a folder may hold many.
fn name_unfit(left_out: &[Skip]) {
    const SHOWN: usize = 3;
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for skip in left_out {
        by_reason.entry(&skip.reason).or_default().push(&skip.id);
    }
    for (reason, ids) in by_reason {
        let more = ids.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = ids[..ids.len().min(SHOWN)].join(", ");
        out::note(&format!("left out {}: {reason}: {shown}{more}", style::count(ids.len(), "file")));
    }
}
