//! A classifier over one tower, or what says how well two texts go together.

use crate::Modality;
use serde::{Deserialize, Serialize};
use unisono_nn::config::Activation;

/// A classifier over one tower: what it looks at, its layers, and what its numbers are called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Whose tower it looks at.
    pub modality: Modality,
    /// What of the tower it looks at.
    #[serde(default)]
    pub input: ClassifierInput,
    /// A layer norm before the linear layer; this is added to its variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_eps: Option<f64>,
    /// A linear layer of the same width before the last one, and what follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Activation>,
    /// It looks at pairs of texts, each pair one sequence: a re-ranker (Nogueira and Cho 2019). Its tower makes no embeddings then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairConfig>,
    /// What its numbers mean.
    #[serde(default)]
    pub score: Score,
    /// What each of its numbers is called. Several may have one name, as two of ImageNet's classes are cranes.
    pub labels: Vec<String>,
}

/// How pairs of texts are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairConfig {
    /// A learned vector is added to the embeddings of the second text's tokens (BERT's segments).
    #[serde(default)]
    pub segments: bool,
}

impl ClassifierConfig {
    /// A linear layer over the pooled vector, one label of which is right.
    pub fn new(modality: Modality, labels: Vec<String>) -> Self {
        Self {
            modality,
            input: ClassifierInput::Pooled,
            norm_eps: None,
            hidden: None,
            pair: None,
            score: Score::Softmax,
            labels,
        }
    }
}

/// What of a tower a classifier looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierInput {
    /// The pooled vector.
    #[default]
    Pooled,
    /// The first token.
    First,
    /// The mean of the tokens that are no prefix tokens.
    Mean,
    /// The first token, and behind it the mean of the tokens that are no prefix tokens: twice the width (DINOv2).
    FirstMean,
}

/// What a classifier's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// One label is right: softmax over all of them.
    #[default]
    Softmax,
    /// Each label is right or not by itself: a sigmoid of each.
    Sigmoid,
    /// They are what they are: a regression.
    Raw,
}
