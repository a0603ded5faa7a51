//! Texts from a stack with a language head: greedy, drawn, or by beam search.

mod beam;
mod draw;
mod engine;
mod rules;

use crate::config::Generation;
use crate::{Error, Result};
use engine::{Engine, Scores, stream, thins};

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
        let mut texts: Vec<Text> =
            prompts.iter().map(|p| Text { ids: p.clone(), sum: 0.0, runs: true }).collect();
        let mut engine = Engine::new(self, texts.len())?;
        let mut new = Vec::with_capacity(texts.len());
        // Those that are in the batch; some of them may be finished.
        let mut rows: Vec<usize> = (0..texts.len()).collect();
        while rows.iter().any(|i| texts[*i].runs) {
            stream(&mut streamer, &new)?;
            new.clear();
            let ids: Vec<&[i64]> = rows.iter().map(|i| texts[*i].ids.as_slice()).collect();
            let scores = engine.next(&ids)?;
            let mut scores = Scores::new(&scores)?;
            for (at, i) in rows.iter().enumerate() {
                let text = &mut texts[*i];
                // A finished text that is still in the batch goes on with any token, which is cut afterwards.
                if !text.runs {
                    text.ids.push(text.ids[text.ids.len() - 1]);
                    continue;
                }
                let row = scores.row(at);
                rules::apply(o, self.rule, &text.ids, prompt, row);
                let (best, log_sum) = best(row);
                let id = if o.temperature > 0.0 {
                    let mut row = row.to_vec();
                    draw::draw(o, self.first + *i as u64, (text.ids.len() - prompt) as u64, &mut row)
                } else {
                    best
                };
                text.sum += f64::from(row[id as usize]) - log_sum;
                text.ids.push(id);
                new.push((*i, id));
                if o.end.contains(&id) || text.ids.len() >= o.max_length {
                    text.runs = false;
                    text.sum /= (text.ids.len() - prompt) as f64;
                }
            }
            let stay: Vec<i64> =
                (0..rows.len()).filter(|at| texts[rows[*at]].runs).map(|at| at as i64).collect();
            if thins(stay.len(), rows.len()) {
                engine.keep(&stay)?;
                engine.reorder(&stay, 0)?;
                rows.retain(|i| texts[*i].runs);
            }
        }
        if let (Some(streamer), false) = (streamer, new.is_empty()) {
            // Nothing is left that could be stopped.
            let _ = streamer(&new);
        }
        let cut = |Text { ids, sum, .. }: Text| {
            let end = ids.iter().skip(prompt).position(|id| o.end.contains(id));
            let keep = end.map_or(ids.len(), |at| prompt + at + 1);
            Generated { ids: ids[..keep].to_vec(), prompt, score: sum }
        };
        Ok(texts.into_iter().map(cut).collect())
    }
}

/// A text that is written token by token.
struct Text {
    ids: Vec<i64>,
    /// Of the log-probabilities of its tokens; their mean once it is finished.
    sum: f64,
    runs: bool,
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
