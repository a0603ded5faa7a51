//! What a generation may do.

use crate::bounds::{VOCABULARY, range};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How texts are generated. The defaults are greedy, twenty new tokens at most, nothing forced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generation {
    /// Most tokens of a text, its prompt included.
    pub max_length: usize,
    /// No end before a text has so many tokens, its prompt included.
    pub min_length: usize,
    /// Beams; 1 is greedy or sampling.
    pub beams: usize,
    /// Beam scores are divided by length^this: above 0 favours long texts, below 0 short ones.
    pub length_penalty: f64,
    /// When a beam search stops.
    pub early_stopping: EarlyStopping,
    /// Scores of tokens that are in the text already: divided by this where positive, multiplied where negative (Keskar et al. 2019).
    pub repetition_penalty: f64,
    /// No run of so many tokens occurs twice; 0: no such rule.
    pub no_repeat_ngram: usize,
    /// Above 0: tokens are drawn, at this temperature; 0: the best is taken.
    pub temperature: f64,
    /// Drawn from the so many best only; 0: from all.
    pub top_k: usize,
    /// Drawn from the smallest set of best tokens that has this probability (Holtzman et al. 2020).
    pub top_p: f64,
    /// Of the draws.
    pub seed: u64,
    /// Ids that end a text.
    pub end: Vec<i64>,
    /// Ids that are never generated.
    pub suppress: Vec<i64>,
    /// Ids that no text begins with, after its prompt.
    pub begin_suppress: Vec<i64>,
    /// The first generated id.
    pub forced_begin: Option<i64>,
    /// The id at `max_length`.
    pub forced_end: Option<i64>,
    /// Keys and values of earlier tokens are kept and not computed again.
    pub cache: bool,
}

/// When a beam search stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStopping {
    /// When no running beam can beat a finished one at its present length.
    #[default]
    Heuristic,
    /// As soon as there are as many finished texts as beams.
    Full,
    /// When no running beam can beat a finished one at any length.
    Never,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            max_length: 20,
            min_length: 0,
            beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
            repetition_penalty: 1.0,
            no_repeat_ngram: 0,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            seed: 0,
            end: Vec::new(),
            suppress: Vec::new(),
            begin_suppress: Vec::new(),
            forced_begin: None,
            forced_end: None,
            cache: true,
        }
    }
}

impl Generation {
    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// The first impossible value.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        for (key, value, least) in [
            ("max_length", self.max_length, 1),
            ("min_length", self.min_length, 0),
            ("no_repeat_ngram", self.no_repeat_ngram, 0),
            ("top_k", self.top_k, 0),
        ] {
            range(key, i64::try_from(value).unwrap_or(i64::MAX), least, 1 << 20)?;
        }
        for (key, ids) in
            [("end", &self.end), ("suppress", &self.suppress), ("begin_suppress", &self.begin_suppress)]
        {
            range(&format!("{key}: number of ids"), ids.len() as i64, 0, 1 << 16)?;
            ids.iter().try_for_each(|id| range(key, *id, -1, VOCABULARY))?;
        }
        for (key, id) in [("forced_begin", self.forced_begin), ("forced_end", self.forced_end)] {
            id.map_or(Ok(()), |id| range(key, id, 0, VOCABULARY))?;
        }
        if !(1..=64).contains(&self.beams) {
            return wrong(format!("beams: expected 1 to 64, found {}", self.beams));
        }
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return wrong(format!("temperature: expected 0 or more, found {}", self.temperature));
        }
        if self.beams > 1 && self.temperature > 0.0 {
            return wrong("beams and temperature: a beam search does not draw; set one of them".into());
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong(format!("top_p: expected more than 0 and at most 1, found {}", self.top_p));
        }
        if !self.repetition_penalty.is_finite() || self.repetition_penalty <= 0.0 {
            return wrong(format!(
                "repetition_penalty: expected more than 0, found {}",
                self.repetition_penalty
            ));
        }
        if !self.length_penalty.is_finite() {
            return wrong("length_penalty: expected a number".into());
        }
        Ok(())
    }
}
