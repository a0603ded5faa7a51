//! Beam search, every choice as transformers makes it (its vectorised search of 2025), so that the ids are equal.

use super::engine::{Engine, Generated, Generator, Scores, Streamer, stream, thins};
use super::rules;
use crate::Result;
use crate::config::{EarlyStopping, Generation};
use tch::{Kind, Tensor};

/// Added to scores that must not win.
const FAR: f32 = -1.0e9;

/// A text and its score.
#[derive(Debug, Clone)]
struct Beam {
    ids: Vec<i64>,
    /// Sum of log-probabilities while it runs, divided by the length penalty once it is finished.
    score: f32,
    done: bool,
}

/// The beams of one item.
struct Item {
    running: Vec<Beam>,
    finished: Vec<Beam>,
    /// A running beam may still beat a finished one.
    hopeful: bool,
}

/// Indices of the `k` largest, largest first, equals in their order.
fn top(scores: impl Iterator<Item = f32>, k: usize) -> Vec<usize> {
    let scores: Vec<f32> = scores.collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.truncate(k);
    order
}

/// `length ^ penalty`, as a divisor of single-precision scores.
fn divisor(length: usize, o: &Generation) -> f32 {
    (length as f64).powf(o.length_penalty) as f32
}

impl Item {
    fn new(prompt: &[i64], beams: usize) -> Self {
        let beam = |score, done| Beam { ids: prompt.to_vec(), score, done };
        // All beams are the same at first: only the first may have followers.
        let running = (0..beams).map(|i| beam(if i == 0 { 0.0 } else { FAR }, false)).collect();
        Self { running, finished: vec![beam(FAR, false); beams], hopeful: true }
    }

    /// One step with the best followers (score, beam, token), best first. Returns which beam each of the next beams follows, and how many tokens all of
    /// them have in common with what was in their places before.
    fn step(&mut self, best: &[(f32, usize, i64)], prompt: usize, o: &Generation) -> (Vec<usize>, usize) {
        let beams = self.running.len();
        let follow = |&(score, beam, token): &(f32, usize, i64)| {
            let mut ids = self.running[beam].ids.clone();
            ids.push(token);
            let done = o.end.contains(&token) || ids.len() >= o.max_length;
            (Beam { ids, score, done }, beam)
        };
        let followers: Vec<(Beam, usize)> = best.iter().map(follow).collect();
        let chosen = top(followers.iter().map(|(b, _)| b.score + if b.done { FAR } else { 0.0 }), beams);
        let length = followers.first().map_or(0, |(b, _)| b.ids.len()) - prompt;
        let full = self.finished.iter().all(|b| b.done) && o.early_stopping == EarlyStopping::Full;
        let late = if self.hopeful { 0.0 } else { FAR };
        let by = divisor(length, o);
        let ended = followers.iter().enumerate().map(|(i, (b, _))| {
            // Only the best as many as beams may end; the others are there to go on with.
            let done = b.done && i < beams;
            let score = b.score / by + if full { FAR } else { 0.0 } + late + if done { 0.0 } else { FAR };
            Beam { ids: b.ids.clone(), score, done }
        });
        let all: Vec<Beam> = self.finished.iter().cloned().chain(ended).collect();
        self.finished = top(all.iter().map(|b| b.score), beams).into_iter().map(|i| all[i].clone()).collect();
        let next = chosen.iter().map(|i| {
            let (beam, _) = &followers[*i];
            Beam { score: beam.score + if beam.done { FAR } else { 0.0 }, ..beam.clone() }
        });
        let next: Vec<Beam> = next.collect();
        let alike = self.running.iter().zip(&next).map(|(a, b)| alike(&a.ids, &b.ids)).min().unwrap_or(0);
        self.running = next;
        let length = match o.early_stopping {
            EarlyStopping::Never if o.length_penalty > 0.0 => o.max_length - prompt,
            _ => length,
        };
        let possible = self.running.first().map_or(FAR, |b| b.score) / divisor(length, o);
        let worst = self.finished.iter().map(|b| b.score).fold(f32::INFINITY, f32::min);
        let beatable = |b: &Beam| possible > if b.done { worst } else { FAR };
        self.hopeful &= self.finished.iter().any(beatable);
        (chosen.iter().map(|i| followers[*i].1).collect(), alike)
    }

