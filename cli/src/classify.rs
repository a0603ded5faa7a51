//! `unisono classify`: what pictures and sounds show, by labels that the model was never trained on.

use crate::error::Error;
use crate::inputs::{WorkArgs, name_others, name_skipped, watch};
use crate::progress::Meter;
use crate::{interrupt, out, place};
use serde_json::json;
use std::path::PathBuf;
use unisono_jobs::classify::{Labels, classify};
use unisono_jobs::{Inputs, Modality};

/// Say what pictures and sounds show, by labels of your own (zero-shot)
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// One label a line
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// One prompt a line, {} for the label; a label's vector is the mean over its prompts [default: a photo of a {}. | the sound of {}.]
    #[arg(long, value_name = "FILE")]
    templates: Option<PathBuf>,
    /// Labels shown a file
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Pictures, sounds, and folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: WorkArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let labels = Labels::read(&args.labels, args.templates.as_deref())?;
    let (device, options) = (args.how.device.get()?, args.how.options());
    let embedder = args.how.load(&place::model(&args.model)?, device)?;
    let inputs = Inputs {
        paths: args.files.clone(),
        modalities: vec![Modality::Image, Modality::Audio],
        ..Inputs::default()
    };
    let listing = inputs.list(&embedder.model().modalities())?;
    let (left_out, others) = (listing.left_out_kinds.clone(), listing.others());
    let mut meter = Meter::new();
    let top = usize::from(args.top);
    let (found, skipped) = classify(&embedder, listing, &labels, top, &options, &mut watch(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&json!({ "files": found, "skipped": skipped, "left_out_kinds": left_out }));
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
    name_others(others.as_deref());
    out::print(&text)
}
