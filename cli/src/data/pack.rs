//! `unisono data pack`: any source as shards.

use crate::error::Error;
use crate::progress::{Meter, Unit};
use crate::source::LayoutArgs;
use crate::{interrupt, out, style};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use unisono_datasets::pack::{Format, PackOptions, PackProgress, Packed, pack};
use unisono_datasets::shards::KeyEnds;
use unisono_datasets::{Part, Source, SourceConfig, open};
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
    /// Where the key ends in names of tar shards' members: first-dot or last-dot [default: first-dot]
    #[arg(long, value_name = "WHERE", value_parser = key_ends, help_heading = "Source")]
    key_ends: Option<KeyEnds>,
    /// Largest size of a compressed tar shard when it is unpacked (50G) [default: 100 times its size, or 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes, help_heading = "Source")]
    max_unpacked: Option<u64>,
}

/// Records left out that are named one by one.
const NAMED: usize = 20;

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    interrupt::keeps(interrupt::Kept::Lines(args.out.join(unisono_datasets::pack::LEDGER)));
    let source = open(&SourceConfig {
        key_ends: args.key_ends.unwrap_or_default(),
        max_unpacked: args.max_unpacked,
        ..args.layout.of(&args.source)?
    })?;
    source.notes().iter().for_each(|note| out::note(&format!("note: {note}")));
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

fn key_ends(text: &str) -> Result<KeyEnds, String> {
    match text {
        "first-dot" => Ok(KeyEnds::FirstDot),
        "last-dot" => Ok(KeyEnds::LastDot),
        _ => Err("expected first-dot or last-dot".into()),
    }
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
