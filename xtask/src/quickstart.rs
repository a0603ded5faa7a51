//! `cargo xtask quickstart`: from a fresh clone to a trained model and its report, through the product's own command.

mod steps;

use crate::{Error, Result, exec, setup, ui};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use steps::{Plan, Source};

/// Options of `cargo xtask quickstart`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Folder for the data that is fetched
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Folder for the model, the metrics and report.html
    #[arg(long, value_name = "DIR", default_value = "runs/quickstart")]
    out: PathBuf,
    /// The training recipe
    #[arg(long, value_name = "FILE", default_value = "recipes/quickstart.toml")]
    recipe: PathBuf,
    /// Delete the earlier run and train anew (the data stay)
    #[arg(long)]
    fresh: bool,
}

/// Exit code of `unisono data sample` when the tool that fetches (npm, apt) is missing.
const TOOL_MISSING: i32 = 3;

/// Runs the stages; what an earlier call finished is kept.
pub(crate) fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let mut ledger = Ledger::new();
    let ready = ledger.time("set-up", || setup::run(&setup::Args::default()))?;
    let mut plan = Plan::new(&ready.workspace, &args.data, &args.out, &args.recipe);
    if args.fresh {
        delete_run(&plan.out)?;
    }
    let towers = plan.towers()?;
    plan.place_recipe()?;
    let unisono = ledger.time("build", || build(&ready))?;
    let missing = ledger.time("data", || {
        towers.map_or(Ok(()), |out| setup::towers(&setup::TowersArgs { out }))?;
        fetch_data(&unisono, &plan)
    })?;
    for source in &missing {
        ui::say(&format!(
            "note: {} is left out: {} is not installed ({})",
            source.name, source.tool, source.fix
        ));
    }
    ledger.left_out = missing.iter().map(|source| source.name).collect();
    if steps::is_trained(&plan.out) {
        ui::say("== train: done by an earlier call (--fresh trains anew)");
        ledger.keep(&plan.out, "train");
    } else {
        // First of all, so that --fresh knows the folder again even after an interruption.
        ledger.write(&plan.out)?;
        let words = plan.train(&ledger.left_out);
        ledger.time("train", || must(&unisono, "train", &plan, &words))?;
    }
    ledger.write(&plan.out)?;
    match plan.fuse(&ledger.left_out) {
        Some(_) if steps::is_trained(&plan.fused()) => {
            ui::say("== fuse: done by an earlier call (--fresh trains anew)");
            ledger.keep(&plan.out, "fuse");
        }
        Some(words) => ledger.time("fuse", || must(&unisono, "fuse", &plan, &words))?,
        None => (),
    }
    ledger.write(&plan.out)?;
    ledger.time("search", || {
        plan.search(&missing).iter().try_for_each(|words| must(&unisono, "search", &plan, words))
    })?;
    // Before the report, which shows where the time went.
    ledger.write(&plan.out)?;
    ledger.time("report", || must(&unisono, "report", &plan, &plan.report()))?;
    ledger.write(&plan.out)?;
    for (name, seconds) in &ledger.stages {
        ui::say(&format!("  {name:8} {seconds:8.1} s"));
    }
    ui::say(&format!("  total    {:8.1} s", begun.elapsed().as_secs_f64()));
    println!("report: file://{}", plan.report_file().display());
    Ok(())
}

fn must(unisono: &Path, what: &str, plan: &Plan, words: &[String]) -> Result<()> {
    let mut command = Command::new(unisono);
    command.args(words).current_dir(&plan.workspace);
    ui::say(&format!("$ unisono {}", words.join(" ")));
    exec::must(what, &mut command)
}

fn build(ready: &setup::Ready) -> Result<PathBuf> {
    exec::must("build", ready.cargo()?.args(["build", "--release", "--package", "unisono"]))?;
    let mut metadata = ready.cargo()?;
    metadata.args(["metadata", "--no-deps", "--format-version=1"]);
    let output =
        metadata.output().map_err(|source| Error::Start { command: exec::spell(&metadata), source })?;
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let target = json.get("target_directory").and_then(serde_json::Value::as_str).map(PathBuf::from);
    Ok(target.unwrap_or_else(|| ready.workspace.join("target")).join("release/unisono"))
}

