//! `unisono index add`, `remove`, `merge`, `check` and `compact`.

use super::method::{MethodArgs, weak};
use super::say::{RootArg, contents};
use crate::error::Error;
use crate::filter::FilterArgs;
use crate::inputs::{DeviceArg, InputArgs, PaceArgs, name_left_out, name_skipped, show_progress};
use crate::limits::LimitArgs;
use crate::progress::Meter;
use crate::{interrupt, out, style};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use unisono_encoders::{Role, families};
use unisono_jobs::hub::model_dir;
use unisono_jobs::index::{
    AddOptions, Built, Growth, Removal, add, check_sums, compact, merge, remove, repair_index,
};
use unisono_jobs::{EmbedOptions, Embedder, Error as JobError, Modality};

/// Embed what is new or has changed into an index that is there
#[derive(clap::Args, Debug)]
pub(crate) struct AddArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    #[command(flatten)]
    what: InputArgs,
    /// Model directory, where it has moved since the index was built
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    root: RootArg,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    limits: LimitArgs,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// Take items out of an index; their files stay
#[derive(clap::Args, Debug)]
pub(crate) struct RemoveArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    /// Items' ids, files, and folders with all that lies below them
    #[arg(value_name = "ID_OR_PATH")]
    named: Vec<PathBuf>,
    /// Items whose files are not there any more
    #[arg(long)]
    missing: bool,
    /// Only this modality: text, image, audio or video; may be given several times
    #[arg(long, value_name = "MODALITY")]
    modality: Vec<Modality>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    root: RootArg,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// Make one index of several that one model made
#[derive(clap::Args, Debug)]
pub(crate) struct MergeArgs {
    /// The indexes' folders; what two of them hold is taken from the first
    #[arg(value_name = "INDEX", required = true, num_args = 1..)]
    indexes: Vec<PathBuf>,
    /// The new index's folder; an index that stands there is replaced when the new one is whole, anything else is refused
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// Read all of an index and compare it with its sums
#[derive(clap::Args, Debug)]
pub(crate) struct CheckArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    /// Take damaged segments out; `index add` embeds their files again
    #[arg(long)]
    repair: bool,
    /// Print what was seen as JSON
    #[arg(long)]
    json: bool,
}

/// Write an index anew in one piece, without what was removed; one of an older format becomes one that can be changed
#[derive(clap::Args, Debug)]
pub(crate) struct CompactArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    #[command(flatten)]
    root: RootArg,
    #[command(flatten)]
    method: MethodArgs,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

pub(crate) fn run_add(args: &AddArgs) -> Result<(), Error> {
    interrupt::install();
    let begun = Instant::now();
    let device = args.device.get()?;
    let built = unisono_jobs::Index::open(&args.index).map_err(JobError::from)?.header().built.batch;
    let embed = args.pace.options(if built == 0 { EmbedOptions::default().batch } else { built });
    let options = AddOptions {
        inputs: args.what.inputs()?,
        embed,
        model: args.model.as_deref().map(model_dir),
        root: args.root.root.clone(),
        ffmpeg: args.what.ffmpeg.clone(),
        limits: args.limits.get(),
    };
    let load = |dir: &Path, built: &Built| {
        let mut model = families::load_as(dir, Some(Role::Document), device)?.model;
        model.prepare(built.precision)?;
        let mut embedder = Embedder::new(model);
        embedder.set_folder(dir);
        Ok(embedder)
    };
    let mut meter = Meter::new();
    let report = add(&args.index, load, &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&report);
    }
    weak(&report.header);
    name_skipped(&report.growth.skipped);
    name_left_out(&report.left_out);
    let mut text = format!("{}: {}\n", args.index.display(), contents(&report.header));
    text += &format!("{} in {}\n", said(&report.growth), style::clock(begun.elapsed()));
    out::print(&text)
}

/// `3 items embedded, 2 unchanged`.
fn said(growth: &Growth) -> String {
    let mut parts = vec![format!("{} embedded", style::count(growth.embedded, "item"))];
    let others = [
        (growth.kept, "kept, what they hold is as before"),
        (growth.copies, "that hold what others hold"),
        (growth.unchanged, "unchanged"),
        (growth.repeated, "named twice"),
    ];
    parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    parts.join(", ")
}

pub(crate) fn run_remove(args: &RemoveArgs) -> Result<(), Error> {
    let filtered = args.filter.is_given() || !args.modality.is_empty();
    if args.named.is_empty() && !args.missing && !filtered {
        let message = "nothing to remove: give ids or paths, --missing, --path, --label, --since, --before, --where or --modality";
        return Err(Error::Usage(message.into()));
    }
    let filter = if filtered { Some(args.filter.get(&args.modality)?) } else { None };
    let (named, root) = (args.named.clone(), args.root.root.clone());
    let (count, header) = remove(&args.index, &Removal { named, filter, missing: args.missing, root })?;
    if args.json {
        return out::json(&json!({ "removed": count, "header": header }));
    }
    let items = style::count(count, "item");
    out::print(&format!("{}: {items} removed; it holds {}\n", args.index.display(), contents(&header)))
}

pub(crate) fn run_merge(args: &MergeArgs) -> Result<(), Error> {
    let header = merge(&args.indexes, &args.out)?;
    if args.json {
        return out::json(&json!({ "header": header }));
    }
    let text = format!("{}: {}, merged of {}\n", args.out.display(), contents(&header), args.indexes.len());
    out::print(&text)
}

pub(crate) fn run_check(args: &CheckArgs) -> Result<(), Error> {
    let seen = check_sums::<Built>(&args.index).map_err(JobError::from)?;
    let bad: Vec<_> = seen.iter().filter(|s| s.damage.is_some()).collect();
    let lost = if args.repair && !bad.is_empty() {
        let _held =
            unisono_files::Lock::take(&unisono_files::real_folder(&args.index)).map_err(JobError::from)?;
        Some(repair_index::<Built>(&args.index, &seen).map_err(JobError::from)?)
    } else {
        None
    };
    if args.json {
        out::json(&json!({ "segments": seen, "damaged": bad.len(), "lost": lost }))?;
    } else {
        let whole = style::count(seen.len() - bad.len(), "segment");
        let mut text = format!("{}: {whole} whole, {} damaged\n", args.index.display(), bad.len());
        for segment in &bad {
            text += &format!("{}: {}\n", segment.segment, segment.damage.as_deref().unwrap_or_default());
        }
        if let Some(lost) = lost {
            text += &format!(
                "taken out, with {}; `unisono index add` embeds their files again\n",
                style::count(lost, "item")
            );
        }
        out::print(&text)?;
    }
    match bad.first() {
        Some(first) if lost.is_none() => Err(Error::Failed(format!(
            "{}: {} is damaged; --repair takes it out, and `unisono index add` embeds its files again",
            args.index.display(),
            first.segment
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn run_compact(args: &CompactArgs) -> Result<(), Error> {
    let method = unisono_jobs::Index::open(&args.index).map_err(JobError::from)?.header().parts.method;
    let header = compact(&args.index, args.root.root.as_deref(), Some(args.method.over(method)))?;
    weak(&header);
    if args.json {
        return out::json(&json!({ "header": header }));
    }
    out::print(&format!("{}: {}, in one segment\n", args.index.display(), contents(&header)))
}
