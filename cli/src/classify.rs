//! `unisono classify`: what images and audio files show, by labels that the model was never trained on, or by its own.

use crate::error::Error;
use crate::inputs::{WorkArgs, name_left_out, name_skipped, show_progress};
use crate::progress::Meter;
use crate::texts::TextArgs;
use crate::{interrupt, out, place, style};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use unisono_encoders::Role;
use unisono_files::printable;
use unisono_jobs::classify::{Labels, classify, classify_by_own_labels, fitting};
use unisono_jobs::{Inputs, Modality, Skip};

/// Say what images and audio files show, by labels of your own (zero-shot) or by those that the model was trained on
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// One label a line [default: the labels that the model was trained on, where it has a classifier]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// One prompt a line, {} for the label; a label's embedding is the mean over its prompts [default: a photo of a {}. | the sound of {}.]
    #[arg(long, value_name = "FILE", requires = "labels")]
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
    let labels =
        args.labels.as_deref().map(|path| Labels::read(path, args.templates.as_deref())).transpose()?;
    let (device, options) = (args.how.device.get()?, args.how.options());
    // Labels ask, files answer.
    let mut embedder = args.how.load(&place::model(&args.model)?, Some(Role::Query), device)?;
    args.texts.set(embedder.model_mut()).map_err(unisono_jobs::Error::from)?;
    let own = match (&labels, embedder.model().classifier()) {
        (Some(_), _) => None,
        (None, Some(classifier)) => Some(classifier.modality),
        (None, None) => {
            let message = "this model has no labels of its own: expected --labels FILE, one label a line";
            return Err(Error::Usage(message.into()));
        }
    };
    let inputs = Inputs { paths: args.files.clone(), ..Inputs::default() };
    let listing = inputs.list(&[Modality::Image, Modality::Audio, Modality::Video])?;
    let passed_over = listing.left_out.clone();
    let (listing, left_out) = fitting(listing, &embedder.model().embeds(), own)?;
    if labels.is_some() {
        args.texts.note(embedder.model(), "labels");
    }
    let mut meter = Meter::new();
    let top = usize::from(args.top);
    let (found, skipped) = match &labels {
        Some(labels) => classify(&embedder, listing, labels, top, &options, &mut show_progress(&mut meter))?,
        None => classify_by_own_labels(&embedder, listing, top, &options, &mut show_progress(&mut meter))?,
    };
    meter.finish();
    if args.json {
        return out::json(
            &json!({ "files": found, "skipped": skipped, "left_out": left_out, "left_out_kinds": passed_over.kinds }),
        );
    }
    // Of a thousand labels of its own those count that are shown.
    let shown = || found.iter().flat_map(|file| &file.guesses).map(|guess| guess.label.chars().count()).max();
    let given = labels.as_ref().map(|l| l.names().iter().map(|n| n.chars().count()).max());
    let width = given.unwrap_or_else(shown).unwrap_or(0);
    let mut text = String::new();
    for file in &found {
        text += &format!("{}\n", file.id);
        for guess in &file.guesses {
            let label = printable(&guess.label).to_string();
            text += &format!("  {label:width$}  {:5.1} %\n", 100.0 * guess.probability);
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
