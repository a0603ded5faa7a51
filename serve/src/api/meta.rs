//! The page, and what the server says of itself.

use crate::app::App;
use crate::refresh::refresh;
use crate::refusal::{Answer, Refusal};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

/// What the page does, in the order in which its parts need each other.
const SCRIPT: &str = concat!(
    include_str!("../page/tools.js"),
    include_str!("../page/cards.js"),
    include_str!("../page/search.js"),
    include_str!("../page/record.js"),
    include_str!("../page/map.js"),
    include_str!("../page/keys.js"),
);
const STYLE: &str = include_str!("../page/style.css");

/// The page, and the policy that goes with it: its own script runs and no other, and it asks its own server only.
static PAGE: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| {
    let [head, body] = [include_str!("../page/head.html"), include_str!("../page/body.html")];
    let page = format!("{head}<style>\n{STYLE}</style>\n{body}<script>{SCRIPT}</script>\n");
    let sum = BASE64_STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    let policy = format!(
        "default-src 'self'; script-src 'sha256-{sum}'; style-src 'unsafe-inline'; img-src 'self' blob: data:; \
         media-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let nothing = HeaderValue::from_static("default-src 'none'");
    (page.into(), HeaderValue::from_str(&policy).unwrap_or(nothing))
});

/// `/`: one file; nothing is built, and nothing comes from elsewhere.
pub(crate) async fn page() -> Response {
    let (page, policy) = &*PAGE;
    let mut response = Html(page.clone()).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.clone());
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
