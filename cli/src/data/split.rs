//! `unisono data split`: splits that nothing crosses.

use crate::error::Error;
use crate::inputs::{name_skipped, refuse_input, show_progress};
use crate::progress::Meter;
use crate::source::{self, PathArgs};
use crate::{interrupt, out, style};
use std::path::PathBuf;
use unisono_jobs::check::CheckOptions;
use unisono_jobs::curate::{Divided, Parts, SplitOptions, Stratum, split};
use unisono_jobs::output;

/// Give every record a split; what belongs together stays together
///
/// Records of one group, records that name one file, and with --near-copies records that look alike are never in two splits. The same records with the
/// same seed give the same splits, whatever their order. OUT is read as --annotations, or in a recipe as `annotations`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// Where the splits go: JSON Lines, an id and its split each
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The splits and their shares, as train=0.9,val=0.05,test=0.05
    #[arg(long, value_name = "NAME=SHARE,…")]
    parts: Parts,
    /// Another number, other splits
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// What stays together besides: label (each label in one split, for tests with new ones)
    #[arg(long, value_name = "label", value_parser = ["label"])]
    by: Option<String>,
    /// Each split has its share of every label, or of every language (lang)
    #[arg(long, value_name = "label|lang")]
    stratify: Option<Stratum>,
    /// Decode everything, and keep files of equal bytes and images that look alike in one split, as `data check` finds them
    #[arg(long)]
    near_copies: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    if args.by.is_some() && args.stratify == Some(Stratum::Label) {
        let message =
            "--by label keeps a label in one split, --stratify label has it in all: give one of them";
        return Err(Error::Usage(message.into()));
    }
    refuse_input(&args.out, args.source.read())?;
    let _held = output::claim(&args.out)?;
    let source = source::open(&args.source.get()?)?;
    let usual = CheckOptions::default();
    let options = SplitOptions {
        parts: args.parts.clone(),
        seed: args.seed,
        whole_labels: args.by.is_some(),
        stratify: args.stratify,
        workers: usual.workers,
        copies: args.near_copies.then_some(usual),
    };
    let mut meter = Meter::new();
    let made = split(&*source, &options, &args.out, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    out::print(&report(&made))
}

fn report(made: &Divided) -> String {
    let Divided { out, records, parts, together, together_records, copies, compared, .. } = made;
    let mut text = format!("{}: {}\n", out.display(), style::count(*records, "record"));
    let width = parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0);
    for part in parts {
        let found = 100.0 * part.records as f64 / (*records).max(1) as f64;
        let (name, n) = (&part.name, style::count(part.records, "record"));
        text += &format!("  {name:width$}  {n}, {found:.1} % (asked for: {:.1} %)\n", 100.0 * part.share);
    }
    let (sets, n) = (style::count(*together, "set"), style::count(*together_records, "record"));
    text += &format!("kept together: {n} in {sets}\n");
    if let Some(copies) = copies {
        text += &format!("copies that the source has no group for: {}\n", style::count(*copies, "record"));
    }
    if let Some(most) = compared {
        text += &format!("note: of more than {most} images the first were compared\n");
    }
    text
}
