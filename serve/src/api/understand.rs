//! `/v1/caption` and `/v1/ask`: sentences about images, sounds and videos, and answers to questions about them.

use super::classify::plain;
use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::model::Served;
use crate::refusal::{Answer, Refusal};
use crate::spool::Spool;
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_fusion::{Ability, FusionModel};
use unisono_jobs::EmbedOptions;
use unisono_jobs::understand::{Ask, Caption, Task, understand};

/// How a text is written, over the model's own settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptionWanted {
    pub(crate) model: Option<String>,
    /// How the caption begins.
    pub(crate) prompt: Option<String>,
    /// Most tokens.
    pub(crate) max_length: Option<usize>,
    /// Beams of the search.
    pub(crate) beams: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskWanted {
    pub(crate) model: Option<String>,
    pub(crate) question: String,
    /// Answers that may be right, which are ranked; none: one is written.
    #[serde(default)]
    pub(crate) answers: Vec<String>,
    pub(crate) max_length: Option<usize>,
    pub(crate) beams: Option<usize>,
}

pub(crate) async fn caption(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let (given, wanted) = read(&app, request).await?;
    Ok(Json(captions(&app, given, wanted).await?))
}

pub(crate) async fn ask(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let (given, wanted) = read(&app, request).await?;
    Ok(Json(answers(&app, given, wanted).await?))
}

async fn read<T: serde::de::DeserializeOwned>(app: &App, request: Request) -> Answer<(Vec<Given>, T)> {
    let mut form = Form::read(request, app.bounds()).await?;
    let mut given = form.media()?;
    if let Some(input) = form.take("input") {
        given.extend(Given::parse_all(&input, "input", app.settings.inputs)?);
    }
    Ok((given, form.rest()?))
}

/// A sentence about each.
pub(crate) async fn captions(app: &App, given: Vec<Given>, wanted: CaptionWanted) -> Answer<Value> {
    let model = app.able(wanted.model.as_deref(), Ability::Caption)?.clone();
    let make = move |model: &FusionModel| {
        let mut task = Caption::new(model);
        task.prompt = wanted.prompt.unwrap_or_default();
        task.generation.max_length = wanted.max_length.unwrap_or(task.generation.max_length).max(1);
        task.generation.beams = wanted.beams.unwrap_or(task.generation.beams).clamp(1, 16);
        task
    };
    told(app, &model, given, make).await
}

/// An answer about each.
pub(crate) async fn answers(app: &App, given: Vec<Given>, wanted: AskWanted) -> Answer<Value> {
    if wanted.question.trim().is_empty() {
        return Err(Refusal::field("question", "the question is empty"));
    }
    let model = app.able(wanted.model.as_deref(), Ability::Ask)?.clone();
    let make = move |model: &FusionModel| {
        let mut task = Ask::new(model, wanted.question);
        task.answers = wanted.answers;
        task.generation.max_length = wanted.max_length.unwrap_or(task.generation.max_length).max(1);
        task.generation.beams = wanted.beams.unwrap_or(task.generation.beams).clamp(1, 16);
        task
    };
    told(app, &model, given, make).await
}

/// What a task says of each.
async fn told<T>(
    app: &App,
    model: &Arc<Served>,
    given: Vec<Given>,
    make: impl FnOnce(&FusionModel) -> T + Send + 'static,
) -> Answer<Value>
where
    T: Task,
    T::Value: Serialize,
{
    if given.is_empty() {
        return Err(Refusal::field("input", "expected an image, a sound or a video, found none"));
    }
    let sees = &model.sees;
    let video_as = if sees.contains(&Modality::Image) { Modality::Image } else { Modality::Audio };
    for given in &given {
        let modality = app.modality_of(given);
        let taken = if modality == Modality::Video { video_as } else { modality };
        if !sees.contains(&taken) {
            let names: Vec<&str> = sees.iter().map(|m| m.name()).collect();
            let message =
                format!("its modality is {modality}; {} looks at: {}", model.name, names.join(", "));
            return Err(Refusal::field("input", message));
        }
    }
    let _inside = app.admit(given.len())?;
    let spool = Spool::new(app, given, "input", video_as).await?;
    let listing = spool.listing.clone();
    let made = model.engine.run(move |held, go_on| {
        let understander = held.understander()?;
        let options = EmbedOptions { max_skip: 0, batch: 8, ..EmbedOptions::default() };
        let mut task = make(understander.model());
        let made = understand(understander, listing, &mut task, &options, &mut |_| go_on());
        let rows = made.map_err(plain)?.rows;
        Ok(rows.iter().map(|row| json!(row.value)).collect::<Vec<Value>>())
    });
    let rows = made.await.map_err(|refusal| spool.named(refusal))?;
    let data: Vec<Value> = rows
        .into_iter()
        .enumerate()
        .map(|(i, mut value)| {
            value["index"] = i.into();
            value
        })
        .collect();
    Ok(json!({ "object": "list", "data": data, "model": model.name }))
}
