//! `unisono index`: build a searchable index, and say what one holds.

use crate::error::Error;
use crate::inputs::{InputArgs, WorkArgs, name_skipped, watch};
use crate::progress::Meter;
use crate::{interrupt, out, style};
use std::path::{Path, PathBuf};
use std::time::Instant;
use unisono_eval::table::{Align, Table, percent};
use unisono_jobs::crossmodal::Recall;
use unisono_jobs::index::{BuildOptions, Header, build_with};
use unisono_jobs::{Index, identity};

/// Build an index to search in, or look at one
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Build(Box<BuildArgs>),
    Info(InfoArgs),
}

/// Embed files, folders, texts or a manifest into a searchable index
#[derive(clap::Args, Debug)]
pub(crate) struct BuildArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as openai/clip-vit-base-patch32
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// The index's folder; an index that stands there is replaced when the new one is whole
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    what: InputArgs,
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
    /// Print the index's header as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Build(args) => run_build(args),
        Command::Info(args) => run_info(args),
    }
}

fn run_build(args: &BuildArgs) -> Result<(), Error> {
    interrupt::install();
    let begun = Instant::now();
    let device = args.how.device.get()?;
    let (inputs, ffmpeg) = (args.what.inputs()?, args.what.ffmpeg.clone());
    let options = BuildOptions { inputs, embed: args.how.options(), ffmpeg, limits: args.how.limits.get() };
    let mut meter = Meter::new();
    let model = crate::place::model(&args.model)?;
    let load = |dir: &Path| args.how.load(dir, device);
    let report = build_with(&model, load, &args.out, &options, &mut watch(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&report);
    }
    name_skipped(&report.skipped);
    let mut text = format!(
        "{}: {} in {}\n",
        args.out.display(),
        contents(&report.header),
        style::clock(begun.elapsed())
    );
    text +=
        &format!("self-check: {} embedded again, each found itself\n", style::count(report.checked, "item"));
    if report.repeated > 0 {
        text += &format!("left out: {} that the manifest repeats\n", style::count(report.repeated, "item"));
    }
    text += &recalls(report.recalls());
    out::print(&text)
}

fn run_info(args: &InfoArgs) -> Result<(), Error> {
    let index = Index::open(&args.index)?;
    let header = index.header();
    if args.json {
        return out::json(header);
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
        (
            "model",
            format!("{} ({})", header.model.path.display(), state(&header.model.path, &header.model.sha256)),
        ),
        ("sha256", header.model.sha256.clone()),
    ];
    if built.skipped == 0 {
        lines.retain(|(name, _)| *name != "skipped");
    }
    let text: String = lines.iter().map(|(name, value)| format!("{name:8} {value}\n")).collect();
    out::print(&(text + &recalls(&built.recalls)))
}

fn contents(header: &Header) -> String {
    let counts: Vec<String> = header.modalities.iter().map(|(m, n)| format!("{n} {m}")).collect();
    format!("{} ({}) of width {}", style::count(header.count, "item"), counts.join(", "), header.dim)
}

fn sources(header: &Header) -> String {
    let inputs = &header.built.inputs;
    let mut parts = Vec::new();
    if let Some(manifest) = &inputs.manifest {
        let split = inputs.split.as_ref().map(|s| format!(" (split {s})")).unwrap_or_default();
        parts.push(format!("{}{split}", manifest.display()));
    }
    parts.extend(inputs.paths.iter().map(|p| p.display().to_string()));
    if !inputs.texts.is_empty() {
        parts.push(style::count(inputs.texts.len(), "text"));
    }
    parts.join(", ")
}

/// Whether the model is still the one that made the index.
fn state(model: &Path, expected: &str) -> &'static str {
    match identity(model) {
        Ok(found) if found == expected => "there, unchanged",
        Ok(_) => "there, but CHANGED since: build the index again",
        Err(_) => "NOT there: give its new place to `search` with --model",
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
