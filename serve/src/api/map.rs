//! `/v1/map`: where the index's items lie among each other, for the page to draw.

use crate::app::App;
use crate::refresh::refresh;
use crate::refusal::{Answer, Refusal};
use crate::search::{Current, Searched};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_encoders::Modality;

/// Items that are drawn; of a larger index so many, evenly spread.
const MOST: usize = 100_000;

/// The map, made when it is asked for first, and once for each state of the index.
pub(crate) async fn map(State(app): State<Arc<App>>) -> Answer<Response> {
    refresh(&app);
    let current = app.current()?;
    let made = current.map.get_or_try_init(|| make(&app, &current)).await?.clone();
    Ok(([(header::CONTENT_TYPE, "application/json")], made).into_response())
}

async fn make(app: &App, current: &Current) -> Answer<Bytes> {
    let index = current.index.clone();
    let work = move || {
        serde_json::to_vec(&drawn(&index)).map(Bytes::from).map_err(|e| Refusal::broken(e.to_string()))
    };
    app.workers.run(work).await
}

/// Columns: an object for each item would be four times as long.
fn drawn(index: &Searched) -> Value {
    let spots = index.spots(MOST);
    // As exact as a screen of ten thousand pixels.
    let round = |v: f32| (f64::from(v) * 1e5).round() / 1e5;
    let kind = |modality| Modality::ALL.iter().position(|m| *m == modality);
    json!({
        "object": "map", "count": index.len(), "modalities": Modality::ALL.map(|m| m.name()),
        "rows": spots.iter().map(|s| s.row).collect::<Vec<_>>(),
        "kinds": spots.iter().map(|s| kind(s.modality)).collect::<Vec<_>>(),
        "x": spots.iter().map(|s| round(s.x)).collect::<Vec<_>>(),
        "y": spots.iter().map(|s| round(s.y)).collect::<Vec<_>>(),
    })
}
