//! The training program, top to bottom: start, loop (load, step, log, evaluate, save), finish.

use crate::bridges::Bridges;
use crate::canary::Canary;
use crate::checkpoint::{self, Chosen, Progress};
use crate::clock::{Clock, Window};
use crate::data::Preparer;
use crate::energy::Meter;
use crate::evaluate::Evaluation;
use crate::events::{Event, Loading, Options, StepReport, Summary};
use crate::exchange::Exchange;
use crate::given::Given;
use crate::nonfinite::Guard;
use crate::optimizer::Optimizer;
use crate::setup::{self, Sources};
use crate::step::{Step, finite};
use crate::tracking::{Line, Tracker, TrainLine};
use crate::world::World;
use crate::{Recipe, Result, flops, folder, keep, resume, schedule, towers, tuning};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use unisono_datasets::{Allowed, Loader, LoaderOptions};
use unisono_torch_ext::library;

/// Steps between lines of the metrics.
const LOG_EVERY: u64 = 10;

/// Follows `recipe` in the directory `run`.
///
/// # Errors
/// Settings that cannot work, data or checkpoints that cannot be read, a loss that is not a number, another process that dies. The last
/// checkpoint is untouched then.
pub fn train(recipe: &Recipe, run: &Path, options: Options, tell: &mut dyn FnMut(Event)) -> Result<Summary> {
    // Alone, or one of those that torchrun, MPI or Slurm has started together.
    let world = World::from_environment(recipe.world.patience())?;
    let made = world.telling(follow(recipe, run, &world, options, tell));
    if made.is_err() {
        world.abandon();
    }
    made
}

