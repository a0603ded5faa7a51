//! The training program, top to bottom: start, loop (load, step, log, evaluate, save), finish.

use crate::batch;
use crate::checkpoint::{self, FORMAT_VERSION, Progress};
use crate::data::{Preparer, Sample};
use crate::optimizer::Optimizer;
use crate::setup::{self, Manifests};
use crate::tracking::{EvalLine, Line, Tracker, TrainLine};
use crate::{Error, Learner, Recipe, Result, flops, folder, fusing, schedule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tch::Tensor;
use unisono_datasets::{Loader, LoaderOptions, Skip};
use unisono_encoders::{Modality, Model};
use unisono_eval::captioning::PreparedCaptions;
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::protocol::{Prepared, Skipped};
use unisono_eval::stats::Bootstrap;
use unisono_fusion::Contrastive;
use unisono_torch_ext::{autograd, cuda, library, optim, threads};

/// How a run is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Go on from `last/` when there is one.
    pub resume: bool,
    /// Begin again, whatever the directory holds.
    pub fresh: bool,
    /// When set, the run saves a checkpoint after the step in hand and returns.
    pub stop: Option<&'a AtomicBool>,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line about what is being done.
    Note(String),
    /// A record that is left out, named once.
    Skipped(&'a Skip),
    /// A step is done.
    Step(StepReport),
    /// An evaluation is done.
    Evaluated(&'a EvalLine),
    /// A checkpoint is written.
    Saved(u64),
}

/// A step's numbers.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub steps: u64,
    /// The whole loss, nats.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Samples a second since this process began.
    pub samples_per_second: f64,
    /// Share of the time that the loop waited for data.
    pub data_wait: f64,
}

/// A run's end, also written as `summary.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Steps done.
    pub step: u64,
    /// Whether all steps are done, or the run was stopped.
    pub finished: bool,
    /// Best score (mean R@5 of the protocols), and its step.
    pub best: Option<(f64, u64)>,
    /// Wall seconds of the whole run.
    pub seconds: f64,
    /// Wall seconds by part: data_wait, forward, backward, optimizer, evaluate, checkpoint, start.
    pub parts: BTreeMap<String, f64>,
    /// Samples drawn.
    pub samples: u64,
    /// Numbers that are optimised.
    pub parameters: usize,
    /// GFLOP/s of the steps (forward, backward, optimizer time).
    pub gflops: f64,
    /// GFLOP/s of this machine's matrix product.
    pub machine_gflops: f64,
    /// Threads of libtorch.
    pub threads: i32,
    /// Where the weights lay.
    pub device: String,
    /// Records that were left out.
    pub skipped: BTreeMap<String, String>,
}

/// Steps between lines of the metrics.
const LOG_EVERY: u64 = 10;
/// Items that an evaluation embeds at once.
const EVAL_BATCH: usize = 256;
/// Items that an evaluation captions at once.
const CAPTION_BATCH: usize = 64;

