//! `unisono embed`: files, folders, texts or a manifest → vectors in a file.

use crate::error::Error;
use crate::inputs::{InputArgs, WorkArgs, name_others, name_skipped, refuse_input, watch};
use crate::progress::Meter;
use crate::{interrupt, out, place, style};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use unisono_jobs::{identity, output, resume};

/// Turn files, folders, texts or a manifest into vectors
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as openai/clip-vit-base-patch32
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Where the vectors go, float32 [N, D]: a name that ends in .npy, .safetensors or .parquet; FILE.jsonl beside lists the items
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    what: InputArgs,
    #[command(flatten)]
    how: WorkArgs,
    /// Keep the lengths that the projection gives; without this, vectors have length 1
    #[arg(long)]
    no_normalize: bool,
    /// Begin anew, though an earlier run left work beside OUT
    #[arg(long)]
    fresh: bool,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    interrupt::keeps(interrupt::Kept::Lines(resume::partial(&args.out).join("ledger.jsonl")));
    let begun = Instant::now();
    // What can be refused at once is refused before a model is loaded.
    output::Format::of(&args.out).map_err(|e| Error::Usage(e.to_string()))?;
    for out in [&args.out, &output::items_path(&args.out)] {
        refuse_input(out, args.what.inputs.iter().chain(&args.what.manifest))?;
    }
    let _held = output::claim(&args.out)?;
    let (device, options) = (args.how.device.get()?, args.how.options());
    let dir = place::model(&args.model)?;
    let mut embedder = args.how.load(&dir, device)?;
    embedder.set_normalize(!args.no_normalize);
    embedder.set_ffmpeg(args.what.ffmpeg.clone());
    let listing = args.what.inputs()?.list(&embedder.model().embeds())?;
    let (left_out, left_out_kinds) = (listing.left_out, listing.left_out_kinds.clone());
    let others = listing.others();
    let mut meter = Meter::new();
    let settings = if listing.items.len() > resume::CHUNK || resume::partial(&args.out).exists() {
        let limits = args.how.limits.get().fingerprint();
        format!("{} {} {}{limits}", identity(&dir)?, args.how.precision_name(), !args.no_normalize)
    } else {
        String::new()
    };
    let mut resumed =
        |done| out::note(&format!("resumed: {done} are done, in {}", resume::partial(&args.out).display()));
    let embedded = resume::embed_resumable(
        &embedder,
        listing,
        &options,
        resume::Job { out: &args.out, settings: &settings, fresh: args.fresh },
        &mut resumed,
        &mut watch(&mut meter),
    )?;
    meter.finish();
    output::write(&args.out, &embedded).inspect_err(|_| {
        let work = resume::partial(&args.out);
        if work.exists() {
            let work = work.display();
            out::note(&format!(
                "the vectors are kept in {work}: the same command writes them without computing them again"
            ));
        }
    })?;
    resume::done(&args.out)?;
    let (n, d) = (embedded.vectors.len(), embedded.vectors.dim);
    let items = output::items_path(&args.out);
    if args.json {
        let mut modalities = BTreeMap::new();
        for item in &embedded.items {
            *modalities.entry(item.modality.name()).or_insert(0usize) += 1;
        }
        return out::json(&json!({
            "out": args.out, "items": items, "count": n, "dim": d, "modalities": modalities,
            "skipped": embedded.skipped, "left_out": left_out, "left_out_kinds": left_out_kinds,
            "seconds": begun.elapsed().as_secs_f64(),
        }));
    }
    name_skipped(&embedded.skipped);
    name_others(others.as_deref());
    let mut line = format!(
        "{}: {} of width {d} in {}",
        args.out.display(),
        style::count(n, "vector"),
        style::clock(begun.elapsed())
    );
    if !embedded.skipped.is_empty() {
        line += &format!(", {} skipped", embedded.skipped.len());
    }
    out::print(&format!("{line}\n{}: what row i is\n", items.display()))
}
