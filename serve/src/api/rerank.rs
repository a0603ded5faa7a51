//! `/v1/rerank`, in Cohere's and Jina's shape: documents in the order in which they answer a query.

use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::model::Served;
use crate::refusal::{Answer, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_jobs::understand::{Match, understand};
use unisono_jobs::{EmbedOptions, Item, Items, Listing};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    model: Option<String>,
    query: String,
    documents: Vec<Document>,
    /// How many of the best.
    top_n: Option<usize>,
    #[serde(default)]
    return_documents: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Object { text: String },
}

impl Document {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Object { text } => text,
        }
    }
}

pub(crate) async fn rerank(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let mut form = Form::read(request, app.bounds()).await?;
    let wanted: Wanted = form.rest()?;
    let (found, most) = (wanted.documents.len(), app.settings.inputs);
    match found {
        0 => return Err(Refusal::field("documents", "expected at least one, found none")),
        n if n > most => {
            return Err(Refusal::large(format!("documents: {n}, and the limit is {most} (--max-inputs)")));
        }
        _ => (),
    }
    if wanted.query.trim().is_empty() {
        return Err(Refusal::field("query", "the query is empty"));
    }
    // A model that reads both together says more than the cosine of two vectors.
    let reads = |m: &Served| m.compares_texts || m.embeds.contains(&Modality::Text);
    let name = wanted.model.as_deref();
    let model = match (name, app.models().iter().find(|m| m.compares_texts)) {
        (None, Some(model)) => model.clone(),
        _ => app.model(name, reads, "compare texts")?.clone(),
    };
    let _inside = app.admit(found)?;
    let scores = match model.compares_texts {
        true => compared(&model, &wanted).await?,
        false => cosines(&app, &model, &wanted).await?,
    };
    let mut order: Vec<(usize, f64)> = scores.into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.truncate(wanted.top_n.unwrap_or(found));
    let results: Vec<Value> = order
        .into_iter()
        .map(|(index, score)| {
            let mut result = json!({ "index": index, "relevance_score": score });
            if let (true, Some(document)) = (wanted.return_documents, wanted.documents.get(index)) {
                result["document"] = json!({ "text": document.text() });
            }
            result
        })
        .collect();
    Ok(Json(json!({ "object": "list", "results": results, "model": model.name })))
}

/// How well each document and the query belong together, by a model that reads both.
async fn compared(model: &Served, wanted: &Wanted) -> Answer<Vec<f64>> {
    let texts = wanted.documents.iter().enumerate();
    let items: Items = texts.map(|(i, d)| Item::text(format!("documents[{i}]"), d.text())).collect();
    let mut task = Match { texts: vec![wanted.query.clone()] };
    let options = EmbedOptions { max_skip: 0, ..EmbedOptions::default() };
    let made = model.engine.run(move |held, go_on| {
        let listing = Listing { items, ..Listing::default() };
        understand(held.understander()?, listing, &mut task, &options, &mut |_| go_on())
            .map_err(super::classify::plain)
    });
    let rows = made.await?.rows;
    Ok(rows
        .iter()
        .map(|row| row.value.matches.first().map_or(f64::NEG_INFINITY, |m| m.fit.number()))
        .collect())
}

/// The cosine of each document with the query.
async fn cosines(app: &App, model: &Arc<Served>, wanted: &Wanted) -> Answer<Vec<f64>> {
    let texts = std::iter::once(wanted.query.as_str()).chain(wanted.documents.iter().map(Document::text));
    let given = texts.map(|text| Given::Text(text.to_owned())).collect();
    let rows = app.vectors(model, given, "documents", None).await?.rows;
    let Some((query, documents)) = rows.split_first() else { return Ok(Vec::new()) };
    let cosine = |row: &Vec<f32>| row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    Ok(documents.iter().map(cosine).collect())
}