/// Follows `recipe` in the directory `run`.
///
/// # Errors
/// Settings that cannot work, data or checkpoints that cannot be read, a loss that is not a number. The last checkpoint is
/// untouched then.
pub fn train(recipe: &Recipe, run: &Path, options: Options, tell: &mut dyn FnMut(Event)) -> Result<Summary> {
    let mut clock = Clock::start();

    // ==== start: resume from last/ when asked and there is one, otherwise from scratch ================================
    let device = cuda::device(&recipe.device)?;
    let threads = threads::set((recipe.threads > 0).then_some(recipe.threads));
    library::keep_freed_memory();
    let _held = folder::claim(run)?;
    let before = begin(recipe, run, options)?;
    let mut manifests = Manifests::default();
    let sampler = Arc::new(setup::sampler(recipe, &mut manifests)?);
    for (i, s) in sampler.sources().iter().enumerate() {
        let epochs = sampler.epoch(i, recipe.steps);
        tell(Event::Note(format!(
            "{}: {} records, {} a batch, {epochs:.1} epochs",
            s.name,
            s.records.len(),
            s.per_batch
        )));
    }
    let (model, shadow) = match &before {
        Some(_) => {
            (Learner::load(&checkpoint::last(run), device)?, Learner::load(&checkpoint::last(run), device)?)
        }
        None => {
            let towers = setup::model(recipe, &sampler, device)?;
            let twin = Model::new(towers.config().clone(), towers.processors().clone(), recipe.seed, device)?;
            let (model, shadow) = (Learner::new(towers, recipe)?, Learner::new(twin, recipe)?);
            average(&shadow, &model, 0.0, 0)?;
            (model, shadow)
        }
    };
    let (towers, fused) = (model.towers(), recipe.fusion.as_ref().map_or(&[][..], |f| &f.memory));
    let mut optimizer = Optimizer::new(&model.params(), &recipe.optimizer, &recipe.group)?;
    let still = frozen(towers);
    let mut progress = match before {
        Some(progress) => {
            checkpoint::restore(run, &model, &mut optimizer)?;
            tell(Event::Note(format!("resumed at step {} of {}", progress.step, recipe.steps)));
            if progress.recipe.steps != recipe.steps {
                tell(Event::Note(format!(
                    "the run was to have {} steps: from here on the learning rate is that of {}",
                    progress.recipe.steps, recipe.steps
                )));
            }
            Progress { recipe: recipe.clone(), ..progress }
        }
        None => Progress::new(recipe),
    };
    tell(Event::Note(format!(
        "{:.2} M parameters on {device:?}, {threads} threads",
        model.params().count() as f64 / 1e6
    )));
    let protocols = prepare_protocols(recipe, &model, &mut manifests, tell)?;
    let captions = prepare_captions(recipe, &model, &mut manifests, tell)?;
    let objective = objective(recipe);
    let preparer = Preparer::new(recipe, towers);
    let workers = if recipe.loader.workers > 0 { recipe.loader.workers } else { threads::available() };
    let loader = LoaderOptions {
        workers,
        prefetch: recipe.loader.prefetch.max(1),
        start_step: progress.step,
        end_step: recipe.steps.max(progress.step),
        max_skip: recipe.loader.max_skip,
    };
    let mut loader = Loader::start(sampler, loader, move |draw| preparer.prepare(draw))?;
    let mut tracker = Tracker::open(run, progress.step)?;
    unisono_files::write(&run.join("recipe.toml"), folder::MARK.to_owned() + &recipe.to_toml()?)?;
    let mut window = Window::default();
    let mut saved = progress.step;
    clock.lap(&mut progress.parts, "start");

    // ==== loop ========================================================================================================
    while progress.step < recipe.steps {
        // ---- load
        let Some(batch) = loader.next() else { break };
        let batch = batch?;
        batch.skipped.iter().filter(|s| s.first).for_each(|s| tell(Event::Skipped(s)));
        let step = progress.step;
        // libtorch's generator (dropout, stochastic depth) starts anew each step: a function of (seed, step).
        tch::manual_seed(step_seed(recipe.seed, step));
        clock.lap(&mut progress.parts, "data_wait");

        // ---- step
        let forwarded = batch::forward(towers, &batch.items, recipe.loader.buckets, fused, &still)?;
        let items = batch::items(&batch.items);
        let aligned = objective.loss(towers, &forwarded.views, &items)?;
        let mut losses: Vec<(String, f64)> = Vec::new();
        for p in &aligned.pairs {
            losses.push((format!("{}_{}", p.pair.0, p.pair.1), p.loss.double_value(&[])));
        }
        let mut total = aligned.total;
        if let Some(fusion) = model.fusion() {
            let key = (recipe.seed, step);
            for (name, weight, loss) in fusing::losses(
                fusion,
                &recipe.objective,
                &forwarded,
                &batch.items,
                &items,
                key,
                recipe.loader.buckets,
            )? {
                losses.push((name.to_owned(), loss.double_value(&[])));
                let part = loss.f_mul_scalar(weight)?;
                total = Some(match total {
                    Some(sum) => sum.f_add(&part)?,
                    None => part,
                });
            }
        }
        let Some(total) = &total else {
            return Err(Error::setting(
                "data",
                format!("no pair of modalities at step {step} has two items"),
            ));
        };
        let value = total.double_value(&[]);
        finite(value, "the loss", step, saved, &batch.items)?;
        clock.lap(&mut progress.parts, "forward");
        let grads = autograd::grad(&[total], &[None], &optimizer.params(), false, false)?;
        clock.lap(&mut progress.parts, "backward");
        let lr = schedule::learning_rate(&recipe.optimizer, step, recipe.steps);
        let norm = optimizer.step(&grads, lr)?;
        finite(norm, "the gradient's norm", step, saved, &batch.items)?;
        average(&shadow, &model, recipe.optimizer.ema, step)?;
        clock.lap(&mut progress.parts, "optimizer");
        progress.step += 1;
        progress.samples += batch.items.len() as u64;
        progress.flops += flops::of_step(towers.config(), &forwarded.shapes);

        // ---- log
        window.add(value, norm, lr, batch.items.len(), &losses);
        let last = progress.step == recipe.steps;
        if progress.step.is_multiple_of(LOG_EVERY) || last {
            tracker.write(&Line::Train(window.take(&progress, towers, &clock)))?;
        }
        tell(Event::Step(StepReport {
            step: progress.step,
            steps: recipe.steps,
            loss: value,
            lr,
            samples_per_second: clock.rate(loader.stats().samples),
            data_wait: clock.share("data_wait"),
        }));

        // ---- evaluate
        let due = |every: u64| every > 0 && progress.step.is_multiple_of(every);
        if !(protocols.is_empty() && captions.is_empty()) && (due(recipe.evaluate.every) || last) {
            let seconds = progress.seconds + clock.total();
            let line = evaluate(&protocols, &captions, &shadow, progress.step, seconds)?;
            if progress.best.is_none_or(|(score, _)| line.score > score) {
                progress.best = Some((line.score, progress.step));
                checkpoint::save_best(run, &shadow)?;
            }
            tell(Event::Evaluated(&line));
            tracker.write(&Line::Eval(line))?;
            clock.lap(&mut progress.parts, "evaluate");
        }

        // ---- save
        let stopping = options.stop.is_some_and(|s| s.load(Ordering::Relaxed));
        if (recipe.checkpoint.every > 0 && progress.step.is_multiple_of(recipe.checkpoint.every))
            || last
            || stopping
        {
            let state = Progress { seconds: progress.seconds + clock.total(), ..progress.clone() };
            checkpoint::save(run, &state, &shadow, &model, &optimizer)?;
            saved = progress.step;
            tell(Event::Saved(saved));
            clock.lap(&mut progress.parts, "checkpoint");
        }
        if stopping {
            break;
        }
    }

    // ==== finish ======================================================================================================
    let busy: f64 = ["forward", "backward", "optimizer"].iter().filter_map(|p| progress.parts.get(*p)).sum();
    let summary = Summary {
        step: progress.step,
        finished: progress.step >= recipe.steps,
        best: progress.best,
        seconds: progress.seconds + clock.total(),
        parts: progress.parts.clone(),
        samples: progress.samples,
        parameters: model.params().count(),
        gflops: progress.flops / busy.max(1e-9) / 1e9,
        machine_gflops: flops::machine_rate(device)? / 1e9,
        threads: tch::get_num_threads(),
        device: format!("{device:?}"),
        skipped: loader.skipped().clone(),
    };
    unisono_files::write_json(&run.join("summary.json"), &summary)?;
    Ok(summary)
}

