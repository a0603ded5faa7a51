//! `unisono data teach`: a teacher's vectors beside the data.

use crate::error::Error;
use crate::inputs::{WorkArgs, name_skipped, show_progress};
use crate::progress::Meter;
use crate::source::{self, PathArgs};
use crate::{interrupt, out, place, style};
use std::path::PathBuf;
use unisono_jobs::Modality;
use unisono_jobs::curate::{TeachOptions, teach};
use unisono_jobs::output::Format;

/// Store a model's embeddings of the data beside them, a file for each modality
///
/// OUT/image.safetensors and the like, each with what its rows are (.jsonl) and which model made them (.model.json). What is there of this model and these data
/// stays.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// A model directory, a training run's, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Folder for the vectors
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The form of the vectors: npy, safetensors or parquet
    #[arg(long, value_name = "FORMAT", default_value = "safetensors")]
    format: Format,
    /// Only this modality: text, image, audio or video; may be given several times [default: all that the model takes]
    #[arg(long, value_name = "MODALITY")]
    modality: Vec<Modality>,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// Begin anew, though an earlier run left vectors or work in OUT
    #[arg(long)]
    fresh: bool,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    how: WorkArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    interrupt::keeps(interrupt::Kept::If(args.out.clone()));
    let how = args.how.options();
    let mut embedder = args.how.load(&place::model(&args.model)?, None, args.how.device.get()?)?;
    embedder.set_ffmpeg(args.ffmpeg.clone());
    let source = source::open(&args.source.get()?)?;
    let options =
        TeachOptions { how: &how, format: args.format, modalities: &args.modality, fresh: args.fresh };
    let mut resumed = |done| out::note(&format!("resumed: {done} are done, in {}", args.out.display()));
    let mut meter = Meter::new();
    let made = teach(&*source, &embedder, &options, &args.out, &mut resumed, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    let mut text = String::new();
    for (modality, vectors) in &made.vectors {
        let there = if made.kept.contains(modality) { ", there already" } else { "" };
        let (file, n) = (made.out.join(&vectors.file), style::count(vectors.count, "embedding"));
        text += &format!("{}: {n} of width {}{there}\n", file.display(), vectors.dim);
    }
    out::print(&text)
}
