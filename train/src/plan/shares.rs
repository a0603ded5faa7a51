//! What is known of the data without reading them: counts where a single small file has all records.

use crate::recipe::DataConfig;
use crate::setup::{Sources, wanted, weight};
use crate::{Recipe, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use unisono_datasets::{Key, Part, Record, SourceConfig, SourceKind};
use unisono_encoders::Modality;

/// A source and how often its records come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Its name in the recipe.
    pub name: String,
    /// Records that are drawn from; `None`: not counted.
    pub records: Option<usize>,
    /// Records of each batch, over time; `None`: not known.
    pub per_batch: Option<f64>,
    /// How often each record comes.
    pub epochs: Option<f64>,
}

/// A file of records up to this size is read, bytes.
const SMALL: u64 = 64 << 20;

/// So many records of a source stand for all of them.
const SEEN: usize = 512;

/// What is known of the data.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The sources.
    pub shares: Vec<Share>,
    /// Some records of each.
    pub seen: Vec<Vec<Record>>,
    /// What is to be said of them.
    pub notes: Vec<String>,
}

/// Looks at the sources of a recipe.
pub(super) fn look(recipe: &Recipe) -> Result<Known> {
    let (mut sources, twice) = (Sources::default(), recipe.objective.twice());
    let (mut shares, mut samples, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for config in &recipe.data {
        let found = match small(&config.source) {
            true => records(config, &twice, &mut sources).map_err(|e| e.to_string()),
            false => Err(format!("{} would have to be read for it", config.source.name())),
        };
        let (records, seen) = match found {
            Ok((count, seen)) => (Some(count), seen),
            Err(why) => {
                notes.push(format!("{}: its records are not counted: {why}", config.name));
                (None, Vec::new())
            }
        };
        let per_batch = config.per_batch.map(|n| n as f64);
        shares.push(Share { name: config.name.clone(), records, per_batch, epochs: None });
        samples.push(seen);
    }
    if let Some(mixture) = &recipe.mixture {
        let of = |(share, config): (&Share, &DataConfig)| {
            let known = share.records.or(config.weight.map(|_| 1));
            known.map(|records| weight(config, records, mixture.temperature))
        };
        let weights: Option<Vec<f64>> = shares.iter().zip(&recipe.data).map(of).collect();
        for (share, weight) in shares.iter_mut().zip(weights.iter().flatten()) {
            let all: f64 = weights.iter().flatten().sum();
            share.per_batch = Some(mixture.batch_size as f64 * weight / all.max(f64::MIN_POSITIVE));
        }
    }
    for share in &mut shares {
        let records = share.records.filter(|n| *n > 0);
        share.epochs = share.per_batch.zip(records).map(|(each, n)| each * recipe.steps as f64 / n as f64);
    }
    Ok(Known { shares, seen: samples, notes })
}

/// Whether all records are in one file that is read at once.
fn small(source: &SourceConfig) -> bool {
    let [path] = source.paths.as_slice() else { return false };
    let kind = matches!(source.kind, None | Some(SourceKind::Manifest | SourceKind::Table));
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let lines = ["jsonl", "ndjson", "csv", "tsv"].contains(&ending);
    kind && lines && fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= SMALL)
}

/// How many records a share draws from, and some of them from all over it.
fn records(
    config: &DataConfig,
    twice: &BTreeSet<Modality>,
    sources: &mut Sources,
) -> Result<(usize, Vec<Record>)> {
    let of_split = |key: &Key| config.split.is_none() || key.split == config.split.as_deref();
    let part = Part::of(sources.get(&config.source)?, |key| of_split(key) && wanted(key, config, twice))?;
    let step = part.len().div_ceil(SEEN).max(1);
    let seen = (0..part.len()).step_by(step).filter_map(|i| part.record(i).ok());
    Ok((part.len(), seen.map(std::borrow::Cow::into_owned).collect()))
}
