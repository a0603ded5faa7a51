//! `/openapi.json`: every route, for programs that write clients.

use axum::Json;
use serde_json::{Map, Value, json};

/// The document.
pub(crate) async fn document() -> Json<Value> {
    Json(build())
}

/// One thing, as every route takes it.
fn input() -> Value {
    json!({
        "description": "A text; a data URL of an image, sound or video; an object with text, image, audio, video (base64 or a data URL) or row (of the index); or a list of them.",
        "oneOf": [{ "type": "string" }, { "type": "object" }, { "type": "array", "items": {} }],
    })
}

fn string(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

/// One word, or a list of them.
fn words(description: &str) -> Value {
    json!({ "description": description, "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

/// A route that takes JSON, and files as multipart where it says so.
fn post(summary: &str, fields: Value, required: &[&str], files: bool) -> Value {
    let mut schema = json!({ "type": "object", "properties": fields, "required": required });
    let mut content = Map::new();
    content.insert("application/json".into(), json!({ "schema": schema }));
    if files {
        schema["properties"]["file"] = json!({ "type": "string", "format": "binary" });
        schema["required"] = json!([]);
        content.insert("multipart/form-data".into(), json!({ "schema": schema }));
    }
    json!({ "post": {
        "summary": summary, "requestBody": { "required": true, "content": content },
        "responses": answers("200"),
    } })
}

fn get(summary: &str, parameter: Option<&str>) -> Value {
    let parameters: Vec<Value> = parameter
        .iter()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "integer" } }))
        .collect();
    json!({ "get": { "summary": summary, "parameters": parameters, "responses": answers("200") } })
}

fn answers(good: &str) -> Value {
    let error = json!({ "description": "Refused", "content": { "application/json": { "schema": {
        "$ref": "#/components/schemas/Error"
    } } } });
    json!({ good: { "description": "Done" }, "4XX": error, "5XX": error })
}

fn build() -> Value {
    let model = || string("The model's name; absent: the first that can do it.");
    let mut scenes =
        post("Find a video's scenes, as a job", json!({ "input": input(), "set": {} }), &["input"], true);
    scenes["post"]["responses"] = answers("202");
    let mut job = get("How far a job is, and what it found", Some("id"));
    job["delete"] = json!({
        "summary": "Stop a job and forget it", "parameters": job["get"]["parameters"], "responses": answers("204"),
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Unisono", "version": env!("CARGO_PKG_VERSION") },
        "paths": {
            "/": get("The page", None),
            "/health": get("The process runs", None),
            "/ready": get("It takes work", None),
            "/metrics": get("Counts, for Prometheus", None),
            "/openapi.json": get("This document", None),
            "/v1/models": get("The models", None),
            "/v1/index": get("What the index holds", None),
            "/v1/map": get("Where its items lie among each other", None),
            "/v1/embeddings": post("Unit vectors, in OpenAI's shape", json!({
                "input": input(), "model": model(), "dimensions": number("Numbers of each vector."),
                "encoding_format": { "enum": ["float", "base64"] }, "user": string("Not used."),
            }), &["input"], true),
            "/v1/search": post("What the index holds nearest to a query", json!({
                "query": input(), "k": number("How many hits."), "not": input(),
                "like": words("Ids of items to search for others like them."),
                "path": words("Only files of these patterns: holiday/**/*.jpg."),
                "label": words("Only items of these labels."),
                "since": string("Only files that were written then or later: a day, a time, or so long ago (30days)."),
                "before": string("Only files that were written before that."),
                "where": words("Only items whose keys are such: year>=2020, lang=fr, text~bus."),
                "chance": { "type": "number", "description": "Only hits that so few random pairs equal: 1e-4." },
                "order": { "enum": ["cosine", "chance"] },
                "modality": words("Only these: text, image, audio, video."),
            }), &["query"], true),
            "/v1/why": post("Which parts of an image make it a hit", json!({
                "query": input(), "row": number("The hit's row."),
            }), &["query", "row"], false),
            "/v1/votes": post("Keep what somebody thinks of a hit", json!({
                "query": string("The words that were searched with."), "row": number("The hit's row."), "id": string("The hit's id."),
                "vote": { "enum": ["up", "down", "none"] }, "score": { "type": "number" }, "rank": number("Its place, from 1 on."),
            }), &["query", "row", "id", "vote"], false),
            "/v1/items/{row}": get("What a row is", Some("row")),
            "/v1/items/{row}/file": get("A row's file", Some("row")),
            "/v1/items/{row}/thumbnail": get("A row's image, small", Some("row")),
            "/v1/classify": post("What images and sounds show", json!({
                "input": input(), "model": model(), "labels": { "type": "array", "items": { "type": "string" } },
                "top": number("Labels shown."),
            }), &["input"], true),
            "/v1/rerank": post("Documents in the order in which they answer a query", json!({
                "query": string("The query."), "documents": { "type": "array", "items": {} }, "model": model(),
                "top_n": number("How many of the best."), "return_documents": { "type": "boolean" },
            }), &["query", "documents"], false),
            "/v1/caption": post("A sentence about each image, sound or video", json!({
                "input": input(), "model": model(), "prompt": string("How it begins."),
                "max_length": number("Most tokens."), "beams": number("Beams of the search."),
            }), &["input"], true),
            "/v1/ask": post("An answer to a question about each", json!({
                "input": input(), "model": model(), "question": string("The question."),
                "answers": { "type": "array", "items": { "type": "string" } },
                "max_length": number("Most tokens."), "beams": number("Beams of the search."),
            }), &["input", "question"], true),
            "/v1/audio/transcriptions": post("What is said, in OpenAI's shape", json!({
                "model": model(), "language": string("The code of the language."), "prompt": string("Text before."),
                "response_format": { "enum": ["json", "text", "srt", "vtt", "verbose_json"] },
                "temperature": { "type": "number" }, "timestamp_granularities": {}, "input": input(),
            }), &["input"], true),
            "/v1/scenes": scenes,
            "/v1/scenes/{id}": job,
        },
        "components": {
            "schemas": { "Error": { "type": "object", "properties": { "error": { "type": "object", "properties": {
                "message": { "type": "string" }, "type": { "type": "string" }, "param": { "type": ["string", "null"] },
                "code": { "type": "integer" },
            } } } } },
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "key": [] }, {}],
    })
}
