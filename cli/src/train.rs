//! `unisono train`.

use crate::{error::Error, interrupt, out, place, style};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use unisono_eval::protocol::shown;
use unisono_media::limits::{self, Spelling};
use unisono_torch_ext::Launch;
use unisono_train::recipe::Best;
use unisono_train::{Event, Options, Recipe, StepReport, Summary};

/// Follow a training recipe: aligned encoders from a TOML file.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The recipe.
    recipe: PathBuf,
    /// Directory of the run: checkpoints (last/, best/), metrics.jsonl, tensorboard/, summary.json.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Change a value of the recipe: KEY=VALUE, as in steps=100 or data.emoji-en.per_batch=64. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Leave out the sources and protocols of this name (or NAME-…). May be repeated.
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Go on from the last checkpoint in the directory, exactly; begin when there is none. With more steps than before (--set steps=N) a run,
    /// a finished one too, becomes longer: from there on its learning rate is that of the longer run.
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Begin again, whatever the directory holds.
    #[arg(long)]
    fresh: bool,
    /// Check the recipe, say what training would do in the directory, and stop before any data are read.
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    limits::spell(Spelling::Recipe);
    let recipe = recipe(&args.recipe, &args.set, &args.without)?;
    if args.dry_run {
        return dry_run(args, &recipe);
    }
    let leads = leads()?;
    let summary = follow(&recipe, &args.out, (args.resume, args.fresh))?;
    // Of several processes the first tells what all have done.
    if !leads {
        return Ok(());
    }
    if args.json {
        return out::json(&summary);
    }
    if !summary.finished {
        return Ok(());
    }
    out::print(&told(&recipe, &args.out, &summary)?)
}

/// Whether this process tells what is done: it is alone, or the first of those that torchrun, MPI or Slurm have started.
fn leads() -> Result<bool, Error> {
    let launch = Launch::from_environment().map_err(|e| Error::Usage(e.to_string()))?;
    Ok(launch.is_none_or(|launch| launch.rank == 0))
}

/// Follows a recipe to its end, shown on the terminal. One that was stopped is [`Error::Interrupted`], but for one that a scheduler stopped: that is
/// not finished, and no failure.
pub(crate) fn follow(recipe: &Recipe, run: &Path, (resume, fresh): (bool, bool)) -> Result<Summary, Error> {
    interrupt::install();
    let leads = leads()?;
    let recipe = &located(recipe.clone())?;
    interrupt::mind_schedulers();
    // Before its first step it has done nothing that is worth waiting for.
    interrupt::keeps(interrupt::Kept::Words("no step was done; the same command starts again"));
    let stop = AtomicBool::new(false);
    let options = Options { resume, fresh, stop: Some(&stop) };
    let mut screen = Screen::new(leads);
    let summary = unisono_train::train(recipe, run, options, &mut |event| {
        // A signal handler can only raise a flag of its own: it is handed on here, once a step.
        if interrupt::wanted() {
            stop.store(true, Ordering::Relaxed);
        }
        if matches!(event, Event::Step(_)) {
            interrupt::be_patient();
            interrupt::keeps(interrupt::Kept::Words("the last checkpoint is kept; --resume goes on there"));
        }
        screen.show(event);
    });
    screen.finish();
    let summary = summary?;
    if !summary.finished && !leads {
        return stopped(summary);
    }
    if !summary.finished && summary.step == 0 {
        out::note("stopped before the first step; the same command goes on, with the features that are kept");
        return Err(Error::Interrupted("no step was done"));
    }
    if !summary.finished {
        out::note(&format!("stopped at step {} of {}, saved; go on with:", summary.step, recipe.steps));
        out::note(&format!("  {}", resume_command(std::env::args())));
        return stopped(summary);
    }
    Ok(summary)
}

/// A run that was stopped and can go on.
fn stopped(summary: Summary) -> Result<Summary, Error> {
    if interrupt::by_a_scheduler() {
        // Nothing failed: who takes the machine away starts the command again.
        return Ok(summary);
    }
    Err(Error::Interrupted("the checkpoint of the last step is written"))
}

