//! Heads of classifiers as Hugging Face's classes save them: a linear layer, and what its rows are called in `id2label`.

use super::source::Checkpoint;
use crate::config::{ClassifierConfig, ClassifierInput, Score};
use crate::{Error, Modality, Result};
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;

const MAP: &str = include_str!("../../maps/classifier.map");

/// Where a family keeps its head, and what that looks at.
pub(super) struct Place {
    pub modality: Modality,
    pub input: ClassifierInput,
    /// The linear layer's name.
    pub linear: &'static str,
    /// The layer norm's before it, and its epsilon.
    pub norm: Option<(&'static str, f64)>,
}

impl Place {
    /// A linear layer under `classifier` over images.
    pub const fn image(input: ClassifierInput) -> Self {
        Self { modality: Modality::Image, input, linear: "classifier", norm: None }
    }
}

/// The head of a checkpoint whose weights have one.
pub(super) fn read(source: &Checkpoint, place: &Place, map: &mut Map) -> Result<Option<ClassifierConfig>> {
    let weights = Weights::open(source.dir)?;
    let Some([rows, _]) = weights.shape(&format!("{}.weight", place.linear)) else { return Ok(None) };
    let norm = place.norm.map_or("none", |(name, _)| name);
    map.add(MAP, &[("linear", place.linear), ("norm", norm)])?;
    Ok(Some(ClassifierConfig {
        modality: place.modality,
        input: place.input,
        norm_eps: place.norm.map(|(_, eps)| eps),
        score: score(source.config, place.modality, *rows)?,
        labels: labels(source.config, *rows, weights.path())?,
    }))
}

/// What the library's own pipelines make of the numbers.
fn score(json: Json, modality: Modality, labels: i64) -> Result<Score> {
    Ok(match json.text("problem_type", "")? {
        "regression" => Score::Raw,
        "multi_label_classification" => Score::Sigmoid,
        // A single number of an image's classifier says yes or no; of an audio file's it is a softmax over one.
        "" | "single_label_classification" if labels == 1 && modality == Modality::Image => Score::Sigmoid,
        "" | "single_label_classification" => Score::Softmax,
        _ => {
            let expected = "single_label_classification, multi_label_classification or regression";
            return Err(json.wrong("problem_type", expected).into());
        }
    })
}

/// The names of `rows` numbers; where the file has none, those that the library makes up.
pub(super) fn labels(json: Json, rows: i64, weights: &Path) -> Result<Vec<String>> {
    let rows = usize::try_from(rows).unwrap_or(0);
    let named = json.object("id2label");
    let Some(all) = named.value.as_object() else {
        return Ok((0..rows).map(|i| format!("LABEL_{i}")).collect());
    };
    let mut labels = vec![None; rows];
    for key in all.keys() {
        let place = key.parse().ok().and_then(|i: usize| labels.get_mut(i));
        let Some(place) = place else {
            return Err(named
                .wrong(key, format_args!("numbers from 0 to {}, {rows} labels", rows.saturating_sub(1)))
                .into());
        };
        *place = Some(named.text(key, "")?.to_owned());
    }
    labels.into_iter().enumerate().map(|(i, label)| label.ok_or_else(|| {
        let found = all.len();
        let head = weights.display();
        Error::format(json.path, format!("id2label: expected {rows} labels, as many as {head} has, found {found} and none for {i}"))
    })).collect()
}
