//! A request's body: JSON, or multipart/form-data with files, within the limits.

use crate::gate::{Gate, Inside};
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// Fields of forms that are numbers or yes and no in JSON.
const NUMBERS: [&str; 10] = [
    "dimensions",
    "k",
    "top",
    "top_n",
    "temperature",
    "return_documents",
    "weight",
    "max_length",
    "beams",
    "chance",
];

/// What bodies may cost.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) body: usize,
    pub(crate) held: Gate,
    pub(crate) patience: Duration,
    /// Values of JSON, and parts of a form: each takes more room than the bytes that it is written with.
    pub(crate) values: usize,
}

/// The fields of a body and its files.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Map<String, Value>,
    files: Vec<Upload>,
    /// Held until the request is answered.
    _bytes: Inside,
}

#[derive(Debug)]
struct Upload {
    field: String,
    name: Option<String>,
    mime: Option<String>,
    bytes: Bytes,
}

impl Form {
    /// Reads it.
    pub(crate) async fn read(request: Request, bounds: &Bounds) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let (bytes, inside) = read(&parts.headers, body, bounds).await?;
        let mime = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (fields, files) = match kind.as_str() {
            "multipart/form-data" => {
                multipart(Request::from_parts(parts, Body::from(bytes)), bounds.values).await?
            }
            // Clients that say nothing send JSON.
            "application/json" | "" => (json(&bytes, bounds.values)?, Vec::new()),
            other => {
                let message =
                    format!("Content-Type {other}: expected application/json or multipart/form-data");
                return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
            }
        };
        Ok(Self { fields, files, _bytes: inside })
    }

    /// The files, as media.
    pub(crate) fn media(&mut self) -> Answer<Vec<Given>> {
        let files = std::mem::take(&mut self.files);
        let one = |f: Upload| Given::upload(f.bytes.to_vec(), f.mime.as_deref(), f.name.as_deref(), &f.field);
        files.into_iter().map(one).collect()
    }

    /// The first file with its name, whatever it is.
    pub(crate) fn file(&mut self) -> Option<(Bytes, Option<String>)> {
        (!self.files.is_empty()).then(|| self.files.swap_remove(0)).map(|f| (f.bytes, f.name))
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.shift_remove(field).filter(|v| !v.is_null())
    }

    /// What is left, as a type that knows its fields.
    pub(crate) fn rest<T: DeserializeOwned>(&mut self) -> Answer<T> {
        let fields = std::mem::take(&mut self.fields);
        serde_json::from_value(Value::Object(fields)).map_err(|e| Refusal::wrong(e.to_string()))
    }
}

/// All of a body, within the limits; it is counted as it comes, whatever its head said.
async fn read(headers: &HeaderMap, mut body: Body, bounds: &Bounds) -> Answer<(Bytes, Inside)> {
    let large = || {
        let most = bounds.body;
        Refusal::large(format!("the body is larger than {most} bytes (--max-body)"))
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > bounds.body as u64) {
        return Err(large());
    }
    let mut inside = bounds.held.enter(0).ok_or_else(|| Refusal::busy(1))?;
    let mut bytes = Vec::new();
    loop {
        let frame = match tokio::time::timeout(bounds.patience, body.frame()).await {
            Err(_) => {
                let seconds = bounds.patience.as_secs();
                let message = format!("nothing of the body came for {seconds} s");
                return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, message));
            }
            Ok(None) => return Ok((bytes.into(), inside)),
            Ok(Some(Err(e))) => return Err(Refusal::wrong(format!("the body cannot be read: {e}"))),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bounds.body {
            return Err(large());
        }
        if !inside.more(data.len()) {
            return Err(Refusal::busy(1));
        }
        bytes.extend_from_slice(&data);
    }
}

/// How many values JSON has, or what will be found to be none; read as it stands, nothing is held of it.
fn values(bytes: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => (),
        }
    }
    count
}

fn too_many(found: usize, most: usize) -> Refusal {
    Refusal::large(format!(
        "the body has {found} values, and the limit is {most} (it grows with --max-inputs)"
    ))
}

fn json(bytes: &[u8], most: usize) -> Answer<Map<String, Value>> {
    let found = values(bytes);
    if found > most {
        return Err(too_many(found, most));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::wrong("expected a JSON object")),
        Err(e) => Err(Refusal::wrong(format!("no JSON: {e}"))),
    }
}

async fn multipart(request: Request, most: usize) -> Answer<(Map<String, Value>, Vec<Upload>)> {
    let wrong = |e: &dyn std::fmt::Display| Refusal::wrong(format!("no multipart/form-data: {e}"));
    let mut parts = Multipart::from_request(request, &()).await.map_err(|e| wrong(&e.body_text()))?;
    let (mut fields, mut files) = (Map::new(), Vec::new());
    let mut found = 0;
    while let Some(part) = parts.next_field().await.map_err(|e| wrong(&e.body_text()))? {
        found += 1;
        if found > most {
            return Err(too_many(found, most));
        }
        // `timestamp_granularities[]`, as OpenAI's clients write lists.
        let field = part.name().unwrap_or("file").trim_end_matches("[]").to_owned();
        let (name, mime) = (part.file_name().map(str::to_owned), part.content_type().map(str::to_owned));
        let is_text = mime.as_deref().is_none_or(|m| m.starts_with("text/") || m == "application/json");
        let bytes = part.bytes().await.map_err(|e| wrong(&e.body_text()))?;
        if name.is_some() || !is_text {
            files.push(Upload { field, name, mime, bytes });
            continue;
        }
        let text =
            std::str::from_utf8(&bytes).map_err(|_| Refusal::field(&field, "the text is not UTF-8"))?;
        let value = match NUMBERS.contains(&field.as_str()) {
            true => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            false => Value::from(text),
        };
        match fields.get_mut(&field) {
            None => drop(fields.insert(field, value)),
            Some(Value::Array(all)) => all.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    Ok((fields, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_as_json_has_them() {
        for (text, count) in [
            (r#"{"input": "a"}"#, 2),
            (r#"{"a": [1, 2, 3], "b": {}}"#, 6 + 1),
            (r#"["a,b[{", "\\", "\",["]"#, 4),
        ] {
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
            assert_eq!(values(text.as_bytes()), count, "{text}");
        }
        // One value more than JSON's, at most, for each list and object: never fewer.
        assert!(json(br#"{"input": ["a", "b"]}"#, 4).is_ok());
        let refused = json(br#"{"input": ["a", "b"]}"#, 3).unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
