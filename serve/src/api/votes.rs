//! `/v1/votes`: what people think of hits, kept to learn from.

use crate::app::App;
use crate::form::Form;
use crate::refusal::{Answer, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_jobs::feedback::Vote;

/// Longest query of a vote, in characters.
const LONGEST: usize = 2000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The words that were searched with.
    query: String,
    /// The hit.
    row: usize,
    /// Its id: where the index has changed since the search, its rows may be others.
    id: String,
    vote: Opinion,
    /// Its cosine.
    score: Option<f32>,
    /// Its place among the hits, from 1 on.
    rank: Option<usize>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Opinion {
    /// It is what was looked for.
    Up,
    /// It is not.
    Down,
    /// An earlier vote is taken back.
    None,
}

pub(crate) async fn vote(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let Wanted { query, row, id, vote, score, rank } = Form::read(request, app.bounds()).await?.rest()?;
    if app.votes.is_none() {
        return Err(Refusal::missing("votes are not kept here; `unisono serve --votes FILE` keeps them"));
    }
    if query.trim().is_empty() || query.chars().count() > LONGEST {
        let message = format!("expected the words that were searched with, of 1 to {LONGEST} characters");
        return Err(Refusal::field("query", message));
    }
    let index = app.current()?.index.clone();
    let item = index.item(row).filter(|item| item.id == id).ok_or_else(|| {
        let message =
            format!("row {row} is not {id:?}: the index has changed since the search; search again");
        Refusal { param: Some("row".into()), ..Refusal::new(StatusCode::CONFLICT, message) }
    })?;
    let number = match vote {
        Opinion::Up => 1,
        Opinion::Down => -1,
        Opinion::None => 0,
    };
    let score = score.filter(|score| score.is_finite());
    let vote = Vote { score, rank, ..Vote::new(&query, item, number, index.model_sum()) };
    let of = app.clone();
    let work = move || {
        let votes = of.votes.as_ref().ok_or_else(|| Refusal::broken("votes are not kept here"))?;
        Ok(votes.append(&vote)?)
    };
    app.workers.run(work).await?;
    Ok(Json(json!({ "object": "vote", "vote": number })))
}
