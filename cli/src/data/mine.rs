//! `unisono data mine`: hard negatives.

use super::filter::{cosine, pair};
use super::run::RunArgs;
use crate::error::Error;
use crate::inputs::{name_skipped, refuse_input, show_progress};
use crate::progress::Meter;
use crate::source::{self, PathArgs};
use crate::{interrupt, out, place, style};
use std::path::PathBuf;
use unisono_jobs::curate::{Embedding, MineOptions, mine, work_path};
use unisono_jobs::{Modality, ledger, output, partial};

/// Find hard negatives: for each record the nearest that are not it
///
/// All are compared with all. No negative is the record itself, of its group or its label, names one of its files, or has a caption that says the same. OUT is
/// read as --annotations: `negatives` are ids, the most similar first, `scores` their cosines.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// A model directory, a training run's, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// What asks and what is found, as text,image
    #[arg(long, value_name = "A,B", value_parser = pair)]
    pair: (Modality, Modality),
    /// Where they go: JSON Lines
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Negatives of a record
    #[arg(short, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    k: u16,
    /// Most cosine of a negative: what is more similar may be right
    #[arg(long, value_name = "COSINE", value_parser = cosine, allow_negative_numbers = true)]
    max_score: Option<f32>,
    /// A negative is by so much less similar than the record's own
    #[arg(long, value_name = "COSINE", value_parser = cosine, allow_negative_numbers = true)]
    margin: Option<f32>,
    /// Captions whose vectors have at least this cosine say the same
    #[arg(long, value_name = "COSINE", value_parser = cosine, default_value_t = 0.95, allow_negative_numbers = true)]
    same_text: f32,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    refuse_input(&args.out, args.source.read())?;
    let _held = output::claim(&args.out)?;
    let work = work_path(&args.out);
    interrupt::keeps(interrupt::Kept::Lines(ledger(&work)));
    let options = args.run.how.options();
    let mut embedder = args.run.how.load(&place::model(&args.model)?, None, args.run.how.device.get()?)?;
    embedder.set_ffmpeg(args.run.ffmpeg.clone());
    let source = source::open(&args.source.get()?)?;
    let embedding = Embedding { embedder: &embedder, options: &options, fresh: args.run.fresh };
    let asked = MineOptions {
        pair: args.pair,
        k: args.k.into(),
        max_score: args.max_score,
        margin: args.margin,
        same_text: args.same_text,
    };
    let mut resumed =
        |done| out::note(&format!("resumed: {done} are embedded, in {}", partial(&work).display()));
    let mut meter = Meter::new();
    let made = mine(&*source, &asked, &embedding, &args.out, &mut resumed, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.run.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    let (records, negatives) =
        (style::count(made.records, "record"), style::count(made.negatives, "negative"));
    let mut text = format!("{}: {negatives} of {records}\n", made.out.display());
    if made.short > 0 {
        text += &format!("  {} with fewer than {}\n", style::count(made.short, "record"), args.k);
    }
    text += &format!("  mean cosine {:.3}; of records' own {:.3}\n", made.mean_score, made.mean_own);
    out::print(&text)
}
