//! What the report shows, as plain data: fill it, keep it as JSON, render it again later. (JSON has no NaN and no
//! infinity: leave such points out of what is kept.)

use serde::{Deserialize, Serialize};
use unisono_page::Fact;

use super::found::{Hit, Query, Search};
use crate::{captioning::Scores, metrics::RetrievalMetrics, stats::Estimate};

/// A whole report. Only the header's title is needed; an empty section does not appear.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportData {
    /// Title, model, data sets, machine.
    pub header: Header,
    /// Key numbers.
    pub headlines: Vec<Headline>,
    /// Loss and recall over training.
    pub curves: Option<Curves>,
    /// The recall table.
    pub recall: Vec<RecallRow>,
    /// Text queries in several languages.
    pub searches: Vec<Search>,
    /// Spoken queries → images.
    pub spoken: Vec<Search>,
    /// Audio files → texts.
    pub audio_to_text: Vec<Search>,
    /// Scores of captions beside baselines.
    #[serde(default)]
    pub captions: Vec<CaptionRow>,
    /// Held-out items with what was written about them.
    #[serde(default)]
    pub captioned: Vec<CaptionCard>,
    /// The worst mistakes.
    pub mistakes: Vec<Mistake>,
    /// Where time went.
    pub time: Option<TimeSpent>,
    /// How these numbers were made.
    pub notes: Option<Notes>,
}

/// Scores of captions beside baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptionRow {
    /// The protocol's name.
    pub protocol: String,
    /// The model's.
    pub model: Scores,
    /// Those of the nearest known item's caption.
    pub nearest: Scores,
    /// Those of the most frequent caption.
    pub frequent: Scores,
}

/// A held-out item with what was written about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptionCard {
    /// The image or audio.
    pub query: Query,
    /// What the model wrote.
    pub caption: String,
    /// What is true.
    pub truth: String,
}

/// The head of the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// The page's title.
    pub title: String,
    /// One sentence under it.
    pub subtitle: Option<String>,
    /// When it was made, as it should be shown.
    pub date: Option<String>,
    /// Model, parameters, machine, seed, total time…
    pub facts: Vec<Fact>,
    /// What was trained and tested on.
    pub data_sets: Vec<DataSet>,
    /// The command that makes this report again.
    pub command: Option<String>,
}

/// A data set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataSet {
    /// Its name.
    pub name: String,
    /// What it holds: `images` 8161, `recordings` 7390…
    pub counts: Vec<(String, u64)>,
    /// Its licence or licences.
    pub licence: String,
    /// Where it comes from.
    pub source: Option<String>,
}

/// A key number, large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// What was measured, for instance `text → image`.
    pub label: String,
    /// The metric, for instance `R@1`.
    pub metric: String,
    /// A fraction, 0 to 1.
    pub value: Estimate,
    /// What guessing reaches.
    pub chance: Option<f64>,
    /// What the control reaches.
    pub control: Option<f64>,
    /// On what: `held-out vendor, 1,238 captions`.
    pub detail: Option<String>,
}

impl Headline {
    /// The recall at `k` (1, 5 or 10; others are taken as 10) of a row of the recall table.
    pub fn recall(row: &RecallRow, k: usize) -> Self {
        let pick = |m: &RetrievalMetrics| match k {
            1 => (1, m.r1, m.chance_r1),
            5 => (5, m.r5, m.chance_r5),
            _ => (10, m.r10, m.chance_r10),
        };
        let (k, value, chance) = pick(&row.metrics);
        Self {
            label: format!("{} → {}", row.metrics.from, row.metrics.to),
            metric: format!("R@{k}"),
            value,
            chance: Some(chance),
            control: row.control.as_ref().map(|control| pick(control).1.value),
            detail: Some(row.protocol.clone()),
        }
    }
}

/// Training curves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Curves {
    /// Logged training steps, ascending.
    pub train: Vec<TrainPoint>,
    /// Evaluations during training, ascending.
    pub val: Vec<ValPoint>,
    /// The step whose checkpoint was chosen.
    pub best_step: Option<u64>,
}

/// One logged step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainPoint {
    /// The step.
    pub step: u64,
    /// The total loss.
    pub loss: f64,
    /// The learning rate.
    pub lr: Option<f64>,
    /// Loss by pair of modalities: (`image-text`, 1.2).
    pub pairs: Vec<(String, f64)>,
    /// The gradient's norm before clipping, by tower.
    pub norms: Vec<(String, f64)>,
    /// exp(logit scale) by pair of modalities.
    pub scales: Vec<(String, f64)>,
}

/// One evaluation during training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValPoint {
    /// The step.
    pub step: u64,
    /// What was measured.
    pub recalls: Vec<RecallPoint>,
}

/// A recall during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecallPoint {
    /// Protocol and metric: `text → image R@1`.
    pub name: String,
    /// A fraction, 0 to 1, with its interval.
    pub value: Estimate,
    /// What guessing reaches.
    pub chance: Option<f64>,
}

/// A row of the recall table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecallRow {
    /// The protocol: rows of one protocol, in order, are shown as one group.
    pub protocol: String,
    /// What was measured.
    pub metrics: RetrievalMetrics,
    /// The same protocol for a control that sees only the clip's duration.
    pub control: Option<RetrievalMetrics>,
    /// The same for one that also knows the clip's language.
    #[serde(default)]
    pub language_control: Option<RetrievalMetrics>,
}

/// A query that went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// What was asked.
    pub query: Query,
    /// What came first.
    pub found: Hit,
    /// What was right.
    pub right: Hit,
    /// Rank of the right one.
    pub rank: f64,
    /// Gallery size.
    pub gallery: Option<usize>,
}

/// Where time went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeSpent {
    /// Stages of the whole run with seconds: set-up, build, data, train, eval.
    pub stages: Vec<(String, f64)>,
    /// Parts of training with seconds: forward, backward, optimizer, data wait, evaluation.
    pub training: Vec<(String, f64)>,
    /// How busy the machine was.
    pub throughput: Option<Throughput>,
    /// One sentence that draws the conclusion.
    pub verdict: Option<String>,
}

/// Arithmetic reached against what the machine can do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// GFLOP/s reached in training.
    pub reached: f64,
    /// GFLOP/s of a large matrix product on the same machine.
    pub machine: f64,
}

/// How these numbers were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Paragraphs: protocol, splits, intervals…
    pub paragraphs: Vec<String>,
    /// Commands, one a line.
    pub commands: Vec<String>,
    /// Seed, hashes, versions.
    pub facts: Vec<Fact>,
}
