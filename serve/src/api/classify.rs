//! `/v1/classify`: what images and sounds show, by labels of the request or by the model's own.

use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use crate::spool::Spool;
use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_jobs::classify::{Labels, classify as by_labels, classify_by_own_labels};
use unisono_jobs::{EmbedOptions, Error as JobError, Progress};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) model: Option<String>,
    /// What may be seen; absent: the model's own labels.
    pub(crate) labels: Option<Vec<String>>,
    /// Labels shown.
    pub(crate) top: Option<usize>,
}

pub(crate) async fn route(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let mut form = Form::read(request, app.bounds()).await?;
    let mut given = form.media()?;
    if let Some(input) = form.take("input") {
        given.extend(Given::parse_all(&input, "input", app.settings.inputs)?);
    }
    Ok(Json(classify(&app, given, form.rest()?).await?))
}

/// The best labels of each.
pub(crate) async fn classify(app: &App, given: Vec<Given>, wanted: Wanted) -> Answer<Value> {
    let classifies = wanted.labels.is_none();
    let can = |m: &crate::model::Served| {
        let texts = m.embeds.contains(&Modality::Text);
        m.abilities.is_empty() && if classifies { m.classifies } else { texts && !m.embeds.is_empty() }
    };
    let what = if classifies { "classify without labels" } else { "classify" };
    let model = app.model(wanted.model.as_deref(), can, what)?.clone();
    if given.is_empty() {
        return Err(Refusal::field("input", "expected an image or a sound, found none"));
    }
    for given in &given {
        let modality = app.modality_of(given);
        if !matches!(modality, Modality::Image | Modality::Audio) || !model.embeds.contains(&modality) {
            let message = format!(
                "its modality is {modality}; {} classifies images and sounds that it embeds",
                model.name
            );
            return Err(Refusal::field("input", message));
        }
    }
    let labels = wanted.labels.map(Labels::new).transpose()?;
    let top = wanted.top.unwrap_or(5).max(1);
    let _inside = app.admit(given.len())?;
    let spool = Spool::new(app, given, "input", Modality::Image).await?;
    let (listing, options) = (spool.listing.clone(), EmbedOptions { max_skip: 0, ..EmbedOptions::default() });
    let made = model.engine.run(move |held, go_on| {
        let embedder = held.embedder()?;
        let mut progress = |_: Progress| go_on();
        match &labels {
            Some(labels) => by_labels(embedder, listing, labels, top, &options, &mut progress),
            None => classify_by_own_labels(embedder, listing, top, &options, &mut progress),
        }
    });
    let (found, _) = made.await.map_err(|refusal| spool.named(refusal))?;
    let data: Vec<Value> =
        found.iter().enumerate().map(|(i, of)| json!({ "index": i, "labels": of.guesses })).collect();
    Ok(json!({ "object": "list", "data": data, "model": model.name }))
}

/// More inputs than may be unusable end a job; here none may be.
pub(crate) fn plain(error: JobError) -> JobError {
    match error {
        JobError::TooManySkipped { id, reason, .. } | JobError::AllSkipped { id, reason, .. } => {
            JobError::Input(format!("{id}: {reason}"))
        }
        other => other,
    }
}
