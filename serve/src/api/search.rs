//! `/v1/search`: what an index holds nearest to words, an image, a sound, a video, or several of them.

use crate::app::App;
use crate::asked::{Asked, Part, Wanted};
use crate::form::Form;
use crate::given::Given;
use crate::refresh::refresh;
use crate::refusal::{Answer, Refusal};
use crate::search::Current;
use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use unisono_jobs::index::{Filter, combine};
use unisono_jobs::{Hit, Item};

pub(crate) async fn search(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    refresh(&app);
    let mut form = Form::read(request, app.bounds()).await?;
    let current = app.current()?;
    let mut parts: Vec<Part> = form.media()?.into_iter().map(Part::new).collect();
    if let Some(query) = form.take("query") {
        parts.extend(Part::parse_all(&query, "query", 1.0)?);
    }
    for id in ids(form.take("like"))? {
        parts.push(Part::new(Given::Row(row_of(&app, &current, id).await?)));
    }
    if let Some(not) = form.take("not") {
        parts.extend(Part::parse_away(&not)?);
    }
    let wanted: Wanted = form.rest()?;
    Ok(Json(find(&app, &current, Asked::new(parts, wanted)?).await?))
}

/// `like`: an item's id, or a list of them.
fn ids(like: Option<Value>) -> Answer<Vec<String>> {
    let wrong = || Refusal::field("like", "expected an item's id, as a search gives it, or a list of them");
    match like {
        None => Ok(Vec::new()),
        Some(Value::String(id)) => Ok(vec![id]),
        Some(Value::Array(all)) => {
            all.into_iter().map(|id| id.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The row with this id.
async fn row_of(app: &App, current: &Current, id: String) -> Answer<usize> {
    let index = current.index.clone();
    let work = move || {
        let none = || Refusal::missing(format!("like: the index holds no item {id:?} with a vector"));
        index.row_of(&id).ok_or_else(none)
    };
    app.workers.run(work).await
}

/// The hits, as the route shows them.
pub(crate) async fn find(app: &App, current: &Current, asked: Asked) -> Answer<Value> {
    let index = current.index.clone();
    let modality = asked.modality(|given| app.modality_of(given));
    let Asked { parts, k, filter, chance: most, order } = asked;
    let _inside = app.admit(parts.len())?;
    let begun = Instant::now();
    let searched = match filter.modalities.is_empty() {
        true => index.usual(modality),
        false => filter.modalities.clone(),
    };
    let filter = Filter { modalities: searched.clone(), ..filter };
    // What is like a row: the row itself is no news.
    let own: Vec<usize> =
        parts.iter().filter_map(|p| if let Given::Row(r) = p.given { Some(r) } else { None }).collect();
    let (query, together) = vector(app, current, parts).await?;
    let of = index.clone();
    let work = move || {
        let hits = of.find(&query, modality, k, (&filter, &own), order)?;
        // Of several queries together no random pairs are known.
        let chance = |hit: &Hit| if together > 1 { None } else { of.chance(modality, hit) };
        if most.is_some() && !hits.is_empty() {
            of.knows(modality, &filter.modalities)?;
        }
        let nearest = hits.len();
        let rare = |hit: &Hit| most.is_none_or(|most| chance(hit).is_some_and(|chance| chance <= most));
        let found: Vec<Value> = hits
            .iter()
            .filter(|hit| rare(hit))
            .filter_map(|hit| Some(shown(hit.index, &of.item(hit.index)?, Some((hit, chance(hit))))))
            .collect();
        Ok((found, nearest))
    };
    let (hits, nearest) = app.workers.run(work).await?;
    let names: Vec<&str> = searched.iter().map(|m| m.name()).collect();
    let mut answer = json!({
        "object": "list", "hits": hits, "modalities": names, "count": index.len(),
        "seconds": begun.elapsed().as_secs_f64(),
    });
    if most.is_some() {
        // What was near, but no nearer than random pairs are.
        answer["left_out"] = json!(nearest - hits.len());
    }
    Ok(answer)
}

/// The vector of a query, and of how many it is. A row of the index has its vector there: no model is needed.
pub(super) async fn vector(app: &App, current: &Current, parts: Vec<Part>) -> Answer<(Vec<f32>, usize)> {
    let mut found: Vec<(Vec<f32>, f32)> = Vec::with_capacity(parts.len());
    let (mut places, mut given) = (Vec::new(), Vec::new());
    for part in parts {
        let known = if let Given::Row(row) = part.given { current.index.vector(row) } else { None };
        if known.is_none() {
            places.push(found.len());
            given.push(part.given);
        }
        found.push((known.unwrap_or_default(), part.weight));
    }
    if !given.is_empty() {
        for (place, row) in places.into_iter().zip(app.query_vectors(current, given, "query").await?) {
            if let Some((vector, _)) = found.get_mut(place) {
                *vector = row;
            }
        }
    }
    let count = found.len();
    match found.pop() {
        Some((one, _)) if found.is_empty() => Ok((one, 1)),
        last => {
            found.extend(last);
            let whole = combine(&found).map_err(|e| Refusal::field("query", e.to_string()))?;
            Ok((whole, count))
        }
    }
}

/// An item, as requests show it.
pub(crate) fn shown(row: usize, item: &Item, hit: Option<(&Hit, Option<f64>)>) -> Value {
    let mut value = json!({
        "row": row, "id": item.id, "modality": item.modality.name(), "text": item.text, "label": item.label,
        "lang": item.lang,
    });
    if let Some((hit, chance)) = hit {
        value["score"] = json!(hit.score);
        if let Some(chance) = chance {
            value["chance"] = json!(chance);
        }
    }
    if !item.meta.is_empty() {
        value["meta"] = json!(item.meta);
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