impl Progress {
    fn new(recipe: &Recipe) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            step: 0,
            best: None,
            seconds: 0.0,
            parts: BTreeMap::new(),
            flops: 0.0,
            samples: 0,
            recipe: recipe.clone(),
        }
    }
}

/// What the directory holds, and whether this run may use it.
fn begin(recipe: &Recipe, run: &Path, options: Options) -> Result<Option<Progress>> {
    if options.fresh {
        folder::clear(run)?;
        return Ok(None);
    }
    let Some(progress) = checkpoint::progress(run)? else { return Ok(None) };
    let refuse = |message: String| Err(Error::Run { path: run.to_owned(), message });
    if !options.resume {
        let step = progress.step;
        return refuse(format!(
            "holds a run at step {step}; go on with --resume, begin again with --fresh, or choose another --out"
        ));
    }
    if recipe.steps < progress.step {
        let (step, steps) = (progress.step, recipe.steps);
        return refuse(format!("is at step {step} already: expected steps = {step} or more, found {steps}"));
    }
    if let Some(key) = difference(&progress.recipe, recipe) {
        return refuse(format!(
            "its run follows another recipe (`{key}` differs): an exact resumption needs the same one; {}",
            "use its recipe.toml, or begin again with --fresh"
        ));
    }
    Ok(Some(progress))
}

