//! The page, and what the server says of itself.

use crate::app::App;
use crate::refresh::refresh;
use crate::refusal::{Answer, Refusal};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// One file: nothing is built and nothing comes from elsewhere.
const PAGE: &str = include_str!("../page.html");
/// Its scripts and styles are its own; it asks its own server only.
const POLICY: &str = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob: data:; \
     object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`.
pub(crate) async fn page() -> Response {
    let mut response = Html(PAGE).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// `/health`: the process runs.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// `/ready`: it takes work.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    match app.is_ending() {
        true => Err(Refusal::ending()),
        false => Ok(Json(json!({ "status": "ready" }))),
    }
}

/// `/v1/models`.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let data: Vec<Value> = app.models().iter().map(|model| model.card()).collect();
    Json(json!({ "object": "list", "data": data }))
}

/// `/v1/index`.
pub(crate) async fn index(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    refresh(&app);
    let current = app.current()?;
    let index = &current.index;
    let name = index.folder().file_name().map(|n| n.to_string_lossy().into_owned());
    let takes: Vec<&str> = current.query.embeds.iter().map(|m| m.name()).collect();
    Ok(Json(json!({ "name": name, "count": index.len(), "modalities": index.counts(), "queries": takes,
        "model": current.query.name, "sum": index.sum(), "votes": app.votes.is_some(), "not_taken": app.searching.failed(),
    })))
}

/// Any other path.
pub(crate) async fn nothing(method: Method, uri: Uri) -> Refusal {
    Refusal::missing(format!(
        "{method} {}: there is nothing here; /openapi.json lists what there is",
        uri.path()
    ))
}

/// Another method than the path has.
pub(crate) async fn method(method: Method, uri: Uri) -> Refusal {
    let message = format!("{method} {}: another method is expected; /openapi.json lists them", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
