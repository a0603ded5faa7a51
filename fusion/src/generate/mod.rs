//! Texts from a stack with a language head: greedy, drawn, or by beam search.

mod beam;
mod draw;
mod engine;
mod rules;

use crate::config::Generation;
use crate::{Error, Result};
use engine::{Engine, Scores, stream};

pub use engine::{Generated, Generator, Streamer};
pub use rules::Rule;

impl Generator<'_> {
    /// A text for each of `prompts`, which are of one length; one a memory item, where there is a memory.
    ///
    /// # Errors
    /// Prompts of unequal lengths or longer than the stack's context, impossible options, [`Error::Stopped`], or libtorch's.
    pub fn run(&self, prompts: &[Vec<i64>], streamer: Option<Streamer>) -> Result<Vec<Generated>> {
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
            if options.beams > 1 {
                beam::run(&part, prompts, streamer)
            } else {
                part.one_by_one(prompts, streamer)
            }
        })
    }

    fn one_by_one(&self, prompts: &[Vec<i64>], mut streamer: Option<Streamer>) -> Result<Vec<Generated>> {
        let o = self.options;
        let prompt = prompts[0].len();
        let mut texts = prompts.to_vec();
        let mut sums = vec![0f64; texts.len()];
        let mut running = vec![true; texts.len()];
        let mut engine = Engine::new(self, texts.len())?;
        let mut new = Vec::with_capacity(texts.len());
        while running.iter().any(|r| *r) && texts.iter().any(|t| t.len() < o.max_length) {
            stream(&mut streamer, &new)?;
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
        if let (Some(streamer), false) = (streamer, new.is_empty()) {
            // Nothing is left that could be stopped.
            let _ = streamer(&new);
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
