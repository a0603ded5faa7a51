//! What a request gives: texts, and images, sounds and videos as data URLs or files.

use crate::refusal::{Answer, Refusal};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use unisono_encoders::Modality;

/// Base64 as it is written, with or without its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    Text(String),
    Media {
        modality: Modality,
        bytes: Vec<u8>,
    },
    /// A row of the index.
    Row(usize),
}

/// The keys that name a modality, and the types of OpenAI's parts of messages.
const KEYS: [(&str, Modality); 8] = [
    ("image", Modality::Image),
    ("image_url", Modality::Image),
    ("input_image", Modality::Image),
    ("audio", Modality::Audio),
    ("input_audio", Modality::Audio),
    ("audio_url", Modality::Audio),
    ("video", Modality::Video),
    ("video_url", Modality::Video),
];

impl Given {
    /// A string, which may be a data URL; or an object: `{"text": …}`, `{"image": …}`, `{"audio": …}`, `{"video": …}`, `{"row": …}`, or a part of a
    /// message as OpenAI writes them. `at` names it in messages.
    pub(crate) fn parse(value: &Value, at: &str) -> Answer<Self> {
        match value {
            Value::String(text) => match media_url(text) {
                Some((modality, _)) => Self::media(modality, text, at),
                None => Ok(Self::Text(text.clone())),
            },
            Value::Object(object) => {
                if let Some(text) = object.get("text") {
                    return Ok(Self::Text(string(text, at)?.to_owned()));
                }
                if let Some(row) = object.get("row") {
                    let row = row.as_u64().and_then(|row| usize::try_from(row).ok());
                    return Ok(Self::Row(row.ok_or_else(|| Refusal::field(at, "row: expected a number"))?));
                }
                let found = KEYS.iter().find_map(|(key, m)| Some((object.get(*key)?, *m)));
                let Some((value, modality)) = found else {
                    let message = "expected a string, or an object with text, image, audio, video or row";
                    return Err(Refusal::field(at, message));
                };
                // {"image_url": {"url": …}}, {"input_audio": {"data": …, "format": …}}
                let inner = value.get("url").or_else(|| value.get("data")).unwrap_or(value);
                Self::media(modality, string(inner, at)?, at)
            }
            Value::Number(_) | Value::Array(_) => Err(Refusal::field(
                at,
                "token ids are not taken: each model here has a tokenizer of its own; send the text",
            )),
            _ => Err(Refusal::field(at, "expected a string or an object")),
        }
    }

    /// All of a request's inputs: one, or a list of them.
    pub(crate) fn parse_all(value: &Value, field: &str, most: usize) -> Answer<Vec<Self>> {
        let all = match value {
            Value::Array(all) => {
                all.iter().enumerate().map(|(i, v)| Self::parse(v, &format!("{field}[{i}]"))).collect()
            }
            one => Self::parse(one, field).map(|one| vec![one]),
        };
        let all: Vec<Self> = all?;
        match all.len() {
            0 => Err(Refusal::field(field, "expected at least one input, found none")),
            n if n > most => {
                Err(Refusal::large(format!("{field}: {n} inputs, and the limit is {most} (--max-inputs)")))
            }
            _ => Ok(all),
        }
    }

    fn media(modality: Modality, text: &str, at: &str) -> Answer<Self> {
        if text.starts_with("http://") || text.starts_with("https://") || text.starts_with("file:") {
            let message =
                "URLs are not fetched; send the file itself, as a data URL or as multipart/form-data";
            return Err(Refusal::field(at, message));
        }
        let data = match text.strip_prefix("data:") {
            None => text,
            Some(url) => {
                let (head, data) = url
                    .split_once(',')
                    .ok_or_else(|| Refusal::field(at, "a data URL without a comma before its data"))?;
                if !head.ends_with(";base64") {
                    return Err(Refusal::field(at, "a data URL that is not base64"));
                }
                data
            }
        };
        let bytes = BASE64.decode(data).map_err(|e| Refusal::field(at, format!("no base64: {e}")))?;
        Ok(Self::Media { modality, bytes })
    }

