//! `unisono train`.

use crate::{error::Error, interrupt, out, style};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use unisono_media::limits::{self, Spelling};
use unisono_train::{Event, Options, Recipe, StepReport};

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
    let recipe = recipe(args)?;
    if args.dry_run {
        return dry_run(args, &recipe);
    }
    interrupt::install();
    // Before its first step it has done nothing that is worth waiting for.
    interrupt::keeps(interrupt::Kept::Words("no step was done; the same command starts again"));
    let stop = AtomicBool::new(false);
    let options = Options { resume: args.resume, fresh: args.fresh, stop: Some(&stop) };
    let mut screen = Screen::new();
    let summary = unisono_train::train(&recipe, &args.out, options, &mut |event| {
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
    if !summary.finished {
        out::note(&format!(
            "stopped at step {} of {}, saved; the same command with --resume goes on there",
            summary.step, recipe.steps
        ));
        return Err(Error::Interrupted("the checkpoint of the last step is written"));
    }
    if args.json {
        return out::json(&summary);
    }
    let part = |name: &str| summary.parts.get(name).copied().unwrap_or(0.0);
    let in_loop = part("data_wait") + part("forward") + part("backward") + part("optimizer");
    let mut text = format!(
        "trained {} steps in {}: {:.0} of {:.0} GFLOP/s, data wait {:.1} %\n",
        summary.step,
        style::clock(Duration::from_secs_f64(summary.seconds)),
        summary.gflops,
        summary.machine_gflops,
        100.0 * part("data_wait") / in_loop.max(1e-9),
    );
    if let Some((score, step)) = summary.best {
        let captions = !recipe.evaluate.captions.is_empty();
        text += &match (recipe.evaluate.protocol.is_empty(), captions) {
            (true, true) => format!("best: mean CIDEr-D {:.2} at step {step}\n", 10.0 * score),
            (_, true) => {
                format!("best: mean R@5 and a tenth of CIDEr-D, {score:.3} together, at step {step}\n")
            }
            _ => format!("best: mean R@5 {:.1} % at step {step}\n", 100.0 * score),
        };
    }
    if !summary.skipped.is_empty() {
        text +=
            &format!("{} left out; they were named above\n", style::count(summary.skipped.len(), "record"));
    }
    text += &format!("model: {}\n", unisono_train::checkpoint::model_dir(&args.out).display());
    out::print(&text)
}

/// The recipe with its changes. What the changes alone make unsound is wrong usage.
fn recipe(args: &Args) -> Result<Recipe, Error> {
    Recipe::load(&args.recipe, &args.set, &args.without).map_err(|e| {
        let changed = !args.set.is_empty() || !args.without.is_empty();
        if changed && Recipe::load(&args.recipe, &[], &[]).is_ok() {
            return Error::Usage(e.to_string());
        }
        e.into()
    })
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

/// A bar on a terminal, a line every few seconds elsewhere.
struct Screen {
    bar: Option<ProgressBar>,
    plain: bool,
    told: Instant,
    begun: Option<(Instant, u64)>,
}

impl Screen {
    fn new() -> Self {
        Self { bar: None, plain: !std::io::stderr().is_terminal(), told: Instant::now(), begun: None }
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Step(report) => self.step(report),
            Event::Note(text) => self.note(&format!("  {text}")),
            Event::Skipped(skip) => self.note(&format!("  left out {}: {}", skip.id, skip.reason)),
            Event::Evaluated(line) => {
                if line.protocols.is_empty() {
                    self.note(&format!("  step {}", line.step));
                } else {
                    let recall = line.protocols.values().map(|m| m.r5.value).sum::<f64>();
                    let mean = 100.0 * recall / line.protocols.len() as f64;
                    self.note(&format!("  step {}: mean R@5 {mean:.1} %", line.step));
                }
                for (name, s) in &line.captions {
                    let (bleu, exact) = (100.0 * s.bleu4, 100.0 * s.exact);
                    self.note(&format!(
                        "    {name:28} BLEU-4 {bleu:5.1}  CIDEr-D {:5.2}  word for word {exact:5.1} %",
                        s.cider_d
                    ));
                }
                for (name, m) in &line.protocols {
                    let [r1, r5, r10] = [m.r1, m.r5, m.r10].map(|e| 100.0 * e.value);
                    self.note(&format!("    {name:28} R@1 {r1:5.1}  R@5 {r5:5.1}  R@10 {r10:5.1}"));
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
        match &self.bar {
            Some(bar) => bar.suspend(|| out::note(line)),
            None => out::note(line),
        }
    }

    fn step(&mut self, r: StepReport) {
        let message = format!(
            "loss {:.3}  lr {:.1e}  {:.0} samples/s  data wait {:.1} %",
            r.loss,
            r.lr,
            r.samples_per_second,
            100.0 * r.data_wait
        );
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
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
