//! What Hugging Face's `datasets` writes beside a table: which columns are images, audio or videos, and the names of class labels.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use unisono_files::Budget;

/// What a column is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feature {
    Image,
    Audio,
    Video,
    /// A number stands for each of these.
    Label(Arc<[String]>),
}

/// By the names of columns. What is not understood says nothing.
pub(super) type Features = BTreeMap<String, Feature>;

/// From the metadata of a file (`{"info": {"features": …}}`) or `dataset_info.json` (`{"features": …}`).
pub(super) fn parse(path: &Path, json: &str) -> Features {
    let mut found = Features::new();
    if Budget::VOCABULARY.json(path, json.as_bytes()).is_err() {
        return found;
    }
    let Ok(said) = serde_json::from_str::<Value>(json) else { return found };
    let features = said.get("info").unwrap_or(&said).get("features");
    if let Some(Value::Object(columns)) = features {
        columns.iter().for_each(|(name, of)| walk(name, of, &mut found));
    }
    found
}

/// A list is what its elements are.
fn walk(name: &str, of: &Value, found: &mut Features) {
    match of {
        Value::Array(items) => items.iter().take(1).for_each(|item| walk(name, item, found)),
        Value::Object(map) => match map.get("_type").and_then(Value::as_str) {
            Some(kind) => typed(name, kind, map, found),
            None => map.iter().for_each(|(field, of)| walk(&format!("{name}.{field}"), of, found)),
        },
        _ => {}
    }
}

fn typed(name: &str, kind: &str, map: &Map<String, Value>, found: &mut Features) {
    let feature = match kind {
        "Image" => Feature::Image,
        "Audio" => Feature::Audio,
        "Video" => Feature::Video,
        "ClassLabel" => {
            let names = map.get("names").and_then(Value::as_array).into_iter().flatten();
            Feature::Label(names.map(|n| n.as_str().unwrap_or_default().to_owned()).collect())
        }
        "Sequence" | "List" | "LargeList" => {
            return map.get("feature").into_iter().for_each(|of| walk(name, of, found));
        }
        _ => return,
    };
    found.insert(name.to_owned(), feature);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_datasets_writes() {
        let json = r#"{"info": {"features": {
            "image": {"_type": "Image"}, "clips": {"feature": {"sampling_rate": 16000, "_type": "Audio"}, "_type": "Sequence"},
            "more": [{"_type": "Video"}], "text": {"dtype": "string", "_type": "Value"},
            "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "nested": {"label": {"names": ["a"], "_type": "ClassLabel"}}}}}"#;
        let found = parse(Path::new("a"), json);
        let label = |names: &[&str]| Feature::Label(names.iter().map(|n| (*n).to_owned()).collect());
        let expected: Features = [
            ("image", Feature::Image),
            ("clips", Feature::Audio),
            ("more", Feature::Video),
            ("label", label(&["cat", "dog"])),
            ("nested.label", label(&["a"])),
        ]
        .map(|(name, of)| (name.to_owned(), of))
        .into();
        assert_eq!(found, expected);
        let alone = r#"{"features": {"a": {"_type": "Image"}}}"#;
        assert_eq!(parse(Path::new("a"), alone).len(), 1);
        for nothing in ["", "3", "[]", "{\"info\": 3}", &"[".repeat(100_000)] {
            assert!(parse(Path::new("a"), nothing).is_empty());
        }
    }
}
