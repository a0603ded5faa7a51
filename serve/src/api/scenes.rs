//! `/v1/scenes`: where each scene of a video begins, as a job with its progress.

use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use crate::scenes::Wanted as Job;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_jobs::scenes::SceneSettings;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Settings over the usual ones, as `content.threshold=30`.
    #[serde(default)]
    pub(crate) set: Set,
}

/// One setting, or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum Set {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

pub(crate) async fn begin(State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let mut form = Form::read(request, app.bounds()).await?;
    let given = match form.file() {
        Some((bytes, _)) => Given::Media { modality: Modality::Video, bytes: bytes.to_vec() },
        None => {
            let input = form.take("input");
            Given::parse(
                &input.ok_or_else(|| Refusal::field("input", "expected a video, found none"))?,
                "input",
            )?
        }
    };
    let wanted: Wanted = form.rest()?;
    if app.is_ending() {
        return Err(Refusal::ending());
    }
    let (of, limits, ffmpeg) = (app.clone(), app.settings.limits, app.settings.ffmpeg.clone());
    let job = app.workers.run(move || job(&of, given, wanted.set, limits, ffmpeg)).await?;
    let id = app.scenes.begin(job)?;
    let place = format!("/v1/scenes/{id}");
    let told = Json(json!({ "id": id, "status": "waiting", "url": place }));
    Ok((StatusCode::ACCEPTED, [("location", place)], told).into_response())
}

fn job(
    app: &App,
    given: Given,
    set: Set,
    limits: unisono_media::MediaLimits,
    ffmpeg: Option<std::path::PathBuf>,
) -> Answer<Job> {
    let set = match set {
        Set::None => Vec::new(),
        Set::One(one) => vec![one],
        Set::Many(all) => all,
    };
    let settings = SceneSettings::load(None, &set).map_err(unisono_jobs::Error::from)?;
    if settings.learned() {
        return Err(Refusal::field(
            "set",
            "the learned detector is not served; expected one that needs no network",
        ));
    }
    let (path, held) = match given {
        Given::Media { modality: Modality::Video, bytes } => {
            let system = |e: std::io::Error| Refusal::broken(format!("a temporary file: {e}"));
            let held = tempfile::tempdir().map_err(system)?;
            let path = held.path().join("video");
            std::fs::write(&path, bytes).map_err(system)?;
            (path, Some(held))
        }
        Given::Row(row) => {
            let item = Some(app.current()?.index.readable(row, "input")?);
            let blob = item.filter(|i| i.modality == Modality::Video || i.video).and_then(|i| i.blob);
            let path = blob.as_ref().and_then(|blob| blob.path()).map(std::path::Path::to_owned);
            (path.ok_or_else(|| Refusal::field("input", format!("row {row} is no video file")))?, None)
        }
        _ => return Err(Refusal::field("input", "expected a video")),
    };
    Ok(Job { path, held, settings, limits, ffmpeg })
}

pub(crate) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Response> {
    Ok(Json(app.scenes.show(number(&id)?)?).into_response())
}

pub(crate) async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<StatusCode> {
    app.scenes.remove(number(&id)?)?;
    Ok(StatusCode::NO_CONTENT)
}

fn number(id: &str) -> Answer<u64> {
    id.parse().map_err(|_| Refusal::missing(format!("there is no job {id:?}")))
}
