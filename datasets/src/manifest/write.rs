//! A record as a line.

use std::path::Path;

use serde_json::{Map, Value};

use crate::Record;
use unisono_media::Blob;

/// Inverse of [`super::line::parse`] for a manifest that lies in `folder` (absolute).
pub(crate) fn to_json(record: &Record, folder: &Path) -> std::io::Result<Value> {
    let path = |blob: &Blob| -> std::io::Result<Value> {
        let wrong = |what: &str| {
            let message = format!("{} is {what}", blob.name().display());
            std::io::Error::new(std::io::ErrorKind::InvalidInput, message)
        };
        let path = blob.path().ok_or_else(|| wrong("no file of its own, which a manifest would name"))?;
        let full = std::path::absolute(path)?;
        let text = full.strip_prefix(folder).unwrap_or(&full).to_str();
        text.map(Value::from).ok_or_else(|| wrong("a path that is not UTF-8"))
    };
    // One value is written plainly, several as a list: as people write manifests by hand.
    let list = |mut items: Vec<Value>| match items.len() {
        0 => None,
        1 => items.pop(),
        _ => Some(Value::Array(items)),
    };
    let text = |t: &Option<String>| t.clone().map(Value::from);
    let fields = [
        ("id", Some(Value::from(record.id.as_str()))),
        ("text", list(record.text.iter().map(|t| Value::from(t.as_str())).collect())),
        ("image", record.image.as_ref().map(path).transpose()?),
        ("audio", list(record.audio.iter().map(path).collect::<std::io::Result<_>>()?)),
        ("video", record.video.as_ref().map(path).transpose()?),
        ("start", record.span.start.map(|t| Value::from(t.to_string()))),
        ("end", record.span.end.map(|t| Value::from(t.to_string()))),
        ("label", text(&record.label)),
        ("group", text(&record.group)),
        ("split", text(&record.split)),
        ("lang", text(&record.lang)),
    ];
    let mut map: Map<String, Value> =
        fields.into_iter().filter_map(|(key, value)| value.map(|v| (key.to_owned(), v))).collect();
    map.extend(record.extra.clone());
    Ok(Value::Object(map))
}
