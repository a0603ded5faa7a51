//! `/v1/embeddings`, in OpenAI's shape.

use crate::app::App;
use crate::form::Form;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    model: Option<String>,
    dimensions: Option<i64>,
    #[serde(default)]
    encoding_format: Encoding,
    /// Whom the client asks for; nothing here depends on it.
    #[serde(rename = "user")]
    _user: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    /// Little-endian float32.
    Base64,
}

impl Encoding {
    fn write(self, row: &[f32]) -> Value {
        match self {
            Self::Float => json!(row),
            Self::Base64 => {
                let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
                Value::from(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// Texts, images, sounds and videos → unit vectors, in their order; files stand behind the inputs.
pub(crate) async fn embeddings(State(app): State<Arc<App>>, request: Request) -> Answer<Json<Value>> {
    let mut form = Form::read(request, app.bounds()).await?;
    let mut given = form.media()?;
    match form.take("input") {
        Some(input) => {
            given.splice(0..0, Given::parse_all(&input, "input", app.settings.inputs)?).for_each(drop)
        }
        None if given.is_empty() => return Err(Refusal::field("input", "expected an input, found none")),
        None => (),
    }
    let wanted: Wanted = form.rest()?;
    let model = app.model(wanted.model.as_deref(), |m| !m.embeds.is_empty(), "embed")?.clone();
    let dims = wanted.dimensions.filter(|dims| *dims != model.dims);
    if let Some(dims) = dims.filter(|dims| !(1..=model.whole).contains(dims)) {
        let message = format!("{dims}: {} embeds with 1 to {} numbers", model.name, model.whole);
        return Err(Refusal::field("dimensions", message));
    }
    if given.len() > app.settings.inputs {
        let (n, most) = (given.len(), app.settings.inputs);
        return Err(Refusal::large(format!("{n} inputs, and the limit is {most} (--max-inputs)")));
    }
    let _inside = app.admit(given.len())?;
    let made = app.vectors(&model, given, "input", dims).await?;
    let rows = made.rows.iter().enumerate();
    let data: Vec<Value> = rows
        .map(|(i, row)| {
            json!({ "object": "embedding", "index": i, "embedding": wanted.encoding_format.write(row) })
        })
        .collect();
    let usage = json!({ "prompt_tokens": made.tokens, "total_tokens": made.tokens });
    Ok(Json(json!({ "object": "list", "data": data, "model": model.name, "usage": usage })))
}