/// How a run ended.
pub(crate) fn told(recipe: &Recipe, run: &Path, summary: &Summary) -> Result<String, Error> {
    let part = |name: &str| summary.parts.get(name).copied().unwrap_or(0.0);
    let in_loop =
        part("data_wait") + part("forward") + part("backward") + part("exchange") + part("optimizer");
    let mut text = format!(
        "trained {} steps in {}: {:.0} of {:.0} GFLOP/s, data wait {:.1} %\n",
        summary.step,
        style::clock(Duration::from_secs_f64(summary.seconds)),
        summary.gflops,
        summary.machine_gflops,
        100.0 * part("data_wait") / in_loop.max(1e-9),
    );
    if let Some(world) = &summary.world {
        text += &format!(
            "{} processes: each sent {} a step and waited {:.1} % of the time for the others\n",
            world.processes,
            size(world.bytes_a_step),
            100.0 * world.wait
        );
    }
    if let (Some((score, step)), Some(best)) = (summary.best, recipe.best()?) {
        text += &format!("best: {} at step {step}\n", best.shown(score));
    }
    if !summary.skipped.is_empty() {
        text +=
            &format!("{} left out; they were named above\n", style::count(summary.skipped.len(), "record"));
    }
    if summary.left_out > 0 {
        text += &format!("steps left out, of no finite loss or gradient: {}\n", summary.left_out);
    }
    text += &format!("energy: {}\n", summary.energy);
    for (name, watched) in &summary.canary {
        let fell = if watched.fell { ", fell by more than the recipe tolerates" } else { "" };
        text += &format!("watched: {name} {}{fell}\n", watched.shown());
    }
    text += &format!("model: {}\n", unisono_train::checkpoint::model_dir(run).display());
    Ok(text)
}

/// Bytes, in the unit that suits.
fn size(bytes: f64) -> String {
    if bytes < 1e6 { format!("{:.0} kB", bytes / 1e3) } else { format!("{:.1} MB", bytes / 1e6) }
}

/// The recipe with its changes. What the changes alone make unsound is wrong usage.
pub(crate) fn recipe(path: &Path, set: &[String], without: &[String]) -> Result<Recipe, Error> {
    Recipe::load(path, set, without).map_err(|e| {
        let changed = !set.is_empty() || !without.is_empty();
        if changed && Recipe::load(path, &[], &[]).is_ok() {
            return Error::Usage(e.to_string());
        }
        e.into()
    })
}

