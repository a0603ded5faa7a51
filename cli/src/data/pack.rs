//! `unisono data pack`: any source as shards.

use crate::error::Error;
use crate::progress::{Meter, Unit};
use crate::source::{self, LayoutArgs};
use crate::{interrupt, out, style};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use unisono_datasets::pack::{Format, PackOptions, PackProgress, Packed, pack};
use unisono_datasets::{Part, Source};
use unisono_media::limits;

/// Pack data as shards that are read by position
///
/// Media are copied as they are, never encoded again; the same data give the same bytes. OUT/index.json lists the shards with their SHA-256, and
/// OUT itself is a source. An interrupted command goes on after its last whole shard.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A source of records of any kind ({00..99}, * and ? stand for several paths)
    #[arg(value_name = "SRC", required = true)]
    source: Vec<PathBuf>,
    /// Folder for the shards
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// A shard ends before the record that would make it larger (500MB, 1GiB)
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes, default_value = "500MB")]
    shard_size: u64,
    /// What the shards are: tar, or parquet as Hugging Face's `datasets` has it
    #[arg(long, value_name = "FORMAT", default_value_t = Format::Tar)]
    format: Format,
    /// Only the records of this split
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Records that may be unusable; one more ends the command
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_skip: usize,
    /// Remove what was packed into OUT before
    #[arg(long)]
    fresh: bool,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Source")]
    layout: LayoutArgs,
}

/// Records left out that are named one by one.
const NAMED: usize = 20;

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    interrupt::keeps(interrupt::Kept::Lines(args.out.join(unisono_datasets::pack::LEDGER)));
    let source = source::open(&args.layout.of(&args.source)?)?;
    let part = match &args.split {
        None => Part::all(source),
        Some(split) => part_of(&source, split)?,
    };
    let options = PackOptions {
        out: args.out.clone(),
        format: args.format,
        shard_size: args.shard_size,
        max_skip: args.max_skip,
        fresh: args.fresh,
    };
    let mut meter = Meter::new();
    let packed = pack(&part, &options, &mut |PackProgress { records, total }| {
        meter.show("pack", records, Some(total), Unit::Items);
        if interrupt::wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let Some(packed) = packed else { return Err(Error::Interrupted(interrupt::left())) };
    meter.finish();
    for skip in packed.skipped.iter().take(NAMED) {
        out::note(&format!("skipped: {}: {}", skip.id, skip.reason));
    }
    if packed.skipped.len() > NAMED {
        out::note(&format!("and {} more (--json lists them all)", packed.skipped.len() - NAMED));
    }
    if args.json { out::json(&packed) } else { out::print(&summary(&packed)) }
}

fn part_of(source: &Arc<dyn Source>, split: &str) -> Result<Part, Error> {
    let part = Part::of(source.clone(), |key| key.split.unwrap_or_default() == split)?;
    if part.is_empty() {
        let there: Vec<String> = source.splits().iter().map(|(name, n)| format!("{name:?} ({n})")).collect();
        return Err(Error::Failed(format!(
            "{}: no record of split {split:?}; it has: {}",
            source.path().display(),
            there.join(", ")
        )));
    }
    Ok(part)
}

fn summary(packed: &Packed) -> String {
    let Packed { out, records, bytes, kept, skipped, shards } = packed;
    let mut text = format!(
        "{}: {} in {}, {}",
        out.display(),
        style::count(*records as usize, "record"),
        style::count(shards.len(), "shard"),
        style::bytes(*bytes)
    );
    if *kept > 0 {
        text += &format!("; {kept} were there already");
    }
    if !skipped.is_empty() {
        text += &format!("; {} left out", style::count(skipped.len(), "record"));
    }
    text + "\n"
}
