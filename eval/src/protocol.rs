//! What is measured, as a recipe's `[[evaluate]]` states it: a protocol each, whose kind is a file of its own.
//!
//! A [`Protocol`] over a manifest's records is a [`Task`]; a task and a model give an [`Outcome`].

use crate::captioning::{Captioning, CaptioningTask};
use crate::retrieval::{Retrieval, RetrievalTask};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use unisono_datasets::{Skip, Source, SourceConfig};
use unisono_encoders::Model;
use unisono_fusion::FusionModel;

pub use crate::items::{Captions, Item};
pub use crate::outcome::{Metric, Outcome, less_is_better, shown};
pub use crate::retrieval::protocol::controlled;
pub use crate::side::{Embedded, Reading, Side, gather};
pub use crate::spoken::Spoken;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Protocol {
    /// Items of one modality find those of another.
    Retrieval(Retrieval),
    /// Captions are written and compared with the true ones.
    Captioning(Captioning),
}

/// What is measured: towers, and the fusion part over them where there is one.
#[derive(Debug, Clone, Copy)]
pub struct Models<'a> {
    /// The towers.
    pub towers: &'a Model,
    /// What writes captions.
    pub fusion: Option<&'a FusionModel>,
}

impl<'a> Models<'a> {
    /// The fusion part, for the protocol `name`.
    fn writer(&self, name: &str) -> Result<&'a FusionModel> {
        self.fusion.ok_or_else(|| Error::Protocol {
            name: name.to_owned(),
            message: "captioning needs a fusion part: towers write no captions".into(),
        })
    }
}

/// A protocol over records: their items are listed, their media are decoded each time that a model is measured.
#[derive(Debug)]
pub enum Task {
    /// Of retrieval.
    Retrieval(Box<RetrievalTask>),
    /// Of captioning.
    Captioning(Box<CaptioningTask>),
}

impl Protocol {
    /// Its name in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Retrieval(p) => &p.name,
            Self::Captioning(p) => &p.name,
        }
    }

    /// Where the records come from that it is about.
    pub fn source(&self) -> &SourceConfig {
        match self {
            Self::Retrieval(p) => &p.source,
            Self::Captioning(p) => &p.source,
        }
    }

    /// As recipes name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Retrieval(_) => "retrieval",
            Self::Captioning(_) => "captioning",
        }
    }

    /// The metric that stands for the others, and their names.
    pub const fn metrics(&self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Retrieval(_) => ("r5", &["r1", "r5", "r10", "median_rank", "mrr"]),
            Self::Captioning(_) => ("cider_d", &["bleu1", "bleu4", "cider_d", "exact"]),
        }
    }

    /// Lists the items of `source`'s records. Of each side one of the first items is decoded.
    ///
    /// # Errors
    /// No such split, nothing in it that can be used, or a model that lacks what it needs.
    pub fn task(&self, source: &dyn Source, models: Models, reading: &Reading) -> Result<Task> {
        Ok(match self {
            Self::Retrieval(p) => {
                let task = p.task(source, models.towers, reading)?;
                task.probe(models.towers)?;
                Task::Retrieval(Box::new(task))
            }
            Self::Captioning(p) => {
                let task = p.task(source, models.writer(&p.name)?, reading)?;
                task.probe(models.towers)?;
                Task::Captioning(Box::new(task))
            }
        })
    }
}

/// Items that are embedded at once.
const EMBEDDED: usize = 256;
/// Items that are captioned at once.
const CAPTIONED: usize = 64;

impl Task {
    /// The protocol's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Retrieval(task) => &task.protocol.name,
            Self::Captioning(task) => &task.protocol.name,
        }
    }

    /// Measures a model; media that cannot be used are named in `skipped`.
    ///
    /// # Errors
    /// Nothing that can be used or ranked, a model that lacks what it needs, or libtorch's.
    pub fn measure(&self, models: Models, skipped: &mut Vec<Skip>) -> Result<Outcome> {
        Ok(match self {
            Self::Retrieval(task) => {
                task.run(models.towers, EMBEDDED, &Default::default(), skipped)?.metrics.outcome()
            }
            Self::Captioning(task) => {
                let model = models.writer(&task.protocol.name)?;
                task.run(model, &model.config().generation, CAPTIONED, skipped)?.0.outcome()
            }
        })
    }
}

impl fmt::Display for Task {
    /// What it is over, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrieval(task) => {
                let (from, to) = (&task.queries, &task.gallery);
                let (asking, answering) = (from.items.len(), to.items.len());
                write!(f, "{asking} {} ask {answering} {}", from.modality, to.modality)
            }
            Self::Captioning(task) => write!(f, "captions of {} {} items", task.len(), task.protocol.from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_written_as_recipes_state_them() {
        let json = r#"{"kind":"retrieval","name":"a","source":"m","split":"val","from":"text","to":"image","captions":"first"}"#;
        let protocol: Protocol = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&protocol).unwrap(), json);
        assert_eq!((protocol.name(), protocol.kind()), ("a", "retrieval"));
        let json = r#"{"kind":"captioning","name":"b","source":"m","split":"val","from":"image"}"#;
        let protocol: Protocol = serde_json::from_str(json).unwrap();
        assert_eq!((protocol.kind(), protocol.metrics().0), ("captioning", "cider_d"));
        for (json, says) in [
            (r#"{"kind":"guessing","name":"b"}"#, "unknown variant `guessing`"),
            (&json.replace("split", "splid"), "unknown field `splid`"),
        ] {
            assert!(serde_json::from_str::<Protocol>(json).unwrap_err().to_string().contains(says));
        }
    }

    #[test]
    fn every_metric_has_a_name_for_people() {
        for protocol in [
            r#"{"kind":"retrieval","name":"a","source":"m","split":"val","from":"text","to":"image"}"#,
            r#"{"kind":"captioning","name":"b","source":"m","split":"val","from":"image"}"#,
        ] {
            let protocol: Protocol = serde_json::from_str(protocol).unwrap();
            let (primary, all) = protocol.metrics();
            assert!(all.contains(&primary));
            assert!(all.iter().all(|m| !shown(m, 0.5).starts_with(m)), "{all:?}");
        }
        assert_eq!(shown("r10", 0.256), "R@10 25.6 %");
    }
}
