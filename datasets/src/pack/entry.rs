//! A record's members in a tar shard: their names, and the JSON that says what names cannot.

use super::sample::{Field, Sample};
use crate::Record;
use crate::shards::{EXTRA, MEMBERS};
use serde_json::{Map, Value};
use unisono_files::safe_name;

/// Longest key that is made of an id part by part.
const LONGEST: usize = 1000;
/// Keys of the JSON that are fields.
const FIELDS: [&str; 8] = ["id", "text", "label", "group", "split", "lang", "start", "end"];

/// The key that stands for an id and no other: its folders stay, dots do not, and it leads nowhere.
pub(super) fn key(id: &str) -> String {
    let parts: Vec<String> = id.split('/').map(safe_name).collect();
    let own = |name: &String| name.starts_with("__") && name.ends_with("__");
    let mut key = parts.join("/");
    // WebDataset's own members begin so.
    if key.len() > LONGEST || parts.len() > 1 && parts.first().is_some_and(own) {
        key = safe_name(id);
    }
    let base = key.rfind('/').map_or(0, |slash| slash + 1);
    let dotless = key[base..].replace('.', "%2E");
    key.truncate(base);
    key + &dotless
}

/// The caption that is a member of its own: the only one, as it would be read from there.
pub(super) fn caption(record: &Record) -> Option<&str> {
    let [text] = record.text.as_slice() else { return None };
    let plain =
        text.trim() == text && !text.is_empty() && !text.contains('\0') && !text.starts_with('\u{feff}');
    plain.then_some(text)
}

/// The endings of a sample's media, in their order.
pub(super) fn endings(sample: &Sample) -> Vec<String> {
    let heard = sample.media.iter().filter(|medium| medium.field == Field::Audio).count();
    let mut number = 0..heard;
    let named = |medium: &super::sample::Medium| match medium.field {
        Field::Audio if heard > 1 => {
            format!("{}.{}", number.next().unwrap_or_default(), medium.ending)
        }
        _ => medium.ending.clone(),
    };
    sample.media.iter().map(named).collect()
}

/// What names do not say; empty where they say all.
pub(super) fn json(sample: &Sample, key: &str) -> Map<String, Value> {
    let record = sample.record;
    let text = |t: &Option<String>| t.clone().map(Value::from);
    let mut captions: Vec<Value> = match caption(record) {
        Some(_) => Vec::new(),
        None => record.text.iter().map(|t| Value::from(t.as_str())).collect(),
    };
    let captions = match captions.len() {
        0 => None,
        1 => captions.pop(),
        _ => Some(Value::Array(captions)),
    };
    let fields = [
        ("id", (record.id != key).then(|| Value::from(record.id.as_str()))),
        ("text", captions),
        ("label", text(&record.label)),
        ("group", text(&record.group)),
        ("split", text(&record.split)),
        ("lang", text(&record.lang)),
        ("start", record.span.start.map(|t| Value::from(t.to_string()))),
        ("end", record.span.end.map(|t| Value::from(t.to_string()))),
    ];
    let mut map: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| value.map(|v| (name.to_owned(), v))).collect();
    let beside: Vec<Value> = sample
        .media
        .iter()
        .filter(|medium| matches!(medium.field, Field::Extra(_)))
        .map(|medium| Value::from(medium.ending.as_str()))
        .collect();
    if !beside.is_empty() {
        map.insert(MEMBERS.into(), beside.into());
    }
    let mut more = Map::new();
    for (name, value) in &sample.extra {
        let taken = FIELDS.contains(&name.as_str()) || name == EXTRA || name == MEMBERS;
        let place = if taken { &mut more } else { &mut map };
        place.insert(name.clone(), value.clone());
    }
    if !more.is_empty() {
        map.insert(EXTRA.into(), more.into());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_for_ids_and_lead_nowhere() {
        for (id, expected) in [
            ("cat", "cat"),
            ("shard-0/a", "shard-0/a"),
            ("v1.5/cat#fr", "v1.5/cat#fr"),
            ("a.b", "a%2Eb"),
            ("a%2Eb", "a%252Eb"),
            ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
            ("/etc/x", "%00empty/etc/x"),
            ("a/", "a/%00empty"),
            ("__meta__/a", "__meta__%2Fa"),
            ("__a__", "__a__"),
        ] {
            assert_eq!(key(id), expected);
        }
        assert!(key(&"a/".repeat(4000)).len() <= 220);
        assert!(!key(&"a.".repeat(4000)).contains('.'));
    }
}
