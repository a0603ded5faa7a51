//! The texts and the JSON of a sample.

use super::fields::Fields;
use crate::manifest::line::{kind, moment, object};
use crate::{Record, plain};
use serde_json::{Map, Value};
use std::path::Path;
use unisono_media::video::{Span, Time};

/// Why a sample is no record, in words without its place.
pub(super) type Sampled<T> = Result<T, String>;

/// Keys that our own shards have for what JSON or tar could not say otherwise.
pub(crate) const EXTRA: &str = "__extra__";
pub(crate) const MEMBERS: &str = "__members__";

/// A member's text without the white space around it; `None` where there is nothing else.
pub(super) fn caption(bytes: &[u8], ending: &str) -> Sampled<Option<String>> {
    let text = plain::utf8(bytes).map_err(|e| format!("the member .{ending}: {e}"))?.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A sample's JSON, from which fields are taken.
#[derive(Debug, Default)]
pub(super) struct Json(Map<String, Value>);

impl Json {
    /// Reads a member; what stood before stays.
    pub(super) fn read(&mut self, bytes: &[u8], ending: &str, file: &Path) -> Sampled<()> {
        let wrong = |e: String| format!("the member .{ending}: {e}");
        let text = plain::utf8(bytes).map_err(wrong)?.trim();
        if text.is_empty() {
            return Err(wrong("expected a JSON object, found nothing".into()));
        }
        // Python writes numbers that JSON does not have.
        let map = object(text, file).or_else(|e| match nulled(text) {
            Some(mended) => object(&mended, file),
            None => Err(e),
        });
        for (key, value) in map.map_err(wrong)? {
            self.0.entry(key).or_insert(value);
        }
        Ok(())
    }

    /// The endings of members that are beside the record, in our own shards.
    pub(super) fn members(&mut self) -> Sampled<Vec<String>> {
        match self.0.shift_remove(MEMBERS) {
            None => Ok(Vec::new()),
            Some(list) => serde_json::from_value(list)
                .map_err(|e| format!("{MEMBERS}: expected a list of endings: {e}")),
        }
    }

    /// Takes the fields of a record; those that members have said already stay.
    pub(super) fn fill(&mut self, record: &mut Record, fields: &Fields) -> Sampled<()> {
        let columns = &fields.columns;
        let (keys, guessed) = fields.keys(&columns.text, fields.captions());
        let said = record.text.len();
        for key in keys {
            let texts = self.take(key, guessed, texts)?.unwrap_or_default();
            // A caption that has a member of its own stands here once more.
            let new =
                texts.into_iter().filter(|text| !record.text[..said].contains(text)).collect::<Vec<_>>();
            record.text.extend(new);
        }
        record.text.retain(|text| !text.trim().is_empty());
        let form = if fields.own { any_name } else { name };
        let mut named = |names, usual| -> Sampled<Option<String>> {
            let (keys, guessed) = fields.keys(names, usual);
            for key in keys {
                if let Some(found) = self.take(key, guessed, form)? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        let label = named(&columns.label, &["label"])?;
        record.label = record.label.take().or(label);
        record.group = named(&columns.group, &["group"])?;
        record.split = named(&columns.split, &["split"])?;
        record.lang = named(&columns.lang, fields.languages())?;
        if fields.own {
            record.id = self.take("id", false, any_name)?.unwrap_or_default();
        }
        if record.video.is_some() {
            let mut time = |names, usual| -> Sampled<Option<Time>> {
                let (keys, guessed) = fields.keys(names, usual);
                for key in keys {
                    let Some(value) = self.0.get(key).cloned() else { continue };
                    match moment(&mut Map::from_iter([(key.to_owned(), value)]), key) {
                        Ok(found) => {
                            self.0.shift_remove(key);
                            if found.is_some() {
                                return Ok(found);
                            }
                        }
                        Err(e) if !guessed || fields.own => return Err(e),
                        Err(_) => {}
                    }
                }
                Ok(None)
            };
            let (start, end) = (time(&columns.start, &["start"])?, time(&columns.end, &["end"])?);
            if let (Some(start), Some(end)) = (start, end)
                && start >= end
            {
                return Err(format!("\"end\" must come after \"start\" {start}, found {end}"));
            }
            record.span = Span { start, end };
        }
        Ok(())
    }

    /// What is no field; in our own shards also without the id.
    pub(super) fn rest(mut self, fields: &Fields) -> Sampled<Map<String, Value>> {
        if fields.own {
            match self.0.shift_remove(EXTRA) {
                None => {}
                Some(Value::Object(more)) => self.0.extend(more),
                Some(other) => return Err(format!("{EXTRA}: expected an object, found {}", kind(&other))),
            }
        }
        Ok(self.0)
    }

    /// A value of the form that a field has. Under a key that is only guessed, another form is another thing and stays.
    fn take<T>(&mut self, key: &str, guessed: bool, form: fn(&Value) -> Option<T>) -> Sampled<Option<T>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Null) => {
                self.0.shift_remove(key);
                Ok(None)
            }
            Some(value) => match form(value) {
                Some(found) => {
                    self.0.shift_remove(key);
                    Ok(Some(found))
                }
                None if guessed => Ok(None),
                None => {
                    Err(format!("{key:?}: expected a string or a list of strings, found {}", kind(value)))
                }
            },
        }
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A name: numbers are names, too, and nothing is none.
fn name(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        other => any_name(other).filter(|name| !name.is_empty()),
    }
}

/// A name as our own shards have it.
fn any_name(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The text with `null` for Python's `NaN` and `Infinity`; `None` where there are none.
fn nulled(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    'text: while let Some(c) = rest.chars().next() {
        if c == '"' {
            let mut escaped = false;
            let inside = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            let (string, after) = rest.split_at(inside + 2);
            out.push_str(string);
            rest = after;
            continue;
        }
        for word in ["NaN", "-Infinity", "Infinity"] {
            if let Some(after) = rest.strip_prefix(word) {
                out.push_str("null");
                (rest, found) = (after, true);
                continue 'text;
            }
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_numbers_are_null() {
        assert_eq!(
            nulled(r#"{"a": NaN, "b": [-Infinity, Infinity, "NaN \" Infinity"]}"#).unwrap(),
            r#"{"a": null, "b": [null, null, "NaN \" Infinity"]}"#
        );
        assert_eq!(nulled(r#"{"NaN": "\\"}"#), None);
        assert_eq!(nulled(r#"{"a": NaN, "open"#), None);
    }
}