/// This command, as a shell takes it, to go on with.
fn resume_command(args: impl Iterator<Item = String>) -> String {
    let quoted = |word: String| {
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
        let is_plain = !word.is_empty() && word.chars().all(plain);
        if is_plain { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let kept = args.filter(|word| word != "--fresh" && word != "--resume");
    let mut words: Vec<String> = kept.map(quoted).collect();
    words.push("--resume".into());
    words.join(" ")
}

/// The recipe with the folders of those models that it names by their hub ids.
pub(crate) fn located(mut recipe: Recipe) -> Result<Recipe, Error> {
    let named = recipe.tower.values_mut().map(|tower| &mut tower.from).chain(recipe.init.as_mut());
    for path in named {
        // A run is named as it is: its best checkpoint is looked for where it is read.
        if !path.exists() {
            *path = place::model(path)?;
        }
    }
    Ok(recipe)
}

/// Says what the recipe would do in the run's folder, and trains nothing.
fn dry_run(args: &Args, recipe: &Recipe) -> Result<(), Error> {
    let at = unisono_train::checkpoint::progress(&args.out)?.map(|p| p.step);
    let would = match at {
        None => "begin".to_owned(),
        Some(_) if args.fresh => "begin again".to_owned(),
        Some(step) if args.resume => format!("go on at step {step}"),
        Some(step) => format!("stop: a run at step {step} lies there, give --resume or --fresh"),
    };
    if args.json {
        return out::json(&json!({
            "recipe": args.recipe, "steps": recipe.steps, "out": args.out, "step": at, "would": would,
        }));
    }
    out::print(&format!(
        "{}: a sound recipe of {} steps\n{}: training would {would}\n",
        args.recipe.display(),
        recipe.steps,
        args.out.display()
    ))
}

/// What is told of an evaluation; all that was measured is in the metrics.
const FIGURES: [&str; 6] = ["r1", "r5", "r10", "bleu4", "cider_d", "exact"];

/// A bar on a terminal, a line every few seconds elsewhere.
struct Screen {
    /// Of several processes the others name what they leave out, and nothing else.
    leads: bool,
    bar: Option<ProgressBar>,
    /// Of the features of frozen towers.
    kept: Option<ProgressBar>,
    plain: bool,
    told: Instant,
    begun: Option<(Instant, u64)>,
}

impl Screen {
    fn new(leads: bool) -> Self {
        Self {
            leads,
            bar: None,
            kept: None,
            plain: !std::io::stderr().is_terminal(),
            told: Instant::now(),
            begun: None,
        }
    }

    fn show(&mut self, event: Event) {
        if !self.leads && !matches!(event, Event::Skipped(_)) {
            return;
        }
        match event {
            Event::Step(report) => self.step(report),
            Event::Features { done, of } => self.features(done, of),
            Event::Note(text) => self.note(&format!("  {text}")),
            Event::Skipped(skip) => self.note(&format!("  left out {}: {}", skip.id, skip.reason)),
            Event::Evaluated(line) => {
                let best = Best::parse(&line.by).map(|best| best.shown(line.score));
                self.note(&format!("  step {}: {}", line.step, best.unwrap_or_default()));
                for (name, outcome) in &line.outcomes {
                    let figure =
                        |metric: &&str| Some(format!("{:16}", shown(metric, outcome.value(metric)?)));
                    let figures: String = FIGURES.iter().filter_map(figure).collect();
                    self.note(&format!("    {name:28} {}", figures.trim_end()));
                }
            }
            Event::Saved(step) if !self.plain => {
                if let Some(bar) = &self.bar {
                    bar.set_prefix(format!("saved {step}"));
                }
            }
            Event::Saved(_) => {}
        }
    }

    fn note(&self, line: &str) {
        match self.bar.as_ref().or(self.kept.as_ref()) {
            Some(bar) => bar.suspend(|| out::note(line)),
            None => out::note(line),
        }
    }

    fn features(&mut self, done: usize, of: usize) {
        if self.plain && self.told.elapsed() < Duration::from_secs(5) {
            return;
        }
        self.told = Instant::now();
        match &self.kept {
            _ if self.plain => out::note(&format!("  features {done}/{of}")),
            Some(bar) => bar.set_position(done as u64),
            None => self.kept = Some(features_bar(done, of)),
        }
    }

    fn step(&mut self, r: StepReport) {
        if let Some(bar) = self.kept.take() {
            bar.finish_and_clear();
        }
        let message = format!(
            "loss {:.3}  lr {:.1e}  {:.0} samples/s  data wait {:.1} %",
            r.loss,
            r.lr,
            r.samples_per_second,
            100.0 * r.data_wait
        );
        let message = match r.sent_bytes {
            0 => message,
            sent => format!("{message}  sent {}, wait {:.1} %", size(sent as f64), 100.0 * r.world_wait),
        };
        let (begun, first) = *self.begun.get_or_insert((Instant::now(), r.step));
        if self.plain {
            if self.told.elapsed() >= Duration::from_secs(5) || r.step == r.steps {
                self.told = Instant::now();
                let each = begun.elapsed().as_secs_f64() / (r.step - first).max(1) as f64;
                let left = Duration::from_secs_f64(each * (r.steps - r.step) as f64);
                out::note(&format!("  step {}/{}  {message}  ETA {}", r.step, r.steps, style::clock(left)));
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(r.steps).with_position(r.step);
            let template = "  {bar:26} {pos}/{len}  {msg}  ETA {eta}  {prefix:.dim}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.reset_eta();
            bar
        });
        bar.set_position(r.step);
        bar.set_message(message);
    }

    fn finish(&mut self) {
        for bar in [self.bar.take(), self.kept.take()].into_iter().flatten() {
            bar.finish_and_clear();
        }
    }
}

fn features_bar(done: usize, of: usize) -> ProgressBar {
    let bar = ProgressBar::new(of as u64).with_position(done as u64);
    if let Ok(style) = ProgressStyle::with_template("  features {bar:26} {pos}/{len}  ETA {eta}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_go_on_with() {
        let of = |words: &[&str]| resume_command(words.iter().map(|w| (*w).to_owned()));
        assert_eq!(of(&["unisono", "train", "r.toml", "--fresh"]), "unisono train r.toml --resume");
        assert_eq!(of(&["u", "--resume", "my run", "it's"]), r"u 'my run' 'it'\''s' --resume");
    }
}
