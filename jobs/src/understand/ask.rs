//! An answer to a question about each image, audio or video.

use super::{Task, tokens};
use crate::{Batch, Flow, Outcome, Result};
use serde::Serialize;
use unisono_fusion::{Ability, FusionModel, Generation};

/// Answer a question about each image, audio or video.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The question.
    pub question: String,
    /// Answers that may be right, which are ranked; none: an answer is written.
    pub answers: Vec<String>,
    /// How texts are written; [`Ask::new`] takes the model's own settings.
    pub generation: Generation,
}

impl Ask {
    /// As the model's own settings say, without given answers.
    pub fn new(model: &FusionModel, question: impl Into<String>) -> Self {
        let generation = model.config().generation.clone();
        Self { question: question.into(), answers: Vec::new(), generation }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The answer, of given ones the most probable.
    pub answer: Option<String>,
    /// Of one that was written: the mean log-probability of its tokens, or its beam's score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// All given answers, the most probable first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Candidate>,
}

/// A given answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The answer.
    pub answer: String,
    /// Its probability among those given.
    pub probability: f64,
    /// Its log-probability among all texts.
    pub log_probability: f64,
}

impl Task for Ask {
    type Value = Answer;
    const STAGE: &'static str = "ask";
    const ABILITY: Ability = Ability::Ask;

    fn check(&self, model: &FusionModel) -> Result<()> {
        model.fits("a question", &self.question)?;
        self.answers.iter().try_for_each(|answer| Ok(model.fits("an answer", answer)?))
    }

    fn settings(&self) -> String {
        format!("{:?} {:?} {:?}", self.generation, self.question, self.answers)
    }

    fn run(
        &mut self,
        model: &FusionModel,
        batch: Batch<'_>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Answer>>> {
        let (ids, real) = model.batch(&vec![&self.question; batch.items.len()])?;
        let considered = model.consider(&ids, &real, &tokens(model, batch.inputs)?)?;
        if self.answers.is_empty() {
            let mut streamer = |_: &[(usize, i64)]| go_on().into();
            let texts = model.answer(&considered, &self.generation, batch.first, Some(&mut streamer))?;
            let one = |t| {
                Ok(Ok(Answer { answer: Some(model.decode(t)?), score: Some(t.score), answers: Vec::new() }))
            };
            return texts.iter().map(one).collect();
        }
        let rows = model.rank(&considered, &self.answers)?;
        Ok(rows.iter().map(|row| Ok(ranked(row, &self.answers))).collect())
    }
}

/// Answers by their probability among those given, best first.
fn ranked(log: &[f64], answers: &[String]) -> Answer {
    let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = log.iter().map(|l| (l - most).exp()).sum();
    let mut all: Vec<Candidate> = answers
        .iter()
        .zip(log)
        .map(|(answer, log)| Candidate {
            answer: answer.clone(),
            probability: (log - most).exp() / sum,
            log_probability: *log,
        })
        .collect();
    // Of equal ones the first that was given.
    all.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
    Answer { answer: all.first().map(|best| best.answer.clone()), score: None, answers: all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_ranked_among_those_given() {
        let names = ["no", "yes", "perhaps"].map(String::from);
        let log = [-1000.0f64, -998.0, -1000.0];
        let made = ranked(&log, &names);
        assert_eq!(made.answer.as_deref(), Some("yes"));
        let order: Vec<&str> = made.answers.iter().map(|a| a.answer.as_str()).collect();
        assert_eq!(order, ["yes", "no", "perhaps"]);
        // Softmax of differences, however improbable all of them are.
        let expected = 1.0 / (1.0 + 2.0 * (-2f64).exp());
        assert!((made.answers[0].probability - expected).abs() < 1e-12);
        assert!((made.answers.iter().map(|a| a.probability).sum::<f64>() - 1.0).abs() < 1e-12);
        let text = serde_json::to_string(&ranked(&log[..1], &names[..1])).unwrap();
        assert_eq!(
            text,
            r#"{"answer":"no","answers":[{"answer":"no","probability":1.0,"log_probability":-1000.0}]}"#
        );
    }
}