    /// An uploaded file, by its type or its name.
    pub(crate) fn upload(bytes: Vec<u8>, mime: Option<&str>, name: Option<&str>, at: &str) -> Answer<Self> {
        let modality = mime.and_then(of_mime).or_else(|| name.and_then(of_name));
        let modality = modality.ok_or_else(|| {
            let said = mime.or(name).unwrap_or("nothing").to_owned();
            Refusal::field(
                at,
                format!("expected an image, audio or video file, found {said}: give its Content-Type"),
            )
        })?;
        Ok(Self::Media { modality, bytes })
    }

    /// What it is; of a row that is not known here.
    pub(crate) fn modality(&self) -> Option<Modality> {
        match self {
            Self::Text(_) => Some(Modality::Text),
            Self::Media { modality, .. } => Some(*modality),
            Self::Row(_) => None,
        }
    }
}

fn string<'v>(value: &'v Value, at: &str) -> Answer<&'v str> {
    value.as_str().ok_or_else(|| Refusal::field(at, "expected a string"))
}

/// The modality of a data URL of a medium.
fn media_url(text: &str) -> Option<(Modality, &str)> {
    let (mime, data) = text.strip_prefix("data:")?.split_once([';', ','])?;
    Some((of_mime(mime)?, data))
}

/// `image/png` and its like.
pub(crate) fn of_mime(mime: &str) -> Option<Modality> {
    match mime.trim().split('/').next()? {
        "image" => Some(Modality::Image),
        "audio" => Some(Modality::Audio),
        "video" => Some(Modality::Video),
        _ => None,
    }
}

fn of_name(name: &str) -> Option<Modality> {
    crate::mime::of_name(name).and_then(of_mime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_give_something() {
        let image = |bytes: &[u8]| Given::Media { modality: Modality::Image, bytes: bytes.to_vec() };
        let parse = |v: Value| Given::parse(&v, "input").map_err(|e| e.message);
        assert_eq!(parse(json!("a dog")).unwrap(), Given::Text("a dog".into()));
        assert_eq!(parse(json!("data: none")).unwrap(), Given::Text("data: none".into()));
        for value in [
            json!("data:image/png;base64,aGk="),
            json!({"image": "data:image/png;base64,aGk"}),
            json!({"image": "aGk="}),
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}),
            json!({"type": "input_image", "image_url": "data:image/png;base64,aGk="}),
        ] {
            assert_eq!(parse(value).unwrap(), image(b"hi"));
        }
        let sound = json!({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}});
        assert_eq!(parse(sound).unwrap().modality(), Some(Modality::Audio));
        // What looks like a data URL stays a text where that is said.
        let text = "data:image/png;base64,aGk=";
        assert_eq!(parse(json!({"text": text})).unwrap(), Given::Text(text.into()));
        assert_eq!(parse(json!({"row": 3})).unwrap(), Given::Row(3));
    }

    #[test]
    fn what_is_refused() {
        let said = |v: Value| Given::parse(&v, "input").unwrap_err().message;
        assert!(said(json!({"image": "https://example.org/a.png"})).starts_with("URLs are not fetched"));
        assert!(said(json!({"image": "file:///etc/passwd"})).starts_with("URLs are not fetched"));
        assert!(said(json!([1, 2])).starts_with("token ids are not taken"));
        assert!(said(json!({"image": "data:image/png,abc"})).contains("not base64"));
        assert!(said(json!({"image": "data:image/png;base64,%%%"})).contains("no base64"));
        assert!(said(json!({"picture": "a"})).contains("text, image, audio, video or row"));
        assert!(said(json!({"row": -1})).contains("expected a number"));
        assert!(said(json!(null)).contains("expected a string or an object"));
        let many = |v: Value| Given::parse_all(&v, "input", 2).unwrap_err();
        assert!(many(json!([])).message.contains("found none"));
        assert_eq!(many(json!(["a", "b", "c"])).status, 413);
        assert_eq!(many(json!(["a", 3])).param.as_deref(), Some("input[1]"));
    }
}
