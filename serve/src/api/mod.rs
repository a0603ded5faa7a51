//! What is served: a file each route, or a few that go together.

mod classify;
mod embeddings;
mod files;
mod map;
mod meta;
mod metrics;
mod openapi;
mod rerank;
mod scenes;
pub(crate) mod search;
pub(crate) mod transcribe;
pub(crate) mod understand;
mod votes;
mod why;

use crate::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::sync::Arc;

/// All routes.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(meta::page))
        .route("/health", get(meta::health))
        .route("/ready", get(meta::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/models", get(meta::models))
        .route("/v1/index", get(meta::index))
        .route("/v1/map", get(map::map))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/v1/search", post(search::search))
        .route("/v1/why", post(why::why))
        .route("/v1/votes", post(votes::vote))
        .route("/v1/items/{row}", get(files::item))
        .route("/v1/items/{row}/file", get(files::file))
        .route("/v1/items/{row}/thumbnail", get(files::thumbnail))
        .route("/v1/classify", post(classify::route))
        .route("/v1/rerank", post(rerank::rerank))
        .route("/v1/caption", post(understand::caption))
        .route("/v1/ask", post(understand::ask))
        .route("/v1/audio/transcriptions", post(transcribe::route))
        .route("/v1/scenes", post(scenes::begin))
        .route("/v1/scenes/{id}", get(scenes::show).delete(scenes::remove))
        .fallback(meta::nothing)
        .method_not_allowed_fallback(meta::method)
        // Bodies are counted where they are read.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}
