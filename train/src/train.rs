//! The training program, top to bottom: start, loop (load, step, log, evaluate, save), finish.

use crate::canary::Canary;
use crate::checkpoint::{self, Progress};
use crate::clock::{Clock, Window};
use crate::data::Preparer;
use crate::evaluate::Evaluation;
use crate::events::{Event, Loading, Options, StepReport, Summary};
use crate::given::Given;
use crate::optimizer::Optimizer;
use crate::setup::{self, Sources};
use crate::step::{Step, finite};
use crate::tracking::{Line, Tracker};
use crate::world::World;
use crate::{Recipe, Result, flops, folder, keep, resume, schedule, towers, tuning};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use unisono_datasets::{Allowed, Loader, LoaderOptions};
use unisono_torch_ext::{cuda, library, threads};

/// Steps between lines of the metrics.
const LOG_EVERY: u64 = 10;

/// Follows `recipe` in the directory `run`.
///
/// # Errors
/// Settings that cannot work, data or checkpoints that cannot be read, a loss that is not a number. The last checkpoint is
/// untouched then.
pub fn train(recipe: &Recipe, run: &Path, options: Options, tell: &mut dyn FnMut(Event)) -> Result<Summary> {
    let (world, mut clock) = (World::alone(), Clock::start());

    // ==== start: resume from last/ when asked and there is one, otherwise from scratch ================================
    let device = cuda::device(&recipe.device)?;
    let threads = threads::set((recipe.threads > 0).then_some(recipe.threads));
    library::keep_freed_memory();
    let _held = folder::claim(run)?;
    let before = resume::begin(recipe, run, options)?;
    let mut sources = Sources::default();
    let sampler = Arc::new(setup::sampler(recipe, &mut sources)?);
    setup::describe(&sampler, recipe.steps).into_iter().for_each(|note| tell(Event::Note(note)));
    let (model, shadow) = setup::learners(recipe, run, &sampler, before.is_some(), device)?;
    let mut optimizer =
        Optimizer::new(&model.params(), &recipe.optimizer, &towers::rules(recipe, &model.params()))?;
    if before.is_some() {
        checkpoint::restore(run, &model, &mut optimizer)?;
    }
    let noises = setup::noises(recipe, &mut sources)?;
    let data = setup::sums(&sampler, noises.as_ref())?;
    resume::describe(before.as_ref(), recipe, &data).into_iter().for_each(|note| tell(Event::Note(note)));
    let mut progress = Progress::going_on(before, recipe, data);
    clock.resume(&progress.parts);
    let parameters = model.params().count();
    let millions = parameters as f64 / 1e6;
    tell(Event::Note(format!("{millions:.2} M parameters on {device:?}, {threads} threads")));
    tuning::describe(recipe, &model, &optimizer).into_iter().for_each(|note| tell(Event::Note(note)));
    let mut evaluation = Evaluation::new(recipe, &model, &mut sources, tell)?;
    sources.notes().into_iter().for_each(|note| tell(Event::Note(note)));
    let whole = Step::new(&model, recipe)?;
    let preparer = Preparer::new(recipe, model.towers(), noises)?;
    let workers = if recipe.loader.workers > 0 { recipe.loader.workers } else { threads::available() };
    let features = keep::keep(recipe, &model, (&sampler, &preparer), run, workers, options.stop, tell)?;
    let preparer = preparer.with_features(features, Given::open(recipe, model.towers(), &sampler)?);
    let stopped = options.stop.is_some_and(|s| s.load(Ordering::Relaxed));
    clock.lap("features");
    let loader = LoaderOptions {
        workers,
        prefetch: recipe.loader.prefetch.max(1),
        start_step: progress.step,
        end_step: recipe.steps.max(progress.step),
        max_skip: Allowed { records: recipe.loader.max_skip, fraction: recipe.loader.max_skip_fraction },
        rank: (world.rank(), world.size()),
    };
    let mut loader =
        Loader::start(sampler.clone(), loader, move |draw, record| preparer.prepare(draw, record))?;
    let mut tracker = Tracker::open(run, progress.step)?;
    unisono_files::write(&run.join("recipe.toml"), folder::MARK.to_owned() + &recipe.to_toml()?)?;
    let (mut window, mut saved, mut told) = (Window::default(), progress.step, Vec::new());
    clock.lap("start");
    let mut canary = Canary::new(recipe, &progress.canary);
    if progress.step == 0
        && !stopped
        && let Some(line) = canary.look(&mut evaluation, None, &shadow, ((0, 0.0), false), tell)?
    {
        tracker.write(&Line::Canary(line))?;
        clock.lap("evaluate");
    }

    // ==== loop ========================================================================================================
    while !stopped && progress.step < recipe.steps {
        // ---- load
        let Some(batch) = loader.next() else { break };
        let batch = batch?;
        batch.skipped.iter().for_each(|s| tell(Event::Skipped(s)));
        let items = batch.real();
        clock.lap("data_wait");

        // ---- step
        let at = (progress.step, saved);
        let made = whole.gradients(&items, &optimizer.params(), at, &mut clock)?;
        let lr = schedule::learning_rate(&recipe.optimizer, progress.step, recipe.steps);
        let norm = optimizer.step(&world.mean(made.of)?, lr)?;
        finite(norm, "the gradient's norm", at, &items)?;
        shadow.follow(&model, recipe.optimizer.ema, progress.step)?;
        clock.lap("optimizer");
        progress.step += 1;
        progress.samples += items.len() as u64;
        // The backward pass costs twice the forward pass. What checkpointing runs again is not counted: a rate is of useful work.
        progress.flops += 3.0 * made.flops;

        // ---- log
        window.add(made.loss, norm, lr, items.len(), &made.parts);
        let now = (progress.step, progress.seconds + clock.total());
        let last = progress.step == recipe.steps;
        let due = |every: u64| last || (every > 0 && progress.step.is_multiple_of(every));
        if due(LOG_EVERY) && world.leads() {
            tracker.write(&Line::Train(window.take(now, model.towers(), &clock)))?;
        }
        tell(Event::Step(StepReport {
            step: progress.step,
            steps: recipe.steps,
            loss: made.loss,
            lr,
            samples_per_second: clock.rate(loader.stats().samples),
            data_wait: clock.share("data_wait"),
        }));

        if sampler.ends_an_epoch(progress.step - 1) {
            setup::faults(loader.faults(), &mut told).into_iter().for_each(|note| tell(Event::Note(note)));
        }

        // ---- evaluate
        let mut known = None;
        if due(recipe.evaluate_every)
            && world.leads()
            && let Some(line) = evaluation.run(&shadow, now, tell)?
        {
            if evaluation.is_better(line.score, progress.best) {
                progress.best = Some((line.score, progress.step));
                checkpoint::save_best(run, &shadow)?;
            }
            tell(Event::Evaluated(&line));
            known = Some(line.outcomes.clone());
            tracker.write(&Line::Eval(line))?;
            clock.lap("evaluate");
        }

        if let Some(line) = canary.look(&mut evaluation, known.as_ref(), &shadow, (now, last), tell)? {
            progress.canary.clone_from(canary.figures());
            tracker.write(&Line::Canary(line))?;
            clock.lap("evaluate");
        }

        // ---- save
        let stopping = options.stop.is_some_and(|s| s.load(Ordering::Relaxed));
        if (due(recipe.checkpoint.every) || stopping) && world.leads() {
            checkpoint::save(run, &progress.after(&clock), &shadow, &model, &optimizer)?;
            saved = progress.step;
            tell(Event::Saved(saved));
            clock.lap("checkpoint");
        }
        if stopping {
            break;
        }
    }

    // ==== finish ======================================================================================================
    let progress = progress.after(&clock);
    setup::faults(loader.faults(), &mut told).into_iter().for_each(|note| tell(Event::Note(note)));
    let loaded = loader.stats();
    loaded
        .verdict(clock.busy() + loaded.wait.as_secs_f64(), workers)
        .into_iter()
        .for_each(|note| tell(Event::Note(note)));
    let summary = Summary {
        step: progress.step,
        finished: progress.step >= recipe.steps,
        best: progress.best,
        seconds: progress.seconds,
        parts: progress.parts,
        samples: progress.samples,
        parameters,
        canary: progress.canary.clone(),
        gflops: progress.flops / clock.busy().max(1e-9) / 1e9,
        machine_gflops: flops::machine_rate(device)? / 1e9,
        threads: tch::get_num_threads(),
        device: format!("{device:?}"),
        skipped: loader.skipped().clone(),
        faults: loader.faults(),
        loading: Loading::of(&loaded),
    };
    unisono_files::write_json(&run.join("summary.json"), &summary)?;
    Ok(summary)
}
