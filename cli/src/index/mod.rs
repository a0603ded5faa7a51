//! `unisono index`: build a searchable index, change one, and say what one holds.

mod change;
mod look;
mod method;
mod rebuild;
mod say;

use crate::error::Error;
use crate::inputs::{InputArgs, WorkArgs, name_left_out, name_skipped, show_progress};
use crate::progress::Meter;
use crate::texts::TextArgs;
use crate::window::WindowArg;
use crate::{interrupt, out, style};
use change::{AddArgs, CheckArgs, CompactArgs, MergeArgs, RemoveArgs};
use look::{DuplicatesArgs, MapArgs};
use method::{MethodArgs, searches, weak};
pub(crate) use rebuild::share;
use rebuild::{RebuildArgs, run_rebuild};
use say::contents;
pub(crate) use say::{RootArg, opened};
use serde_json::json;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;
use unisono_encoders::{Modality, Prompt, Role};
use unisono_eval::table::{Align, Table, percent};
use unisono_files::{Lock, real_folder};
use unisono_jobs::Shard;
use unisono_jobs::crossmodal::Recall;
use unisono_jobs::index::{BuildOptions, Header, Method, ModelState, build_with, model_state};

/// Build an index to search in, or look at one
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Build(Box<BuildArgs>),
    Add(Box<AddArgs>),
    Remove(Box<RemoveArgs>),
    Merge(MergeArgs),
    Check(CheckArgs),
    Compact(CompactArgs),
    Rebuild(Box<RebuildArgs>),
    Duplicates(DuplicatesArgs),
    Map(MapArgs),
    Info(InfoArgs),
}

/// Embed files, folders, texts or a source of records into a searchable index
#[derive(clap::Args, Debug)]
pub(crate) struct BuildArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as openai/clip-vit-base-patch32
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// The index's folder; an index that stands there is replaced when the new one is whole, anything else is refused
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The folder that its files lie below and may move with: later commands are told where it is now (--root)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(flatten)]
    what: InputArgs,
    /// Embed only one of n parts, as 2/8, into an index of its own, for many machines: `index merge` makes one of them. Which items are whose is the same
    /// on all
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    window: WindowArg,
    #[command(flatten)]
    how: WorkArgs,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// Say what an index holds, and whether its files and its model are whole
#[derive(clap::Args, Debug)]
pub(crate) struct InfoArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    #[command(flatten)]
    root: RootArg,
    /// Print the index's header, its model's state and its missing files as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Build(args) => run_build(args),
        Command::Add(args) => change::run_add(args),
        Command::Remove(args) => change::run_remove(args),
        Command::Merge(args) => change::run_merge(args),
        Command::Check(args) => change::run_check(args),
        Command::Compact(args) => change::run_compact(args),
        Command::Rebuild(args) => run_rebuild(args),
        Command::Duplicates(args) => look::run_duplicates(args),
        Command::Map(args) => look::run_map(args),
        Command::Info(args) => run_info(args),
    }
}

