//! `unisono finetune`: my pictures, my words.

use crate::error::Error;
use crate::inputs::{name_skipped, show_progress};
use crate::progress::Meter;
use crate::source::{self, LayoutArgs};
use crate::{interrupt, out, place, train};
use serde_json::json;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_datasets::{Source, SourceConfig};
use unisono_encoders::Model;
use unisono_eval::protocol::shown;
use unisono_jobs::check::CheckOptions;
use unisono_jobs::curate::{Parts, SplitOptions, split};
use unisono_media::limits::{self, Spelling};
use unisono_torch_ext::Launch;
use unisono_train::finetune::{self, Finetune, Split};
use unisono_train::tracking::{self, Line};
use unisono_train::{Recipe, Summary, checkpoint};

/// Teach a model your own pairs: writes a complete recipe with safe values (LoRA, small steps, a held-out part, watched abilities) and follows it
///
/// The recipe is RUN/finetune.toml, to be read, changed and followed again. Records that name no split are divided by their ids, and what belongs
/// together stays together. It ends with what the model found of the held-out part before and after.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// The pairs: a table (CSV) of files and texts, a folder of files with captions, a manifest, or whatever else records are kept in; several paths of one kind are one source
    #[arg(long, value_name = "PATH", required = true)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Directory of the run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// How often each record is seen
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Records of a batch [default: as many as half of the memory takes, up to 128 and to a quarter of the records]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    batch: Option<u32>,
    /// Peak learning rate
    #[arg(long, value_name = "LR", default_value_t = 1e-4)]
    lr: f64,
    /// Share of the records that is held out, where they name no split
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    held_out: f64,
    /// Other data, whose retrieval is watched for a fall: what the model should not forget
    #[arg(long, value_name = "PATH")]
    canary: Option<PathBuf>,
    /// Change a value of the recipe: KEY=VALUE. May be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Go on from the last checkpoint in the directory, with the recipe there
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Begin again, with the recipe there if there is one
    #[arg(long)]
    fresh: bool,
    /// Write the recipe, and train nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    limits::spell(Spelling::Recipe);
    let launch = Launch::from_environment().map_err(|e| Error::Usage(e.to_string()))?;
    if launch.is_some() && !args.dry_run {
        return Err(Error::Usage(
            "finetune is one process: write the recipe with --dry-run, and start unisono train with it under the launcher".into(),
        ));
    }
    let path = args.out.join(finetune::RECIPE);
    let again = (args.resume || args.fresh) && path.is_file();
    if !again {
        write(args, &path)?;
    }
    let recipe = Recipe::load(&path, &args.set, &[]).map_err(|e| match args.set.is_empty() {
        true => e.into(),
        false => Error::Usage(e.to_string()),
    })?;
    if args.dry_run {
        if args.json {
            return out::json(&json!({"recipe": path, "steps": recipe.steps, "out": args.out}));
        }
        let (path, run) = (path.display(), args.out.display());
        return out::print(&format!(
            "{path}: a recipe of {} steps; nothing was trained\nnext: unisono train {path} --out {run}\n",
            recipe.steps
        ));
    }
    out::note(&format!("  recipe: {}", path.display()));
    let summary = train::follow(&recipe, &args.out, (args.resume, args.fresh))?;
    if !summary.finished {
        return Ok(());
    }
    let found = found(&args.out, &summary)?;
    if args.json {
        let found: Vec<_> = found
            .iter()
            .map(
                |f| json!({"protocol": f.protocol, "metric": f.metric, "before": f.before, "after": f.after}),
            )
            .collect();
        return out::json(
            &json!({"recipe": path, "out": args.out, "step": summary.step, "best": summary.best, "found": found}),
        );
    }
    out::print(&(train::told(&recipe, &args.out, &summary)? + &table(&found) + &next(args)))
}

/// Writes the recipe, and where the data name no splits those.
fn write(args: &Args, path: &Path) -> Result<(), Error> {
    if !(args.held_out > 0.0 && args.held_out < 1.0) {
        return Err(Error::Usage(format!(
            "--held-out: expected a share between 0 and 1, found {}",
            args.held_out
        )));
    }
    if !(args.lr.is_finite() && args.lr > 0.0) {
        return Err(Error::Usage(format!("--lr: expected a positive number, found {}", args.lr)));
    }
    if let Some(at) = checkpoint::progress(&args.out)?.filter(|_| !args.fresh) {
        let (run, step) = (args.out.display(), at.step);
        return Err(Error::Failed(format!(
            "{run}: holds a run at step {step}; go on with --resume, begin again with --fresh, or choose another --out"
        )));
    }
    let model = place::model(&args.model)?;
    let _held = finetune::claim(&args.out)?;
    interrupt::install();
    std::fs::create_dir_all(&args.out).map_err(|e| Error::Failed(format!("{}: {e}", args.out.display())))?;
    let (train, held) = divided(args.layout.of(&args.data)?, ["train", "held-out"], args)?;
    let canary = match &args.canary {
        Some(path) => Some(watched(path, args)?),
        None => None,
    };
    let towers = Model::load(&model, Device::Cpu).map_err(unisono_jobs::Error::from)?;
    let asked = Finetune {
        model,
        out: args.out.clone(),
        train,
        held,
        canary,
        epochs: args.epochs.into(),
        batch: args.batch.map(|n| n as usize),
        lr: args.lr,
    };
    let learned = unisono_datasets::open(&asked.train.source)?;
    let other = asked.canary.as_ref().map(|c| unisono_datasets::open(&c.source)).transpose()?;
    let text = asked.recipe(&towers, &*learned, other.as_deref(), finetune::available())?;
    unisono_files::write(path, text).map_err(unisono_jobs::Error::from)?;
    Ok(())
}

