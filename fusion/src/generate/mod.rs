//! Texts from a stack with a language head: greedy, drawn, or by beam search.

mod beam;
mod draw;
mod options;
mod rules;

use crate::stack::Stack;
use crate::{Error, Mask, Result};
pub use options::{EarlyStopping, Generation};
pub use rules::Rule;
use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};
use unisono_encoders::Mode;
use unisono_nn::{Cache, CrossKv};

/// A generated text.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Its ids: the prompt's, what was generated, and the end token where there is one.
    pub ids: Vec<i64>,
    /// How many of them are the prompt's.
    pub prompt: usize,
    /// The mean log-probability of the generated tokens, the end token counted; of a beam search, the beam's score.
    pub score: f64,
}

impl Generated {
    /// What was generated, without its end token.
    pub fn text(&self, end: &[i64]) -> &[i64] {
        let new = &self.ids[self.prompt.min(self.ids.len())..];
        match new.split_last() {
            Some((last, before)) if end.contains(last) => before,
            _ => new,
        }
    }
}

/// What watches a generation: called before each step with the tokens that the step before it chose, each with its text's number (a beam
/// search chooses none before its end). `Break` ends the generation with [`Error::Stopped`].
pub type Watch<'a> = &'a mut dyn FnMut(&[(usize, i64)]) -> ControlFlow<()>;

/// Tells a watch, if there is one.
fn tell(watch: &mut Option<Watch>, new: &[(usize, i64)]) -> Result<()> {
    match watch.as_mut().map(|watch| watch(new)) {
        Some(ControlFlow::Break(())) => Err(Error::Stopped),
        _ => Ok(()),
    }
}

/// One generation: a text about each item of a memory.
pub struct Generator<'a> {
    /// What generates.
    pub stack: &'a Stack,
    /// What it is about.
    pub memory: Option<&'a CrossKv>,
    /// How.
    pub options: &'a Generation,
    /// A rule of the model's own.
    pub rule: Option<&'a dyn Rule>,
    /// The number of the first text among all that a job generates: draws depend on it.
    pub first: u64,
}

impl Generator<'_> {
    /// A text for each of `prompts`, which are of one length; one a memory item, where there is a memory.
    ///
    /// # Errors
    /// Prompts of unequal lengths or longer than the stack's context, impossible options, [`Error::Stopped`], or libtorch's.
    pub fn run(&self, prompts: &[Vec<i64>], watch: Option<Watch>) -> Result<Vec<Generated>> {
        self.options.validate()?;
        let Some(length) = prompts.first().map(Vec::len) else { return Ok(Vec::new()) };
        if length == 0 || prompts.iter().any(|p| p.len() != length) {
            return Err(Error::Shape("prompts of one length, at least one token, are needed".into()));
        }
        if self.memory.is_some_and(|m| m.items() != prompts.len() as i64) {
            return Err(Error::Shape(format!("{} prompts for another number of items", prompts.len())));
        }
        let room = usize::try_from(self.stack.config().context_length).unwrap_or(0);
        let most = self.options.max_length.min(room);
        if length >= most {
            return Err(Error::Shape(format!(
                "a prompt of {length} tokens leaves no room: a text has at most {most}"
            )));
        }
        let options = Generation { max_length: most, ..self.options.clone() };
        let part = Generator { options: &options, ..*self };
        tch::no_grad(|| {
            if options.beams > 1 { beam::run(&part, prompts, watch) } else { part.one_by_one(prompts, watch) }
        })
    }

    fn one_by_one(&self, prompts: &[Vec<i64>], mut watch: Option<Watch>) -> Result<Vec<Generated>> {
        let o = self.options;
        let prompt = prompts[0].len();
        let mut texts = prompts.to_vec();
        let mut sums = vec![0f64; texts.len()];
        let mut running = vec![true; texts.len()];
        let mut engine = Engine::new(self, texts.len())?;
        let mut new = Vec::with_capacity(texts.len());
        while running.iter().any(|r| *r) && texts.iter().any(|t| t.len() < o.max_length) {
            tell(&mut watch, &new)?;
            new.clear();
            let scores = engine.next(&texts)?;
            let mut scores = Scores::new(&scores)?;
            for (i, text) in texts.iter_mut().enumerate() {
                // A finished text goes on with any token: its row stays in the batch and is cut afterwards.
                if !running[i] {
                    text.push(text[text.len() - 1]);
                    continue;
                }
                let row = scores.row(i);
                rules::apply(o, self.rule, text, prompt, row);
                let (best, log_sum) = best(row);
                let id = if o.temperature > 0.0 {
                    let mut row = row.to_vec();
                    draw::draw(o, self.first + i as u64, (text.len() - prompt) as u64, &mut row)
                } else {
                    best
                };
                sums[i] += f64::from(row[id as usize]) - log_sum;
                text.push(id);
                new.push((i, id));
                if o.end.contains(&id) || text.len() >= o.max_length {
                    running[i] = false;
                    let n = (text.len() - prompt) as f64;
                    sums[i] /= n;
                }
            }
        }
        if let (Some(watch), false) = (watch, new.is_empty()) {
            // Nothing is left that could be stopped.
            let _ = watch(&new);
        }
        let cut = |(text, score): (Vec<i64>, f64)| {
            let end = text.iter().skip(prompt).position(|id| o.end.contains(id));
            let keep = end.map_or(text.len(), |at| prompt + at + 1);
            Generated { ids: text[..keep].to_vec(), prompt, score }
        };
        Ok(texts.into_iter().zip(sums).map(cut).collect())
    }
}