fn run_build(args: &BuildArgs) -> Result<(), Error> {
    interrupt::install();
    let begun = Instant::now();
    let device = args.how.device.get()?;
    // Whether the output is free is known before a model is fetched; the build takes it.
    drop(Lock::make(&real_folder(&args.out)).map_err(unisono_jobs::Error::from)?);
    let (inputs, ffmpeg) = (args.what.inputs()?, args.what.ffmpeg.clone());
    let (embed, limits, root) = (args.how.options(), args.how.limits.get(), args.root.clone());
    let method = args.method.over(Method::default());
    let options =
        BuildOptions { inputs, embed, ffmpeg, limits, root, method, shard: args.shard.unwrap_or_default() };
    let mut meter = Meter::new();
    let model = crate::place::model(&args.model)?;
    let missing = RefCell::new(None);
    let load = |dir: &Path| {
        // What an index holds is found; what asks comes later.
        let mut embedder = args.how.load(dir, Some(Role::Document), device)?;
        args.texts.set(embedder.model_mut())?;
        args.window.set(embedder.model_mut())?;
        missing.replace(args.texts.missing(embedder.model(), "documents"));
        Ok(embedder)
    };
    let report = build_with(&model, load, &args.out, &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if let Some(note) = missing.take().filter(|_| report.header.modalities.contains_key(&Modality::Text)) {
        out::note(&note);
    }
    weak(&report.header);
    if args.json {
        return out::json(&report);
    }
    name_skipped(&report.skipped);
    name_left_out(&report.left_out);
    if let Some(kept) = &report.kept {
        let kept = kept.display();
        out::note(&format!("the folder that stood there got other files meanwhile and is kept: {kept}"));
    }
    let mut text = format!(
        "{}: {} in {}\n",
        args.out.display(),
        contents(&report.header),
        style::clock(begun.elapsed())
    );
    text +=
        &format!("self-check: {} embedded again, each found itself\n", style::count(report.checked, "item"));
    if report.resumed > 0 {
        text += &format!(
            "went on with {} that an earlier build had embedded\n",
            style::count(report.resumed, "item")
        );
    }
    if report.copies > 0 {
        text += &format!("kept once: {} that hold what others hold\n", style::count(report.copies, "item"));
    }
    if report.repeated > 0 {
        text += &format!("left out: {} that the source repeats\n", style::count(report.repeated, "item"));
    }
    text += &recalls(report.recalls());
    out::print(&text)
}

fn run_info(args: &InfoArgs) -> Result<(), Error> {
    let index = opened(&args.index, &args.root)?;
    let header = index.header();
    let (model, files) = (model_state(&index), index.files());
    if args.json {
        let mut document = serde_json::to_value(header).unwrap_or_default();
        document["model"]["state"] = json!(model);
        document["files"] = json!(files);
        return out::json(&document);
    }
    let built = &header.built;
    let mut lines = vec![
        ("holds", contents(header)),
        (
            "built",
            format!(
                "{} by unisono {}, {}, batches of {}",
                built.at, built.unisono, built.precision, built.batch
            ),
        ),
        ("from", sources(header)),
        ("skipped", built.skipped.to_string()),
        ("copies", format!("{} that hold what others hold", header.parts.copies)),
        ("changed", built.changed.clone().unwrap_or_default()),
        ("segments", header.parts.segments.len().to_string()),
        ("searches", searches(header)),
        ("root", header.parts.root_now().map_or_else(String::new, |root| root.display().to_string())),
        ("missing", format!("{} of {}", files.missing, style::count(files.count, "file"))),
        ("model", format!("{} ({})", header.model.path.display(), state(model))),
        ("sha256", header.model.sha256.clone()),
        ("prompt", prompt(header)),
        ("window", "auto".to_owned()),
    ];
    lines.retain(|(name, _)| match *name {
        "skipped" => built.skipped > 0,
        "copies" => header.parts.copies > 0,
        "changed" => built.changed.is_some(),
        "segments" => header.parts.segments.len() > 1,
        "searches" => !header.parts.method.is_usual() || !header.parts.recalled.is_empty(),
        "root" => header.parts.root.is_some(),
        "window" => !header.model.window.is_whole(),
        "missing" => files.missing > 0,
        _ => true,
    });
    let text: String = lines.iter().map(|(name, value)| format!("{name:8} {value}\n")).collect();
    out::print(&(text + &recalls(&built.recalls)))
}

fn sources(header: &Header) -> String {
    let (inputs, texts) = (&header.built.inputs, header.built.texts());
    let mut parts = Vec::new();
    if let Some(source) = &inputs.source {
        let split = inputs.split.as_ref().map(|s| format!(" (split {s})")).unwrap_or_default();
        parts.push(format!("{}{split}", source.name()));
    }
    parts.extend(inputs.paths.iter().map(|p| p.display().to_string()));
    if texts > 0 {
        parts.push(style::count(texts, "text"));
    }
    parts.join(", ")
}

/// What was put before its texts.
fn prompt(header: &Header) -> String {
    match &header.model.prompt {
        Some(Prompt { name: Some(name), text }) => format!("{name}, {text:?}"),
        Some(Prompt { name: None, text }) => format!("{text:?}"),
        None => "none".to_owned(),
    }
}

/// Whether the model is still the one that made the index.
fn state(model: ModelState) -> &'static str {
    match model {
        ModelState::Unchanged => "there, unchanged",
        ModelState::Changed => "there, but CHANGED since: build the index again",
        ModelState::Missing => "NOT there: give its new place to `search` with --model",
    }
}

fn recalls(recalls: &[Recall]) -> String {
    if recalls.is_empty() {
        return String::new();
    }
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("finds its pair, %", Align::Left),
        right("queries"),
        right("gallery"),
        right("R@1"),
        right("R@5"),
        right("R@10"),
        right("chance R@10"),
    ]);
    for r in recalls {
        table.row([
            format!("{} → {}", r.from, r.to),
            r.queries.to_string(),
            r.gallery.to_string(),
            percent(r.r1),
            percent(r.r5),
            percent(r.r10),
            percent(r.chance_r10),
        ]);
    }
    table.render()
}
