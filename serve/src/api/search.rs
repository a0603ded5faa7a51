//! `/v1/search`: what an index holds nearest to words, an image, a sound, a video, or several of them.

use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use unisono_encoders::Modality;
use unisono_jobs::{Hit, Item};

/// Most hits of a search.
const MOST: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// How many hits.
    k: Option<usize>,
    /// Only of these modalities.
    #[serde(default)]
    modality: Names,
}

/// One name, or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Names {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn modalities(self) -> Answer<Vec<Modality>> {
        let all = match self {
            Self::None => Vec::new(),
            Self::One(name) => vec![name],
            Self::Many(names) => names,
        };
        let known = |name: &String| {
            Modality::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
                Refusal::field("modality", format!("{name}: expected text, image, audio or video"))
            })
        };
        all.iter().map(known).collect()
    }
}

/// A part of a query, and how much it counts; what is to be unlike it counts less than nothing.
#[derive(Debug)]
pub(crate) struct Part {
    given: Given,
    weight: f32,
}

impl Part {
    /// What is looked for.
    pub(crate) fn new(given: Given) -> Self {
        Self { given, weight: 1.0 }
    }

    fn parse(value: &Value, at: &str) -> Answer<Self> {
        let weight = match value.get("weight") {
            None => 1.0,
            Some(weight) => {
                let weight = weight.as_f64().filter(|w| w.is_finite() && *w != 0.0);
                weight.ok_or_else(|| Refusal::field(at, "weight: expected a number other than 0"))? as f32
            }
        };
        Ok(Self { given: Given::parse(value, at)?, weight })
    }
}

pub(crate) async fn search(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let mut form = Form::read(request, app.bounds()).await?;
    let mut parts: Vec<Part> = form.media()?.into_iter().map(Part::new).collect();
    match form.take("query") {
        Some(Value::Array(all)) => {
            let one = |(i, value)| Part::parse(value, &format!("query[{i}]"));
            parts.extend(all.iter().enumerate().map(one).collect::<Answer<Vec<_>>>()?);
        }
        Some(one) => parts.push(Part::parse(&one, "query")?),
        None => (),
    }
    let wanted: Wanted = form.rest()?;
    let k = wanted.k.unwrap_or(10);
    Ok(Json(find(&app, parts, k, wanted.modality.modalities()?).await?))
}

/// The hits, as the route shows them.
pub(crate) async fn find(app: &App, parts: Vec<Part>, k: usize, modalities: Vec<Modality>) -> Answer<Value> {
    let index = app.index()?.clone();
    if parts.is_empty() || parts.len() > 16 {
        let found = parts.len();
        return Err(Refusal::field("query", format!("expected 1 to 16 parts, found {found}")));
    }
    if k == 0 || k > MOST {
        return Err(Refusal::field("k", format!("{k}: expected 1 to {MOST}")));
    }
    if parts.iter().any(|p| matches!(&p.given, Given::Text(text) if text.trim().is_empty())) {
        return Err(Refusal::field("query", "the query is empty"));
    }
    let _inside = app.admit(parts.len())?;
    let begun = Instant::now();
    let kinds: Vec<Modality> = parts.iter().map(|p| app.modality_of(&p.given)).collect();
    let searched = match (modalities.is_empty(), kinds.first()) {
        (true, Some(first)) => index.usual(*first),
        _ => modalities,
    };
    // What is like a row: the row itself is no news.
    let own: Vec<usize> =
        parts.iter().filter_map(|p| if let Given::Row(r) = p.given { Some(r) } else { None }).collect();
    let weights: Vec<f32> = parts.iter().map(|p| p.weight).collect();
    let rows = app.query_vectors(parts.into_iter().map(|p| p.given).collect(), "query").await?;
    let query = mixed(&rows, &weights)?;
    let (of, more) = (index.clone(), k + own.len());
    let work = move || {
        let mut hits = of.find(&query, more, &searched)?;
        hits.retain(|hit| !own.contains(&hit.index));
        hits.truncate(k);
        let found: Vec<Value> =
            hits.iter().filter_map(|hit| Some(shown(hit.index, &of.item(hit.index)?, Some(hit)))).collect();
        Ok((found, searched))
    };
    let (hits, searched) = app.workers.run(work).await?;
    let names: Vec<&str> = searched.iter().map(|m| m.name()).collect();
    Ok(json!({
        "object": "list", "hits": hits, "modalities": names, "count": index.len(),
        "seconds": begun.elapsed().as_secs_f64(),
    }))
}

/// The weighted sum of unit vectors, of length 1 again; one alone stays as it is.
fn mixed(rows: &[Vec<f32>], weights: &[f32]) -> Answer<Vec<f32>> {
    if let ([row], [weight]) = (rows, weights)
        && *weight > 0.0
    {
        return Ok(row.clone());
    }
    let mut sum = vec![0f64; rows.first().map_or(0, Vec::len)];
    for (row, weight) in rows.iter().zip(weights) {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*weight) * f64::from(*v));
    }
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length < 1e-6 {
        return Err(Refusal::field("query", "its parts cancel each other out; give other weights"));
    }
    Ok(sum.iter().map(|v| (v / length) as f32).collect())
}

/// An item, as requests show it.
pub(crate) fn shown(row: usize, item: &Item, hit: Option<&Hit>) -> Value {
    let mut value = json!({
        "row": row, "id": item.id, "modality": item.modality.name(), "text": item.text, "label": item.label,
        "lang": item.lang,
    });
    if let Some(hit) = hit {
        value["score"] = json!(hit.score);
    }
    if let Some(blob) = &item.blob {
        value["name"] = blob.name().file_name().map(|n| n.to_string_lossy().into_owned()).into();
        value["file"] = format!("/v1/items/{row}/file").into();
        value["missing"] = item.is_missing().into();
    }
    if !item.span.is_whole() {
        let seconds = [item.span.start, item.span.end].map(|t| t.map(|t| t.seconds()));
        value["seconds"] = json!(seconds);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_weighed() {
        let (x, y) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        let close = |a: Vec<f32>, b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert_eq!(mixed(&[vec![0.3, 0.4]], &[2.0]).unwrap(), [0.3, 0.4]);
        let h = 0.5f32.sqrt();
        assert!(close(mixed(&[x.clone(), y.clone()], &[1.0, 1.0]).unwrap(), [h, h]));
        assert!(close(mixed(&[x.clone(), y], &[1.0, -1.0]).unwrap(), [h, -h]));
        assert!(close(mixed(std::slice::from_ref(&x), &[-1.0]).unwrap(), [-1.0, 0.0]));
        assert!(mixed(&[x.clone(), x], &[1.0, -1.0]).is_err());
    }
}