/// The index of the largest score (the first of equals) and the logarithm of the sum of their exponentials.
fn best(scores: &[f32]) -> (i64, f64) {
    let (mut at, mut most) = (0, f32::NEG_INFINITY);
    for (i, s) in scores.iter().enumerate() {
        if *s > most {
            (at, most) = (i, *s);
        }
    }
    let sum: f64 = scores.iter().map(|s| f64::from((*s - most).exp())).sum();
    (at as i64, f64::from(most) + sum.ln())
}

/// Scores `[B, V]` as numbers, row after row.
struct Scores {
    all: Vec<f32>,
    width: usize,
}

impl Scores {
    fn new(scores: &Tensor) -> Result<Self> {
        let width = scores.size2()?.1 as usize;
        let mut all = vec![0f32; scores.numel()];
        scores.f_to_device(Device::Cpu)?.f_contiguous()?.f_copy_data(&mut all, scores.numel())?;
        Ok(Self { all, width })
    }

    fn row(&mut self, i: usize) -> &mut [f32] {
        &mut self.all[i * self.width..(i + 1) * self.width]
    }
}

/// Runs the stack on texts that grow.
struct Engine<'a> {
    stack: &'a Stack,
    memory: Option<&'a CrossKv>,
    cache: Option<Cache>,
}

impl<'a> Engine<'a> {
    fn new(g: &Generator<'a>, rows: usize) -> Result<Self> {
        let cache = if g.options.cache {
            Some(g.stack.cache(rows as i64, g.options.max_length as i64)?)
        } else {
            None
        };
        Ok(Self { stack: g.stack, memory: g.memory, cache })
    }

    /// Scores `[B, V]` of each text's next token.
    fn next(&mut self, texts: &[Vec<i64>]) -> Result<Tensor> {
        let known = self.cache.as_ref().map_or(0, |c| c.length() as usize);
        let new: Vec<i64> = texts.iter().flat_map(|t| t[known..].iter().copied()).collect();
        let t = texts.first().map_or(0, |t| t.len() - known) as i64;
        let ids = Tensor::f_from_slice(&new)?.f_view([texts.len() as i64, t])?;
        let ids = ids.f_to_device(self.stack.device())?;
        let hidden = self.stack.forward(&ids, &Mask::Causal, self.memory, self.cache.as_mut(), Mode::Eval)?;
        Ok(self.stack.scores(&hidden.f_select(1, t - 1)?)?.f_to_kind(Kind::Float)?)
    }

    /// Text i goes on from what text `rows[i]` was.
    fn reorder(&mut self, rows: &[i64]) -> Result<()> {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        let same = rows.iter().enumerate().all(|(i, r)| i as i64 == *r);
        if same && cache.rows() == rows.len() as i64 {
            return Ok(());
        }
        Ok(cache.reorder(&Tensor::f_from_slice(rows)?.f_to_device(self.stack.device())?)?)
    }
}
