//! `unisono data from-feedback`: votes as pairs to learn from.

use crate::error::Error;
use crate::index::share;
use crate::inputs::refuse_input;
use crate::{out, style};
use std::path::PathBuf;
use unisono_jobs::feedback::from_feedback;
use unisono_jobs::output;

/// Make a manifest of votes on what searches found, with hard negatives
///
/// A record is a query and a hit that was said to be right for it; what was voted on keeps its own caption besides. `negatives` are the words that a hit was said to be wrong for. A share of
/// the queries is held out by their words (split val), and judges: `unisono finetune --data OUT`, then `unisono index rebuild --votes`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Votes that `unisono serve --votes` has written
    #[arg(value_name = "VOTES", required = true)]
    votes: Vec<PathBuf>,
    /// The manifest
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The share of queries that is held out
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    held_out: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    let held_out = share("--held-out", args.held_out)?;
    refuse_input(&args.out, args.votes.iter().map(PathBuf::as_path))?;
    let _held = output::claim(&args.out)?;
    let made = from_feedback(&args.votes, &args.out, held_out)?;
    if args.json {
        return out::json(&made);
    }
    let of = |split: &str| made.queries.get(split).copied().unwrap_or(0);
    let mut text = format!(
        "{}: {} of votes, {} of captions, {}\n  {} queries to learn from, {} held out\n",
        args.out.display(),
        style::count(made.pairs, "record"),
        made.own,
        style::count(made.negatives, "negative"),
        of("train"),
        of("val")
    );
    if made.taken_out > 0 {
        let files = style::count(made.taken_out, "file");
        text +=
            &format!("  {files} taken out of archives, in {}\n", args.out.with_extension("media").display());
    }
    if made.unused > 0 {
        text += &format!(
            "  {} make no record: what is not there any more, or wrong hits without a caption\n",
            style::count(made.unused, "vote")
        );
    }
    if made.damaged > 0 {
        text += &format!("  {} are no votes and were passed over\n", style::count(made.damaged, "line"));
    }
    let at = args.out.display();
    text += &format!("next: unisono finetune --model MODEL --data {at} --out RUN");
    if made.negatives > 0 {
        text += " --set objective.0.negatives=2";
    }
    if made.found.contains_key("text") {
        // A recipe pairs texts with texts where it is told to.
        let pairs: Vec<String> = made.found.keys().map(|kind| format!("\"text_{kind}\"")).collect();
        text += &format!(" --set 'objective.0.pairs=[{}]'", pairs.join(", "));
    }
    out::print(&(text + "\n"))
}
