//! What a protocol found: figures by name, and how people read them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A figure, with its interval where one is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The figure.
    pub value: f64,
    /// The low end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The high end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// What a random order would reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// What a protocol found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its figures by name.
    pub metrics: BTreeMap<String, Metric>,
    /// The one that stands for the others.
    pub primary: String,
    /// Queries that were ranked, or items that were captioned.
    pub items: usize,
}

impl Outcome {
    /// A figure by its name.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric).map(|m| m.value)
    }
}

/// Whether less of a metric is better.
pub fn less_is_better(metric: &str) -> bool {
    metric == "median_rank"
}

/// A figure as people read it: `R@5 33.3 %`, `CIDEr-D 0.41`.
pub fn shown(metric: &str, value: f64) -> String {
    match metric {
        "r1" | "r5" | "r10" => format!("R@{} {:.1} %", &metric[1..], 100.0 * value),
        "mrr" => format!("MRR {value:.3}"),
        "median_rank" => format!("median rank {value:.1}"),
        "bleu1" | "bleu4" => format!("BLEU-{} {:.1} %", &metric[4..], 100.0 * value),
        "cider_d" => format!("CIDEr-D {value:.2}"),
        "exact" => format!("word for word {:.1} %", 100.0 * value),
        _ => format!("{metric} {value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_as_they_are_written() {
        let metric = |value, low, high| Metric { value, low, high, chance: None };
        let outcome = Outcome {
            metrics: [
                ("r5".to_owned(), metric(0.5, Some(0.25), Some(0.75))),
                ("cider_d".to_owned(), metric(1.5, None, None)),
            ]
            .into(),
            primary: "r5".into(),
            items: 8,
        };
        let json = r#"{"metrics":{"cider_d":{"value":1.5},"r5":{"value":0.5,"low":0.25,"high":0.75}},"primary":"r5","items":8}"#;
        assert_eq!(serde_json::to_string(&outcome).unwrap(), json);
        assert_eq!(serde_json::from_str::<Outcome>(json).unwrap(), outcome);
        assert_eq!((outcome.value("cider_d"), outcome.value("r1")), (Some(1.5), None));
    }

    #[test]
    fn only_ranks_are_better_when_they_are_small() {
        assert!(less_is_better("median_rank"));
        assert!(["r1", "r5", "r10", "mrr", "bleu4", "cider_d", "exact"].iter().all(|m| !less_is_better(m)));
        assert_eq!(shown("median_rank", 2.5), "median rank 2.5");
        assert_eq!(shown("cider_d", 1.234), "CIDEr-D 1.23");
        assert_eq!(shown("new", 0.5), "new 0.5000");
    }
}