/// The first top-level key in which two recipes differ, of those that change the result.
fn difference(a: &Recipe, b: &Recipe) -> Option<String> {
    let table = |r: &Recipe| toml::Table::try_from(r).unwrap_or_default();
    let (a, b) = (table(a), table(b));
    // How often it saves and how many workers read does not change what is learned. More steps are a longer run: what was learned so
    // far stays, and from here on the schedule is the new one's.
    let free = ["checkpoint", "loader", "device", "threads", "report", "steps"];
    a.keys().chain(b.keys()).find(|k| !free.contains(&k.as_str()) && a.get(*k) != b.get(*k)).cloned()
}

fn objective(recipe: &Recipe) -> Contrastive {
    use Modality::{Audio, Image, Text, Video};
    let o = &recipe.objective;
    Contrastive {
        label_smoothing: o.label_smoothing,
        weights: [
            ((Text, Image), o.text_image),
            ((Text, Audio), o.text_audio),
            ((Image, Audio), o.image_audio),
            ((Text, Video), o.text_video),
            ((Audio, Video), o.audio_video),
        ]
        .into(),
    }
}

/// The towers of which nothing is trained.
fn frozen(towers: &Model) -> Vec<Modality> {
    let params = towers.params().trainable();
    let trained = |m: &Modality| {
        let mut own = params.iter().filter(|(name, _)| name.starts_with(&format!("{m}.")));
        own.any(|(_, p)| p.requires_grad())
    };
    Modality::ALL.into_iter().filter(|m| !trained(m)).collect()
}

fn prepare_captions(
    recipe: &Recipe,
    model: &Learner,
    manifests: &mut Manifests,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<PreparedCaptions>> {
    let mut out = Vec::new();
    for p in &recipe.evaluate.captions {
        let Some(fusion) = model.fusion() else {
            return Err(Error::setting(
                "evaluate.captions",
                "needs a [fusion] table: towers write no captions",
            ));
        };
        let prepared = PreparedCaptions::new(p, &*manifests.get(&p.manifest)?, fusion, &recipe.limits)?;
        tell(Event::Note(format!("captions {}: {} {}", p.name, prepared.len(), p.from)));
        for Skipped { id, reason } in &prepared.skipped {
            tell(Event::Skipped(&Skip { id: id.clone(), reason: reason.clone(), first: true }));
        }
        out.push(prepared);
    }
    Ok(out)
}

fn prepare_protocols(
    recipe: &Recipe,
    model: &Learner,
    manifests: &mut Manifests,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Prepared>> {
    let mut out = Vec::new();
    for p in &recipe.evaluate.protocol {
        let prepared = Prepared::new(p, &*manifests.get(&p.manifest)?, model.towers(), &recipe.limits)?;
        let (asking, answering) = (prepared.queries.items.len(), prepared.gallery.items.len());
        tell(Event::Note(format!("evaluation {}: {asking} {} ask {answering} {}", p.name, p.from, p.to)));
        for Skipped { id, reason } in &prepared.skipped {
            tell(Event::Skipped(&Skip { id: id.clone(), reason: reason.clone(), first: true }));
        }
        out.push(prepared);
    }
    Ok(out)
}

fn evaluate(
    protocols: &[Prepared],
    captions: &[PreparedCaptions],
    model: &Learner,
    step: u64,
    seconds: f64,
) -> Result<EvalLine> {
    let bootstrap = Bootstrap::default();
    let mut results: BTreeMap<String, RetrievalMetrics> = BTreeMap::new();
    for p in protocols {
        results.insert(p.protocol.name.clone(), p.run(model.towers(), EVAL_BATCH, &bootstrap)?.metrics);
    }
    let mut written = BTreeMap::new();
    for p in captions {
        if let Some(fusion) = model.fusion() {
            let (scores, _) = p.run(fusion, &fusion.config().generation, CAPTION_BATCH)?;
            written.insert(p.protocol.name.clone(), scores);
        }
    }
    let recall = results.values().map(|m| m.r5.value).sum::<f64>() / results.len().max(1) as f64;
    let cider = written.values().map(|s| s.cider_d).sum::<f64>() / written.len().max(1) as f64;
    // CIDEr-D goes to 10.
    Ok(EvalLine { step, score: recall + cider / 10.0, protocols: results, captions: written, seconds })
}

/// `shadow` follows `model`: the moving average of its weights, or the weights themselves without one.
fn average(shadow: &Learner, model: &Learner, decay: f64, step: u64) -> Result<()> {
    let (shadow, model) = (shadow.params(), model.params());
    let targets: Vec<&Tensor> = shadow.iter().map(|(_, p)| &p.tensor).collect();
    let sources: Vec<&Tensor> = model.iter().map(|(_, p)| &p.tensor).collect();
    // Early on the average is short, so that it does not remember the random start.
    let decay = decay.min((step + 1) as f64 / (step + 10) as f64);
    Ok(optim::lerp_(&targets, &sources, 1.0 - if decay > 0.0 { decay } else { 0.0 })?)
}

/// SplitMix64 of the two: neighbouring steps get unrelated streams.
fn step_seed(seed: u64, step: u64) -> i64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 1) as i64
}