/// Fetches every source that is not there yet; returns those whose tool is missing.
fn fetch_data(unisono: &Path, plan: &Plan) -> Result<Vec<&'static Source>> {
    let mut missing = Vec::new();
    for source in &steps::SOURCES {
        if plan.manifest(source).exists() {
            ui::say(&format!("  {}: there already", source.name));
            continue;
        }
        let words = plan.fetch(source);
        let mut command = Command::new(unisono);
        command.args(&words).current_dir(&plan.workspace);
        ui::say(&format!("$ unisono {}", words.join(" ")));
        match exec::run(source.name, &mut command)? {
            0 => (),
            TOOL_MISSING => missing.push(source),
            code => {
                let (what, command) = (format!("fetching {}", source.name), exec::spell(&command));
                return Err(Error::Failed { what, command, status: format!("exit code {code}") });
            }
        }
    }
    if missing.len() == steps::SOURCES.len() {
        let fixes: Vec<_> = missing
            .iter()
            .map(|source| format!("{} comes by {} ({})", source.name, source.tool, source.fix))
            .collect();
        return Err(Error::NoData(fixes.join("; ")));
    }
    Ok(missing)
}

/// Deletes an earlier run, and nothing that is not one.
fn delete_run(out: &Path) -> Result<()> {
    if !out.exists() {
        return Ok(());
    }
    if !out.join(STAGES).exists() {
        return Err(Error::NotOurs { path: out.to_owned() });
    }
    fs::remove_dir_all(out).map_err(Error::io("deleting", out))
}

const STAGES: &str = "stages.json";

/// Stages with their wall times in seconds, kept as `stages.json` in the run's folder.
struct Ledger {
    stages: Vec<(String, f64)>,
    left_out: Vec<&'static str>,
}

impl Ledger {
    fn new() -> Self {
        Self { stages: Vec::new(), left_out: Vec::new() }
    }

    fn time<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        ui::say(&format!("== {name}"));
        let begun = Instant::now();
        let done = work()?;
        self.stages.push((name.to_owned(), begun.elapsed().as_secs_f64()));
        Ok(done)
    }

    /// Takes over the time that an earlier call wrote down for `name`.
    fn keep(&mut self, out: &Path, name: &str) {
        let text = fs::read_to_string(out.join(STAGES)).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(seconds) = json.pointer(&format!("/stages/{name}")).and_then(serde_json::Value::as_f64) {
            self.stages.push((name.to_owned(), seconds));
        }
    }

    fn write(&self, out: &Path) -> Result<()> {
        let stages: serde_json::Map<_, _> =
            self.stages.iter().map(|(name, seconds)| (name.clone(), (*seconds).into())).collect();
        let text =
            serde_json::json!({ "unit": "seconds", "stages": stages, "left_out": self.left_out }).to_string();
        let (path, fresh) = (out.join(STAGES), out.join("stages.json.tmp"));
        fs::create_dir_all(out).map_err(Error::io("creating", out))?;
        fs::write(&fresh, text + "\n").map_err(Error::io("writing", &fresh))?;
        fs::rename(&fresh, &path).map_err(Error::io("writing", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_a_second_call() {
        let out = tempfile::tempdir().unwrap();
        let mut first = Ledger::new();
        first.stages = vec![("build".to_owned(), 2.5), ("train".to_owned(), 240.25)];
        first.left_out = vec!["stamps"];
        first.write(out.path()).unwrap();
        let mut second = Ledger::new();
        second.keep(out.path(), "train");
        second.keep(out.path(), "unknown");
        assert_eq!(second.stages, [("train".to_owned(), 240.25)]);
        assert!(fs::read_to_string(out.path().join(STAGES)).unwrap().contains("\"left_out\":[\"stamps\"]"));
    }

    #[test]
    fn fresh_deletes_only_a_quickstart_run() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        delete_run(&out).unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("thesis.txt"), "mine").unwrap();
        assert!(delete_run(&out).unwrap_err().to_string().contains("--out"));
        Ledger::new().write(&out).unwrap();
        delete_run(&out).unwrap();
        assert!(!out.exists());
    }
}
