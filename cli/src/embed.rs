//! `unisono embed`: files, folders, texts or a source of records → embeddings in a file.

use crate::error::Error;
use crate::inputs::{InputArgs, WorkArgs, name_left_out, name_skipped, refuse_input, show_progress};
use crate::progress::Meter;
use crate::texts::TextArgs;
use crate::window::WindowArg;
use crate::{interrupt, out, place, style};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use unisono_jobs::{Job, Modality, embed_to, ledger, output, partial};

/// Turn files, folders, texts or a source of records into embeddings
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as openai/clip-vit-base-patch32
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Where the embeddings go, float32 [N, D]: a name that ends in .npy, .safetensors or .parquet; FILE.jsonl beside lists the items
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    what: InputArgs,
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    window: WindowArg,
    #[command(flatten)]
    how: WorkArgs,
    /// Keep the lengths that the projection gives; without this, embeddings have length 1
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
    interrupt::keeps(interrupt::Kept::Lines(ledger(&args.out)));
    let begun = Instant::now();
    // What can be refused at once is refused before a model is loaded.
    output::Format::of(&args.out).map_err(|e| Error::Usage(e.to_string()))?;
    for out in [&args.out, &output::items_path(&args.out)] {
        refuse_input(out, args.what.inputs.iter().chain(args.what.source.read()))?;
    }
    let _held = output::claim(&args.out)?;
    let (device, options) = (args.how.device.get()?, args.how.options());
    let dir = place::model(&args.model)?;
    let mut embedder = args.how.load(&dir, None, device)?;
    args.texts.set(embedder.model_mut()).map_err(unisono_jobs::Error::from)?;
    args.window.set(embedder.model_mut()).map_err(unisono_jobs::Error::from)?;
    embedder.set_normalize(!args.no_normalize);
    embedder.set_ffmpeg(args.what.ffmpeg.clone());
    let listing = args.what.inputs()?.list(&embedder.model().embeds())?;
    match listing.items.counts().contains_key(&Modality::Text) {
        true => args.texts.note(embedder.model(), "these texts"),
        false => args.texts.no_prompt("there is no text among the inputs")?,
    }
    let listens = embedder.model().listens();
    if !listing.items.counts().keys().any(|m| *m == Modality::Audio || (listens && *m == Modality::Video)) {
        args.window.none("there is no audio among the inputs")?;
    }
    let mut meter = Meter::new();
    let work = partial(&args.out);
    let mut resumed = |done| out::note(&format!("resumed: {done} are done, in {}", work.display()));
    let job = Job { out: &args.out, fresh: args.fresh };
    let made = embed_to(&embedder, listing, &options, &job, &mut resumed, &mut show_progress(&mut meter))?;
    meter.finish();
    let made = made.place().inspect_err(|_| {
        if work.exists() {
            let work = work.display();
            out::note(&format!(
                "the embeddings are kept in {work}: the same command writes them without computing them again"
            ));
        }
    })?;
    if args.json {
        let mut summary = json!(made);
        summary["seconds"] = json!(begun.elapsed().as_secs_f64());
        return out::json(&summary);
    }
    name_skipped(&made.skipped);
    name_left_out(&made.left_out);
    let mut line = format!(
        "{}: {} of width {} in {}",
        args.out.display(),
        style::count(made.count, "embedding"),
        made.dim,
        style::clock(begun.elapsed())
    );
    if !made.skipped.is_empty() {
        line += &format!(", {} skipped", made.skipped.len());
    }
    out::print(&format!("{line}\n{}: what row i is\n", made.items.display()))
}
