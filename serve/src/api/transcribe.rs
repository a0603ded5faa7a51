//! `/v1/audio/transcriptions`, in OpenAI's shape: what is said in a sound or a video.

use super::classify::plain;
use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use crate::spool::Spool;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_fusion::Ability;
use unisono_jobs::understand::{Format, Transcribe, Transcript, understand};
use unisono_jobs::{EmbedOptions, Error as JobError};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) model: Option<String>,
    /// The code of the language that is spoken; absent: found.
    pub(crate) language: Option<String>,
    /// Text that comes before, whose spelling is followed.
    pub(crate) prompt: Option<String>,
    #[serde(default)]
    pub(crate) response_format: ResponseFormat,
    /// The first temperature; warmer ones follow while a text is bad.
    pub(crate) temperature: Option<f64>,
    /// Segments have times always; words have none here.
    #[serde(default)]
    pub(crate) timestamp_granularities: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseFormat {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    VerboseJson,
}

pub(crate) async fn route(State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let mut form = Form::read(request, app.bounds()).await?;
    let given = match form.file() {
        // Whatever its name says: what it is shows when it is decoded.
        Some((bytes, name)) => {
            let video =
                name.as_deref().and_then(crate::mime::of_name).is_some_and(|m| m.starts_with("video/"));
            let modality = if video { Modality::Video } else { Modality::Audio };
            Given::Media { modality, bytes: bytes.to_vec() }
        }
        None => {
            let input = form.take("input").or_else(|| form.take("file"));
            let input =
                input.ok_or_else(|| Refusal::field("file", "expected a sound or a video, found none"))?;
            Given::parse(&input, "file")?
        }
    };
    let wanted: Wanted = form.rest()?;
    let format = wanted.response_format;
    let made = transcript(&app, given, wanted).await?;
    let plain = |text: String, mime: &'static str| ([(header::CONTENT_TYPE, mime)], text).into_response();
    Ok(match format {
        ResponseFormat::Json => Json(json!({ "text": made.text })).into_response(),
        ResponseFormat::VerboseJson => Json(verbose(&made)).into_response(),
        ResponseFormat::Text => plain(Format::Text.render(&made)?, "text/plain; charset=utf-8"),
        ResponseFormat::Srt => plain(Format::Srt.render(&made)?, "application/x-subrip; charset=utf-8"),
        ResponseFormat::Vtt => plain(Format::Vtt.render(&made)?, "text/vtt; charset=utf-8"),
    })
}

fn verbose(made: &Transcript) -> Value {
    let segments = made.segments.iter().enumerate();
    let segments: Vec<Value> =
        segments.map(|(id, s)| json!({ "id": id, "start": s.start, "end": s.end, "text": s.text })).collect();
    json!({
        "task": "transcribe", "language": made.language, "text": made.text, "segments": segments,
        "duration": made.segments.last().map_or(0.0, |s| s.end),
    })
}

/// What is said in it.
pub(crate) async fn transcript(app: &App, given: Given, wanted: Wanted) -> Answer<Transcript> {
    if wanted.timestamp_granularities.to_string().contains("word") {
        let message = "words have no times here; expected segment";
        return Err(Refusal::field("timestamp_granularities", message));
    }
    let model = app.able(wanted.model.as_deref(), Ability::Transcribe)?.clone();
    if !matches!(app.modality_of(&given), Modality::Audio | Modality::Video) {
        return Err(Refusal::field("file", "expected a sound or a video"));
    }
    let _inside = app.admit(1)?;
    let spool = Spool::new(app, vec![given], "file", Modality::Audio).await?;
    let listing = spool.listing.clone();
    let made = model.engine.run(move |held, go_on| {
        let understander = held.understander()?;
        let model = understander.model();
        let mut task = Transcribe::new(model);
        let options = &mut task.transcription;
        if let (Some(code), Some(speech)) = (&wanted.language, &model.config().speech) {
            let known = speech.languages.contains_key(code) || (speech.languages.is_empty() && code == "en");
            if !known {
                return Err(JobError::Input(format!("language {code}: this model does not know it")));
            }
        }
        options.language.clone_from(&wanted.language);
        if let Some(first) = wanted.temperature.filter(|t| *t > 0.0) {
            options.temperatures.retain(|t| *t > first);
            options.temperatures.insert(0, first);
        }
        if let Some(prompt) = wanted.prompt.as_deref().filter(|p| !p.is_empty()) {
            options.prompt = model.speech_prompt(prompt)?;
        }
        let work = EmbedOptions { max_skip: 0, batch: 1, ..EmbedOptions::default() };
        match understand(understander, listing, &mut task, &work, &mut |_| go_on()).map_err(plain) {
            Ok(mut made) => Ok(made.rows.pop().map(|row| row.value)),
            // Silence is no mistake of the request's.
            Err(JobError::Input(message)) if message.ends_with("no speech was found in it") => Ok(None),
            Err(e) => Err(e),
        }
    });
    let nothing = Transcript { language: None, text: String::new(), segments: Vec::new() };
    Ok(made.await.map_err(|refusal| spool.named(refusal))?.unwrap_or(nothing))
}