/// The guard: a number that is none stops the run with its step, and the checkpoint before stays.
fn finite(value: f64, what: &'static str, step: u64, checkpoint: u64, batch: &[Sample]) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    let batch = batch.iter().take(4).map(|s| s.id.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::NotFinite { step, what, value, checkpoint, batch })
}

/// Wall time, split over the parts of the loop.
struct Clock {
    start: Instant,
    mark: Instant,
    here: BTreeMap<String, f64>,
}

impl Clock {
    fn start() -> Self {
        Self { start: Instant::now(), mark: Instant::now(), here: BTreeMap::new() }
    }

    fn lap(&mut self, parts: &mut BTreeMap<String, f64>, part: &str) {
        let spent = self.mark.elapsed().as_secs_f64();
        self.mark = Instant::now();
        *parts.entry(part.to_owned()).or_default() += spent;
        *self.here.entry(part.to_owned()).or_default() += spent;
    }

    fn total(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds of the loop itself: without start, evaluations and checkpoints.
    fn loop_seconds(&self) -> f64 {
        ["data_wait", "forward", "backward", "optimizer"]
            .iter()
            .filter_map(|p| self.here.get(*p))
            .sum::<f64>()
            .max(1e-9)
    }

    fn share(&self, part: &str) -> f64 {
        self.here.get(part).copied().unwrap_or(0.0) / self.loop_seconds()
    }

    fn rate(&self, samples: u64) -> f64 {
        samples as f64 / self.loop_seconds()
    }
}

/// Sums over the steps since the last line of the metrics.
#[derive(Default)]
struct Window {
    steps: u64,
    samples: usize,
    loss: f64,
    norm: f64,
    lr: f64,
    pairs: BTreeMap<String, (f64, u64)>,
    /// Loop seconds and waiting at the window's start.
    mark: (f64, f64),
}

impl Window {
    fn add(&mut self, loss: f64, norm: f64, lr: f64, samples: usize, losses: &[(String, f64)]) {
        self.steps += 1;
        self.samples += samples;
        self.loss += loss;
        self.norm += norm;
        self.lr = lr;
        for (name, loss) in losses {
            let sum = self.pairs.entry(name.clone()).or_default();
            *sum = (sum.0 + loss, sum.1 + 1);
        }
    }

    fn take(&mut self, progress: &Progress, model: &Model, clock: &Clock) -> TrainLine {
        let n = self.steps.max(1) as f64;
        let now = (clock.loop_seconds(), clock.share("data_wait") * clock.loop_seconds());
        let spent = (now.0 - self.mark.0).max(1e-9);
        let scale = |(a, b): (Modality, Modality)| {
            model.logit_scale(a, b).map(|s| (format!("{a}_{b}"), s.double_value(&[]).exp()))
        };
        let line = TrainLine {
            step: progress.step,
            loss: self.loss / n,
            pairs: self.pairs.iter().map(|(k, (sum, n))| (k.clone(), sum / *n as f64)).collect(),
            lr: self.lr,
            grad_norm: self.norm / n,
            logit_scales: Modality::PAIRS.into_iter().filter_map(scale).collect(),
            samples_per_second: self.samples as f64 / spent,
            data_wait: (now.1 - self.mark.1) / spent,
            seconds: progress.seconds + clock.total(),
        };
        *self = Self { mark: now, ..Self::default() };
        line
    }
}