    /// Whether nothing that follows changes its texts.
    fn is_settled(&self, o: &Generation) -> bool {
        let full = o.early_stopping == EarlyStopping::Full && self.finished.iter().all(|b| b.done);
        full || !self.hopeful
    }
}

/// How many tokens two texts begin with that are the same.
fn alike(a: &[i64], b: &[i64]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

pub(super) fn run(
    g: &Generator,
    prompts: &[Vec<i64>],
    mut streamer: Option<Streamer>,
) -> Result<Vec<Generated>> {
    let o = g.options;
    let (beams, prompt) = (o.beams, prompts[0].len());
    let mut items: Vec<Item> = prompts.iter().map(|p| Item::new(p, beams)).collect();
    let mut engine = Engine::new(g, prompts.len())?;
    stream(&mut streamer, &[])?;
    // The prompts once, whatever the number of beams.
    let mut scores = engine.next(prompts)?;
    let every: Vec<i64> = (0..prompts.len() as i64).flat_map(|i| std::iter::repeat_n(i, beams)).collect();
    engine.reorder(&every, prompt)?;
    scores = scores.f_index_select(0, &Tensor::f_from_slice(&every)?.f_to_device(scores.device())?)?;
    // Those that are in the batch; some of them may be settled.
    let mut live: Vec<usize> = (0..items.len()).collect();
    loop {
        let log = scores.f_log_softmax(-1, Kind::Float)?.f_to_device(tch::Device::Cpu)?;
        let log = if rules::idle(o, g.rule) {
            log
        } else {
            let mut rows = Scores::new(&log)?;
            for (i, beam) in live.iter().flat_map(|i| &items[*i].running).enumerate() {
                rules::apply(o, g.rule, &beam.ids, prompt, rows.row(i));
            }
            Tensor::f_from_slice(&rows.all)?.f_view(log.size().as_slice())?
        };
        let so_far: Vec<f32> = live.iter().flat_map(|i| items[*i].running.iter().map(|b| b.score)).collect();
        let vocab = log.size()[1];
        let sums = log.f_add(&Tensor::f_from_slice(&so_far)?.f_unsqueeze(1)?)?;
        let sums = sums.f_view([live.len() as i64, beams as i64 * vocab])?;
        let keep = ((1 + o.end.len()).max(2) * beams) as i64;
        let (values, indices) = sums.f_topk(keep.min(sums.size()[1]), 1, true, true)?;
        let values: Vec<Vec<f32>> = Vec::<Vec<f32>>::try_from(&values)?;
        let indices: Vec<Vec<i64>> = Vec::<Vec<i64>>::try_from(&indices)?;
        let mut from = Vec::with_capacity(live.len());
        let (mut stuck, mut same) = (true, usize::MAX);
        for (n, i) in live.iter().enumerate() {
            let item = &mut items[*i];
            let best: Vec<(f32, usize, i64)> = values[n]
                .iter()
                .zip(&indices[n])
                .map(|(v, i)| (*v, (i / vocab) as usize, i % vocab))
                .collect();
            let ends = |(_, beam, token): &(f32, usize, i64)| {
                o.end.contains(token) || item.running[*beam].ids.len() + 1 >= o.max_length
            };
            stuck &= best.iter().all(ends);
            let (follows, alike) = item.step(&best, prompt, o);
            same = same.min(alike);
            from.push(follows.into_iter().map(|b| (n * beams + b) as i64).collect::<Vec<i64>>());
        }
        let stay: Vec<usize> = (0..live.len()).filter(|n| !items[live[*n]].is_settled(o)).collect();
        if stuck || stay.is_empty() {
            break;
        }
        stream(&mut streamer, &[])?;
        if thins(stay.len(), live.len()) {
            engine.keep(&stay.iter().map(|n| *n as i64).collect::<Vec<i64>>())?;
            from = stay.iter().map(|n| std::mem::take(&mut from[*n])).collect();
            live = stay.iter().map(|n| live[*n]).collect();
        }
        engine.reorder(&from.concat(), same)?;
        let texts: Vec<&[i64]> =
            live.iter().flat_map(|i| items[*i].running.iter().map(|b| b.ids.as_slice())).collect();
        scores = engine.next(&texts)?;
    }
    Ok(items
        .into_iter()
        .filter_map(|item| item.finished.into_iter().next())
        .map(|b| Generated { ids: b.ids, prompt, score: f64::from(b.score) })
        .collect())
}