/// The program of each process of `world`. The first of them, which leads, writes and tells what all make.
fn follow(
    recipe: &Recipe,
    run: &Path,
    world: &World,
    options: Options,
    tell: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let (mut clock, options) = (Clock::start(), resume::going_on(world, options));
    let tell = &mut |event: Event| {
        // A record that is left out only one process knows of; a step's end each has to be told, to be stopped.
        if world.leads() || matches!(event, Event::Skipped(_) | Event::Step(_) | Event::Features { .. }) {
            tell(event);
        }
    };

    // ==== start: resume from last/ when asked and there is one, otherwise from scratch ================================
    let device = world.device(&recipe.device)?;
    let threads = world.set_threads(recipe.threads);
    library::keep_freed_memory();
    let mut meter = Meter::start(&recipe.energy, device, threads);
    world.describe().into_iter().for_each(|note| tell(Event::Note(note)));
    let led = world.leader_first(|| Ok((folder::claim(run)?, resume::begin(recipe, run, options, tell)?)))?;
    let before = match &led {
        Some((_, before)) => before.clone(),
        // As the leader left it.
        None => checkpoint::progress(run)?,
    };
    let mut sources = Sources::default();
    let sampler = Arc::new(setup::sampler(recipe, &mut sources)?);
    setup::describe(&sampler, recipe.steps).into_iter().for_each(|note| tell(Event::Note(note)));
    let (model, shadow) = setup::learners(recipe, run, &sampler, before.is_some(), device)?;
    // What is measured and saved: the average, or what is trained itself.
    let evaluated = shadow.as_ref().unwrap_or(&model);
    let bridges = Bridges::of(recipe, &model)?;
    let trained = bridges.beside(&model);
    let mut optimizer = Optimizer::new(&trained, &recipe.optimizer, &towers::rules(recipe, &trained))?;
    if recipe.world.zero {
        optimizer.shard(world);
    }
    bridges.describe().into_iter().for_each(|note| tell(Event::Note(note)));
    tell(Event::Note(optimizer.describe()));
    if let Some(before) = &before {
        checkpoint::restore(run, before, &trained, &mut optimizer)?;
    }
    let noises = setup::noises(recipe, &mut sources)?;
    let data = setup::sums(&sampler, noises.as_ref())?;
    let begun = before.as_ref().map_or(0, |before| before.step);
    resume::same_start(world, recipe, (begun, &data), &trained)?;
    world.follow_leader(&trained)?;
    shadow.iter().try_for_each(|shadow| world.follow_leader(&shadow.params()))?;
    resume::describe(before.as_ref(), recipe, &data).into_iter().for_each(|note| tell(Event::Note(note)));
    let mut progress = Progress::going_on(before, recipe, data);
    clock.resume(&progress.parts);
    let parameters = model.params().count();
    let millions = parameters as f64 / 1e6;
    tell(Event::Note(format!("{millions:.2} M parameters on {device:?}, {threads} threads")));
    tuning::describe(recipe, &model, &optimizer).into_iter().for_each(|note| tell(Event::Note(note)));
    let mut evaluation = Evaluation::new(recipe, &model, &mut sources, tell)?;
    sources.notes().into_iter().for_each(|note| tell(Event::Note(note)));
    let mut step = Step::new(&model, recipe, progress.micro)?.with(bridges.weights()).among(world);
    let preparer = Preparer::new(recipe, model.towers(), noises)?;
    let workers = if recipe.loader.workers > 0 { recipe.loader.workers } else { world.cores() };
    let features =
        keep::keep(recipe, &model, (&sampler, &preparer), (run, world), workers, options.stop, tell)?;
    if progress.step == 0 {
        [&model, evaluated].into_iter().try_for_each(|learner| features.standardise(learner.towers()))?;
    }
    let given = Given::open(recipe, model.towers(), &sampler)?;
    resume::same_vectors(&progress.vectors, &given.sums())?;
    progress.vectors = given.sums();
    let preparer = preparer.with_features(features, given);
    let [stopped] = world.any([options.stop.is_some_and(|s| s.load(Ordering::Relaxed))])?;
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
    let mut tracker = Tracker::open(run, progress.step, world)?;
    if world.leads() {
        unisono_files::write(&run.join("recipe.toml"), folder::MARK.to_owned() + &recipe.to_toml()?)?;
    }
    let (mut window, mut saved, mut told) = (Window::default(), progress.step, Vec::new());
    let mut guard = Guard::new(&recipe.optimizer, run, &model, world)?;
    let mut exchange = Exchange::default();
    clock.lap("start");
    let mut saved_at = clock.total();
    let mut canary = Canary::new(recipe, &progress.canary);
    if progress.step == 0
        && !stopped
        && let Some(line) = canary.look(&mut evaluation, None, evaluated, ((0, 0.0), false), world, tell)?
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
        exchange.begin(world);
        let drawn = world.total(items.len() as f64)? as usize;
        let lr = schedule::learning_rate(&recipe.optimizer, progress.step, recipe.steps);
        let made = step.gradients(&items, &optimizer.params(), at, &mut clock);
        progress.micro = step.micro();
        step.notes().into_iter().for_each(|note| tell(Event::Note(note)));
        let stepped = made.and_then(|made| {
            let gradients = world.sum(made.of, &optimizer.params())?;
            if !world.is_alone() {
                clock.lap("exchange");
            }
            let norm = optimizer.step(&gradients, lr)?;
            finite(norm, "the gradient's norm", at, &items)?;
            optimizer.spread(world)?;
            world.mean(&step.statistics_of_all())?;
            Ok((made.loss, norm, made.parts, made.flops))
        });
        exchange.end(world);
        let stepped = guard.look(stepped, &items, &mut progress, tell)?;
        if let Some((loss, norm, parts, flops)) = &stepped {
            if let Some(shadow) = &shadow {
                shadow.follow(&model, &recipe.optimizer.ema, progress.step)?;
            }
            window.add(*loss, *norm, lr, drawn, parts);
            // The backward pass costs twice the forward pass. What checkpointing runs again is not counted: a rate is of useful work.
            progress.flops += 3.0 * flops;
        }
        clock.lap("optimizer");
        progress.step += 1;
        progress.samples += drawn as u64;
        progress.joules += meter.joules();

        // ---- log
        let now = (progress.step, progress.seconds + clock.total());
        let last = progress.step == recipe.steps;
        let due = |every: u64| last || (every > 0 && progress.step.is_multiple_of(every));
        if due(LOG_EVERY) && world.leads() && !window.is_empty() {
            let means = window.take(now, model.towers(), &clock);
            let (grad_norms, energy_kwh) = (optimizer.norms()?, meter.energy(progress.joules).kwh);
            let line = TrainLine { grad_norms, energy_kwh, ..means };
            tracker.write(&Line::Train(exchange.line(&clock, line)))?;
        }
        let report = StepReport {
            step: progress.step,
            steps: recipe.steps,
            loss: stepped.map_or(f64::NAN, |(loss, ..)| loss),
            lr,
            samples_per_second: clock.rate(loader.stats().samples) * drawn.max(1) as f64
                / items.len().max(1) as f64,
            data_wait: clock.share("data_wait"),
            sent_bytes: 0,
            world_wait: 0.0,
        };
        tell(Event::Step(exchange.report(&clock, report)));

        if sampler.ends_an_epoch(progress.step - 1) {
            setup::faults(loader.faults(), &mut told).into_iter().for_each(|note| tell(Event::Note(note)));
        }

        // ---- evaluate
        let mut known = None;
        if due(recipe.evaluate_every)
            && let Some(line) = evaluation.run(evaluated, now, world, tell)?
        {
            let better = evaluation.is_better(line.score, progress.best);
            if better {
                progress.best = Some((line.score, progress.step));
            }
            let chosen = Chosen { step: progress.step, score: line.score, by: line.by.clone() };
            let kept = (better, evaluation.less_is_better());
            if world.leads() {
                checkpoint::save_best(run, &recipe.checkpoint, evaluated, &chosen, kept)?;
            }
            tell(Event::Evaluated(&line));
            known = Some(line.outcomes.clone());
            tracker.write(&Line::Eval(line))?;
            clock.lap("evaluate");
        }

        if let Some(line) =
            canary.look(&mut evaluation, known.as_ref(), evaluated, (now, last), world, tell)?
        {
            progress.canary.clone_from(canary.figures());
            tracker.write(&Line::Canary(line))?;
            clock.lap("evaluate");
        }

        // ---- save
        let stopping = options.stop.is_some_and(|s| s.load(Ordering::Relaxed));
        let minutes = recipe.checkpoint.every_minutes;
        let by_the_clock = minutes > 0.0 && clock.total() - saved_at >= 60.0 * minutes;
        // One that is told to stop stops all, at the same step; the leader's clock counts.
        let [stopping, by_the_clock] = world.any([stopping, by_the_clock && world.leads()])?;
        if due(recipe.checkpoint.every) || by_the_clock || stopping {
            let remembered = optimizer.whole_state(world)?;
            if world.leads() {
                let state = (&trained, remembered.as_slice());
                checkpoint::save(run, &recipe.checkpoint, &progress.after(&clock), evaluated, state)?;
            }
            (saved, saved_at) = (progress.step, clock.total());
            tell(Event::Saved(saved));
            clock.lap("checkpoint");
        }
        if stopping {
            break;
        }
    }

    // ==== finish ======================================================================================================
    progress.joules += meter.joules();
    let progress = progress.after(&clock);
    setup::faults(loader.faults(), &mut told).into_iter().for_each(|note| tell(Event::Note(note)));
    let loaded = loader.stats();
    loaded
        .verdict(clock.busy() + loaded.wait.as_secs_f64(), workers)
        .into_iter()
        .for_each(|note| tell(Event::Note(note)));
    let (skipped, faults) = setup::left_out((loader.skipped().clone(), loader.faults()), world)?;
    let summary = Summary {
        step: progress.step,
        finished: progress.step >= recipe.steps,
        best: progress.best,
        seconds: progress.seconds,
        parts: progress.parts,
        samples: progress.samples,
        left_out: progress.left_out,
        energy: meter.energy(progress.joules),
        parameters,
        canary: progress.canary.clone(),
        gflops: progress.flops / clock.busy().max(1e-9) / 1e9,
        world: exchange.summary(world, &clock),
        machine_gflops: flops::machine_rate(device)? / 1e9,
        threads: tch::get_num_threads(),
        device: format!("{device:?}"),
        skipped,
        faults,
        loading: Loading::of(&loaded),
    };
    if world.leads() {
        unisono_files::write_json(&run.join("summary.json"), &summary)?;
    }
    world.leave()?;
    Ok(summary)
}