/// What is learned and what is held out: the splits that the source has, or a lot by the records' ids.
fn divided(source: SourceConfig, names: [&str; 2], args: &Args) -> Result<(Split, Split), Error> {
    const HELD: [&str; 5] = ["val", "validation", "valid", "dev", "test"];
    let opened = source::open(&source)?;
    let splits = opened.splits();
    let of = |name: &str| Split { source: source.clone(), name: name.to_owned() };
    if let (Some(train), Some(held)) = (
        ["train", "training"].into_iter().find(|name| splits.contains_key(*name)),
        HELD.into_iter().find(|name| splits.contains_key(*name)),
    ) {
        return Ok((of(train), of(held)));
    }
    // Of one item everybody finds the right one.
    let held = args.held_out.max(2.0 / opened.len().max(4) as f64);
    let parts = format!("{}={},{}={held}", names[0], 1.0 - held, names[1]);
    let source = lot(&*opened, source.clone(), &parts, &args.out.join(finetune::SPLITS))?;
    let [train, held] = names.map(|name| Split { source: source.clone(), name: name.to_owned() });
    Ok((train, held))
}

/// The data whose ability is watched: its split for that, or all of it.
fn watched(path: &Path, args: &Args) -> Result<Split, Error> {
    const OF: [&str; 5] = ["test", "val", "validation", "valid", "dev"];
    let source = SourceConfig::new(path);
    let opened = source::open(&source)?;
    let splits = opened.splits();
    if let Some(name) = OF.into_iter().find(|name| splits.contains_key(*name)) {
        return Ok(Split { source, name: name.to_owned() });
    }
    let source = lot(&*opened, source, "canary=1", &args.out.join(finetune::CANARY))?;
    Ok(Split { source, name: "canary".into() })
}

/// The source with splits of these parts, which are written to `out`.
fn lot(opened: &dyn Source, source: SourceConfig, parts: &str, out: &Path) -> Result<SourceConfig, Error> {
    let usual = CheckOptions::default();
    let parts: Parts = parts.parse().map_err(Error::Usage)?;
    let options = SplitOptions {
        parts,
        seed: 0,
        whole_labels: false,
        stratify: None,
        workers: usual.workers,
        copies: None,
    };
    let mut meter = Meter::new();
    let made = split(opened, &options, out, &mut show_progress(&mut meter))?;
    meter.finish();
    name_skipped(&made.skipped);
    let mut source = source;
    source.annotations.push(out.to_owned());
    Ok(source)
}

/// A figure before and after.
struct Found {
    protocol: String,
    metric: String,
    before: f64,
    after: f64,
}

/// What was found before the first step and by the checkpoint that is kept.
fn found(run: &Path, summary: &Summary) -> Result<Vec<Found>, Error> {
    let lines = tracking::read(&run.join("metrics.jsonl"))?;
    let best = summary.best.map(|(_, step)| step);
    let before = lines.iter().find_map(|line| match line {
        Line::Canary(c) if c.step == 0 => Some(&c.outcomes),
        _ => None,
    });
    let after = lines.iter().rev().find_map(|line| match line {
        Line::Eval(e) if best.is_none_or(|step| step == e.step) => Some(&e.outcomes),
        _ => None,
    });
    let (Some(before), Some(after)) = (before, after) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (protocol, outcome) in before {
        for metric in ["r1", "r5"] {
            if let (Some(was), Some(is)) =
                (outcome.value(metric), after.get(protocol).and_then(|o| o.value(metric)))
            {
                found.push(Found {
                    protocol: protocol.clone(),
                    metric: metric.into(),
                    before: was,
                    after: is,
                });
            }
        }
    }
    Ok(found)
}

fn table(found: &[Found]) -> String {
    let width = found.iter().map(|f| f.protocol.chars().count()).max().unwrap_or(0);
    let line = |f: &Found| {
        let (before, after) = (shown(&f.metric, f.before), shown(&f.metric, f.after));
        format!("  {:width$}  {before} before, {after} after\n", f.protocol)
    };
    found.iter().map(line).collect()
}

/// What can be done with it.
fn next(args: &Args) -> String {
    let run = args.out.display();
    let data: Vec<String> = args.data.iter().map(|path| format!("--data {}", path.display())).collect();
    format!(
        "next: unisono index build --model {run} --out {run}-index {}\n      unisono search --index {run}-index \"your words\"\n",
        data.join(" ")
    )
}
