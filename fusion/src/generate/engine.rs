//! What every way of generating has in common: its texts, who watches, and the stack that is run on texts that grow.

use super::rules::Rule;
use crate::config::Generation;
use crate::stack::Stack;
use crate::{Error, Mask, Result};
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
pub type Streamer<'a> = &'a mut dyn FnMut(&[(usize, i64)]) -> ControlFlow<()>;

/// Tells a streamer, if there is one.
pub(super) fn stream(streamer: &mut Option<Streamer>, new: &[(usize, i64)]) -> Result<()> {
    match streamer.as_mut().map(|streamer| streamer(new)) {
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

/// Scores `[B, V]` as numbers, row after row.
pub(super) struct Scores {
    pub(super) all: Vec<f32>,
    width: usize,
}

impl Scores {
    pub(super) fn new(scores: &Tensor) -> Result<Self> {
        let width = scores.size2()?.1 as usize;
        let mut all = vec![0f32; scores.numel()];
        scores.f_to_device(Device::Cpu)?.f_contiguous()?.f_copy_data(&mut all, scores.numel())?;
        Ok(Self { all, width })
    }

    pub(super) fn row(&mut self, i: usize) -> &mut [f32] {
        &mut self.all[i * self.width..(i + 1) * self.width]
    }
}

/// Runs the stack on texts that grow.
pub(super) struct Engine<'a> {
    stack: &'a Stack,
    memory: Option<&'a CrossKv>,
    /// What is left of the memory once some texts are finished.
    left: Option<CrossKv>,
    cache: Option<Cache>,
}

/// Whether finished texts should leave the batch, of which `running` of `present` go on: what they cost from here on against one copy of the others' keys and
/// values.
pub(super) fn thins(running: usize, present: usize) -> bool {
    running > 0 && 4 * running <= 3 * present
}

impl<'a> Engine<'a> {
    pub(super) fn new(g: &Generator<'a>, rows: usize) -> Result<Self> {
        let cache = if g.options.cache {
            Some(g.stack.cache(rows as i64, g.options.max_length as i64)?)
        } else {
            None
        };
        Ok(Self { stack: g.stack, memory: g.memory, left: None, cache })
    }

    /// Scores `[B, V]` of each text's next token.
    pub(super) fn next<T: AsRef<[i64]>>(&mut self, texts: &[T]) -> Result<Tensor> {
        let known = self.cache.as_ref().map_or(0, |c| c.length() as usize);
        let new: Vec<i64> = texts.iter().flat_map(|t| t.as_ref()[known..].iter().copied()).collect();
        let t = texts.first().map_or(0, |t| t.as_ref().len() - known) as i64;
        let ids = Tensor::f_from_slice(&new)?.f_view([texts.len() as i64, t])?;
        let ids = ids.f_to_device(self.stack.device())?;
        let memory = self.left.as_ref().or(self.memory);
        let hidden = self.stack.forward(&ids, &Mask::Causal, memory, self.cache.as_mut(), Mode::Eval)?;
        Ok(self.stack.scores(&hidden.f_select(1, t - 1)?)?.f_to_kind(Kind::Float)?)
    }

    /// Text i goes on from what text `rows[i]` was; the first `alike` tokens of the two are the same.
    pub(super) fn reorder(&mut self, rows: &[i64], alike: usize) -> Result<()> {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        let same = rows.iter().enumerate().all(|(i, r)| i as i64 == *r);
        if same && cache.rows() == rows.len() as i64 {
            return Ok(());
        }
        let rows = Tensor::f_from_slice(rows)?.f_to_device(self.stack.device())?;
        Ok(cache.reorder(&rows, alike as i64)?)
    }

    /// Only the items `stay` of the memory go on. Their texts follow by [`reorder`](Self::reorder).
    pub(super) fn keep(&mut self, stay: &[i64]) -> Result<()> {
        if let Some(memory) = self.left.as_ref().or(self.memory) {
            let rows = Tensor::f_from_slice(stay)?.f_to_device(self.stack.device())?;
            self.left = Some(memory.select(&rows)?);
        }
        Ok(())
    }
}
