//! The tools: search, caption, ask, transcribe, scenes; of these those that the models can do.

use crate::api::{search, transcribe, understand};
use crate::app::App;
use crate::asked::{Asked, Order, Part, Wanted as Searching};
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use crate::scenes::{Wanted, found};
use crate::thumbnail::{EDGE, small};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use unisono_encoders::Modality;
use unisono_fusion::Ability;
use unisono_jobs::Flow;
use unisono_jobs::scenes::SceneSettings;
use unisono_media::video::Ffmpeg;

/// Hits whose pictures an agent is shown.
const PICTURES: usize = 4;

/// What a tool looks at.
#[derive(Debug, Default, Deserialize)]
struct What {
    /// A file of the user's.
    path: Option<PathBuf>,
    /// A row of the index.
    row: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: Option<String>,
    path: Option<PathBuf>,
    row: Option<usize>,
    not: Option<String>,
    k: Option<usize>,
    #[serde(default)]
    modality: Vec<String>,
    #[serde(default)]
    glob: Vec<String>,
    #[serde(default)]
    label: Vec<String>,
    since: Option<String>,
    before: Option<String>,
    #[serde(default, rename = "where")]
    tests: Vec<String>,
    chance: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Caption {
    path: Option<PathBuf>,
    row: Option<usize>,
    prompt: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    path: Option<PathBuf>,
    row: Option<usize>,
    question: String,
    #[serde(default)]
    answers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transcribe {
    path: Option<PathBuf>,
    row: Option<usize>,
    language: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenes {
    path: Option<PathBuf>,
    row: Option<usize>,
}

/// The tools that this server has.
pub(super) fn list(app: &App) -> Vec<Value> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let words = |description: &str| json!({ "type": "array", "items": { "type": "string" }, "description": description });
    let path = text("A picture, sound or video file: its absolute path.");
    let row = json!({ "type": "integer", "minimum": 0, "description": "A row of the index, as a search gives it." });
    let names: Vec<&str> = Modality::ALL.iter().map(|m| m.name()).collect();
    let tool = |name: &str, description: &str, more: Value, required: &[&str]| {
        let mut properties = json!({ "path": path, "row": row });
        for (key, value) in more.as_object().into_iter().flatten() {
            properties[key] = value.clone();
        }
        json!({ "name": name, "description": description, "annotations": { "readOnlyHint": true },
            "inputSchema": { "type": "object", "properties": properties, "required": required } })
    };
    let mut tools = Vec::new();
    if app.index_if_any().is_some() {
        let more = json!({
            "query": text("What to find, in words."),
            "k": { "type": "integer", "minimum": 1, "maximum": 1000, "description": "How many hits; 10 where it is left out." },
            "modality": { "type": "array", "items": { "enum": names }, "description": "Only these." },
            "not": text("What to keep away from, in words."),
            "glob": words("Only files of these patterns, as holiday/**/*.jpg."),
            "label": words("Only items of these labels."),
            "since": text("Only files that were written then or later: a day (2024-05-01), a time, or so long ago (30days)."),
            "before": text("Only files that were written before that."),
            "where": words("Only items whose keys are such, as year>=2020 or text~bus."),
            "chance": { "type": "number", "exclusiveMinimum": 0, "maximum": 1,
                "description": "Only hits that so few random pairs equal: with 1e-4 a search for what is not there finds nothing." },
        });
        let about = "Find what is nearest in meaning to words (query), to a file (path), or to an earlier hit (row). Videos are found by their moments, in seconds. A hit's chance is the share of random pairs that score as high.";
        tools.push(tool("search", about, more, &[]));
    }
    let can = |ability| app.able(None, ability).is_ok();
    if can(Ability::Caption) {
        let more = json!({ "prompt": text("How the sentence begins.") });
        tools.push(tool("caption", "Say in a sentence what a picture, sound or video shows.", more, &[]));
    }
    if can(Ability::Ask) {
        let more = json!({
            "question": text("The question."),
            "answers": { "type": "array", "items": { "type": "string" }, "description": "Answers to choose among." },
        });
        tools.push(tool("ask", "Answer a question about a picture, sound or video.", more, &["question"]));
    }
    if can(Ability::Transcribe) {
        let more = json!({ "language": text("The code of the language that is spoken, where it is known.") });
        tools.push(tool("transcribe", "Write down what is said in a sound or video, with times.", more, &[]));
    }
    if Ffmpeg::find(app.settings.ffmpeg.as_deref()).is_ok() {
        tools.push(tool("scenes", "Find where each scene of a video begins and ends.", json!({}), &[]));
    }
    tools
}

/// What a tool says; `None`: there is no such tool.
pub(super) async fn call(app: &App, name: &str, arguments: Value) -> Option<Answer<Vec<Value>>> {
    if !list(app).iter().any(|tool| tool["name"] == name) {
        return None;
    }
    Some(match name {
        "search" => searched(app, arguments).await,
        "caption" => captioned(app, arguments).await,
        "ask" => answered(app, arguments).await,
        "transcribe" => transcribed(app, arguments).await,
        _ => scened(app, arguments).await,
    })
}

fn parse<T: DeserializeOwned>(arguments: Value) -> Answer<T> {
    serde_json::from_value(arguments).map_err(|e| Refusal::wrong(e.to_string()))
}

fn text(value: &Value) -> Vec<Value> {
    vec![json!({ "type": "text", "text": serde_json::to_string_pretty(value).unwrap_or_default() })]
}

impl What {
    /// The file, read, or the row.
    fn given(self, app: &App) -> Answer<Given> {
        match self {
            Self { path: Some(path), row: None } => file(app, &path),
            Self { path: None, row: Some(row) } => Ok(Given::Row(row)),
            _ => Err(Refusal::wrong("expected a path or a row, and one of them")),
        }
    }
}

fn file(app: &App, path: &Path) -> Answer<Given> {
    let refused = |e: &dyn std::fmt::Display| Refusal::wrong(format!("{}: {e}", path.display()));
    // Regular files only, and no more than any other client may send.
    let file = unisono_files::open(path).map_err(|e| Refusal::wrong(e.to_string()))?;
    let (long, most) = (file.metadata().map_err(|e| refused(&e))?.len(), app.settings.body as u64);
    if long > most {
        return Err(refused(&format!("{long} bytes, and the limit is {most} (--max-file-bytes)")));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(|e| refused(&e))?;
    Given::upload(bytes, None, path.to_str(), "path")
}

async fn searched(app: &App, arguments: Value) -> Answer<Vec<Value>> {
    let asked: Search = parse(arguments)?;
    let mut parts: Vec<Part> = asked.query.map(|q| Part::new(Given::Text(q))).into_iter().collect();
    if asked.path.is_some() || asked.row.is_some() {
        parts.push(Part::new(What { path: asked.path, row: asked.row }.given(app)?));
    }
    if parts.is_empty() {
        return Err(Refusal::wrong("expected a query, a path or a row"));
    }
    parts.extend(asked.not.map(|not| Part::away(Given::Text(not))));
    let wanted = Searching {
        k: asked.k,
        modality: asked.modality.into(),
        path: asked.glob.into(),
        label: asked.label.into(),
        since: asked.since,
        before: asked.before,
        tests: asked.tests.into(),
        chance: asked.chance,
        order: Order::default(),
    };
    let current = app.current()?;
    let (found, index) = (search::find(app, &current, Asked::new(parts, wanted)?).await?, &current.index);
    let mut hits = found["hits"].as_array().cloned().unwrap_or_default();
    let (mut pictures, limits) = (Vec::new(), app.settings.limits.files());
    for hit in &mut hits {
        let item = hit["row"].as_u64().and_then(|row| index.item(usize::try_from(row).ok()?));
        let Some(blob) = item.as_ref().and_then(|item| item.blob.clone()) else { continue };
        // The agent may open it; there is no server here that its address would lead to.
        if let Some(object) = hit.as_object_mut() {
            object.shift_remove("file");
            object.insert("path".into(), blob.name().display().to_string().into());
        }
        let image = item.is_some_and(|item| item.modality == Modality::Image && !item.video);
        if image && pictures.len() < PICTURES {
            // One that cannot be shown is still a hit.
            if let Ok(jpeg) = app.workers.run(move || small(&blob, EDGE, &limits)).await {
                pictures.push(json!({ "type": "image", "data": BASE64_STANDARD.encode(jpeg), "mimeType": "image/jpeg" }));
            }
        }
    }
    let mut content = text(&json!({ "hits": hits, "count": found["count"] }));
    content.extend(pictures);
    Ok(content)
}

async fn captioned(app: &App, arguments: Value) -> Answer<Vec<Value>> {
    let Caption { path, row, prompt } = parse(arguments)?;
    let wanted = understand::CaptionWanted { prompt, ..Default::default() };
    let told = understand::captions(app, vec![What { path, row }.given(app)?], wanted).await?;
    Ok(text(&told["data"][0]))
}

async fn answered(app: &App, arguments: Value) -> Answer<Vec<Value>> {
    let Ask { path, row, question, answers } = parse(arguments)?;
    let wanted = understand::AskWanted { question, answers, ..Default::default() };
    let told = understand::answers(app, vec![What { path, row }.given(app)?], wanted).await?;
    Ok(text(&told["data"][0]))
}

async fn transcribed(app: &App, arguments: Value) -> Answer<Vec<Value>> {
    let Transcribe { path, row, language } = parse(arguments)?;
    let wanted = transcribe::Wanted { language, ..Default::default() };
    let made = transcribe::transcript(app, What { path, row }.given(app)?, wanted).await?;
    Ok(text(&json!(made)))
}

async fn scened(app: &App, arguments: Value) -> Answer<Vec<Value>> {
    let Scenes { path, row } = parse(arguments)?;
    let path = match (path, row) {
        (Some(path), None) => path,
        (None, Some(row)) => {
            let blob = app.current()?.index.readable(row, "row")?.blob;
            let path = blob.as_ref().and_then(|blob| blob.path()).map(Path::to_owned);
            path.ok_or_else(|| Refusal::wrong(format!("row {row} is no video file")))?
        }
        _ => return Err(Refusal::wrong("expected a path or a row, and one of them")),
    };
    let settings = SceneSettings::load(None, &[]).map_err(unisono_jobs::Error::from)?;
    let (limits, ffmpeg) = (app.settings.limits, app.settings.ffmpeg.clone());
    let wanted = Wanted { path, held: None, settings, limits, ffmpeg };
    let work = move || Ok(found(&wanted, &mut |_| Flow::Continue)?);
    Ok(text(&app.workers.run(work).await?))
}
