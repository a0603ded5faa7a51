//! What a run writes down: `metrics.jsonl` and TensorBoard events.

use crate::tensorboard::{self, EventWriter};
use crate::watched::CanaryLine;
use crate::world::World;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use unisono_eval::protocol::{Metric, Outcome};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// A stretch of training steps.
    Train(TrainLine),
    /// An evaluation.
    Eval(EvalLine),
    /// A look at the abilities that are watched.
    Canary(CanaryLine),
}

/// Means over the steps since the line before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainLine {
    /// Steps done.
    pub step: u64,
    /// The whole loss, nats.
    pub loss: f64,
    /// Each loss by itself: pairs of modalities as `text_image`, `caption`, `match`.
    pub pairs: BTreeMap<String, f64>,
    /// How the space looks (Wang & Isola 2020): `alignment/text_image`, the mean squared distance of the two of a pair, and `uniformity/text`, the logarithm
    /// of the mean of exp(−2 d²) over a modality's vectors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub geometry: BTreeMap<String, f64>,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Of the last step, by the first part of the parameters' names: `text`, `image`, `fusion`.
    #[serde(default)]
    pub grad_norms: BTreeMap<String, f64>,
    /// exp(logit scale) of each pair.
    pub logit_scales: BTreeMap<String, f64>,
    /// Samples a second.
    pub samples_per_second: f64,
    /// Share of the time that the loop waited for data.
    pub data_wait: f64,
    /// Bytes that a process sent to the others a step; 0 alone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent_bytes: f64,
    /// Share of the time that the loop waited for the other processes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub world_wait: f64,
    /// Kilowatt-hours since the run began, resumptions added up.
    #[serde(default)]
    pub energy_kwh: f64,
    /// Seconds since the run began, resumptions added up.
    pub seconds: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// An evaluation's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalLine {
    /// Steps done.
    pub step: u64,
    /// What the best checkpoint is chosen by.
    pub score: f64,
    /// Which figure that is: `PROTOCOL.METRIC`.
    pub by: String,
    /// What each protocol found.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Seconds since the run began.
    pub seconds: f64,
}

/// Appends to a run's metrics.
pub struct Tracker {
    path: PathBuf,
    /// Nothing where another process writes.
    events: Option<EventWriter>,
}

impl Tracker {
    /// Opens the metrics of `run` at `step`: lines beyond it, of a run that was interrupted after its last checkpoint, are taken back.
    ///
    /// # Errors
    /// No permission, no space.
    pub fn open(run: &Path, step: u64, world: &World) -> Result<Self> {
        let path = run.join("metrics.jsonl");
        if !world.leads() {
            return Ok(Self { path, events: None });
        }
        let kept: Vec<Line> = if step == 0 { Vec::new() } else { read(&path)? };
        let mut text = String::new();
        for line in kept.iter().filter(|l| l.step() <= step) {
            text.push_str(&to_json(line, &path)?);
        }
        unisono_files::write(&path, text)?;
        let dir = run.join("tensorboard");
        let events = EventWriter::open(&dir, step).map_err(|e| Error::io(dir, e))?;
        Ok(Self { path, events: Some(events) })
    }

    /// Appends one line to the metrics, and its scalars to the events.
    ///
    /// # Errors
    /// No space.
    pub fn write(&mut self, line: &Line) -> Result<()> {
        let Some(events) = &mut self.events else { return Ok(()) };
        let io = |e| Error::io(&self.path, e);
        let mut file = unisono_files::open_own(&self.path)?;
        file.write_all(to_json(line, &self.path)?.as_bytes()).map_err(io)?;
        events.scalars(tensorboard::now(), line.step(), &line.scalars()).map_err(io)
    }
}

fn to_json(line: &Line, path: &Path) -> Result<String> {
    let text = serde_json::to_string(line).map_err(|e| Error::io(path, std::io::Error::other(e)))?;
    Ok(text + "\n")
}

/// The lines of a `metrics.jsonl`; a last line that was cut off is left out.
///
/// # Errors
/// Not there.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect())
}

impl Line {
    /// Steps done.
    pub fn step(&self) -> u64 {
        match self {
            Self::Train(t) => t.step,
            Self::Eval(e) => e.step,
            Self::Canary(c) => c.step,
        }
    }

    fn scalars(&self) -> Vec<(String, f64)> {
        match self {
            Self::Train(t) => {
                let mut out = vec![
                    ("train/loss".to_owned(), t.loss),
                    ("train/lr".to_owned(), t.lr),
                    ("train/grad_norm".to_owned(), t.grad_norm),
                    ("train/samples_per_second".to_owned(), t.samples_per_second),
                    ("train/data_wait".to_owned(), t.data_wait),
                    ("train/energy_kwh".to_owned(), t.energy_kwh),
                ];
                out.extend(t.grad_norms.iter().map(|(k, v)| (format!("grad_norm/{k}"), *v)));
                out.extend(t.pairs.iter().map(|(k, v)| (format!("loss/{k}"), *v)));
                out.extend(t.geometry.iter().map(|(k, v)| (k.clone(), *v)));
                out.extend(t.logit_scales.iter().map(|(k, v)| (format!("logit_scale/{k}"), *v)));
                out
            }
            Self::Eval(e) => {
                let mut out = vec![("eval/score".to_owned(), e.score)];
                for (name, outcome) in &e.outcomes {
                    let of = |(metric, m): (&String, &Metric)| (format!("eval/{name}/{metric}"), m.value);
                    out.extend(outcome.metrics.iter().map(of));
                }
                out
            }
            Self::Canary(c) => {
                c.figures.iter().map(|(name, watched)| (format!("canary/{name}"), watched.last)).collect()
            }
        }
    }
}
