//! `unisono index rebuild`: the same items by another model.

use super::say::contents;
use crate::error::Error;
use crate::inputs::{WorkArgs, name_skipped, show_progress};
use crate::progress::Meter;
use crate::{interrupt, out, place, style};
use std::path::{Path, PathBuf};
use std::time::Instant;
use unisono_encoders::Role;
use unisono_eval::table::percent;
use unisono_jobs::feedback::{Judged, is_held_out, read};
use unisono_jobs::index::{RebuildOptions, rebuild};

/// Embed an index's items anew with another model, and put that in its place
///
/// With --votes only where the new model finds more of what people said is right, in queries that were held out, and recall between modalities does not fall. The old
/// index answers until then; a server searches the new one from then on.
#[derive(clap::Args, Debug)]
pub(crate) struct RebuildArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    /// Model directory, a training run's (its best checkpoint), NAME@VERSION of the store, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Votes that `unisono serve --votes` has written; may be given several times
    #[arg(long, value_name = "FILE")]
    votes: Vec<PathBuf>,
    /// The share of queries that judges: as given to data from-feedback
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, requires = "votes")]
    held_out: f64,
    /// By how many points R@10 between modalities may fall
    #[arg(long, value_name = "POINTS", default_value_t = 2.0, requires = "votes")]
    tolerance: f64,
    #[command(flatten)]
    how: WorkArgs,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// A share of something, as people write one.
pub(crate) fn share(option: &str, share: f64) -> Result<f64, Error> {
    match share > 0.0 && share <= 1.0 {
        true => Ok(share),
        false => {
            Err(Error::Usage(format!("{option}: expected a share above 0 and at most 1, found {share}")))
        }
    }
}

pub(crate) fn run_rebuild(args: &RebuildArgs) -> Result<(), Error> {
    let held_out = share("--held-out", args.held_out)?;
    if !(args.tolerance >= 0.0 && args.tolerance <= 100.0) {
        return Err(Error::Usage(format!("--tolerance: expected 0 to 100 points, found {}", args.tolerance)));
    }
    interrupt::install();
    let begun = Instant::now();
    let device = args.how.device.get()?;
    let mut votes = Default::default();
    if !args.votes.is_empty() {
        let (mut all, damaged) = read(&args.votes)?;
        if damaged > 0 {
            out::note(&format!("{} of votes are none and were passed over", style::count(damaged, "line")));
        }
        all.retain(|query, _| is_held_out(query, held_out));
        if all.is_empty() {
            return Err(Error::Failed(format!(
                "--held-out {held_out}: no query of the votes is held out; gather more votes, or give a larger share"
            )));
        }
        votes = all;
    }
    let model = place::model(&args.model)?;
    let options = RebuildOptions {
        embed: args.how.options(),
        ffmpeg: args.ffmpeg.clone(),
        limits: args.how.limits.get(),
        votes,
        tolerance: args.tolerance / 100.0,
    };
    let load = |dir: &Path| args.how.load(dir, Some(Role::Document), device);
    let mut meter = Meter::new();
    let made = rebuild(&args.index, &model, device, load, &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    let at = args.index.display();
    let mut text = match made.replaced {
        true => format!("{at}: {} in {}\n", contents(&made.header), style::clock(begun.elapsed())),
        false => format!("{at}: stays as it is; the new model is not better\n"),
    };
    let figures = |judged: &Judged| {
        let order =
            judged.order.map_or_else(String::new, |order| format!(", {} of pairs in order", percent(order)));
        format!("R@10 {}, MRR {:.3}{order}", percent(judged.recall), judged.mrr)
    };
    if let (Some(before), Some(after)) = (&made.before, &made.after) {
        let queries = after.queries;
        text += &format!(
            "  {queries} queries of votes, in %: {} before, {} after\n",
            figures(before),
            figures(after)
        );
    }
    for fell in &made.fell {
        let (was, is) = (percent(fell.before), percent(fell.after));
        text += &format!("  {} → {}: R@10 fell from {was} to {is}\n", fell.from, fell.to);
    }
    out::print(&text)
}
