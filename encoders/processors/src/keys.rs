//! Which keys of other libraries' files change nothing here, and why: the rest is either read or refused.
//!
//! The lists are data (`keys/*.keys` of each crate). A line is `key  # reason`, or `key = value | value  # reason` for a key that may have only
//! these values; `[family family]` begins the lines of those families, `[*]` those of all. A key is meant wherever it stands, `text_config.key` only there.

use crate::{Error, Result};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

/// Keys that need not be read.
#[derive(Debug, Default)]
pub struct Keys {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    /// Empty: all of them.
    families: Vec<String>,
    key: String,
    /// Empty: whatever it says.
    values: Vec<Value>,
    reason: String,
}

impl Keys {
    /// The lists in `texts`, one after another.
    ///
    /// # Errors
    /// A line that is none: a mistake in a list.
    pub fn new(texts: &[&str]) -> Result<Self> {
        let mut lines = Vec::new();
        for text in texts {
            let mut families = Vec::new();
            for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
                if let Some(names) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                    families = names.split_whitespace().filter(|n| *n != "*").map(str::to_owned).collect();
                } else {
                    lines.push(Self::line(&families, line)?);
                }
            }
        }
        Ok(Self { lines })
    }

    fn line(families: &[String], line: &str) -> Result<Line> {
        let wrong = || {
            Error::format(Path::new("keys"), format!("expected \"key = value  # reason\", found {line:?}"))
        };
        let (entry, reason) = line.split_once(" # ").ok_or_else(wrong)?;
        let (key, values) = entry.split_once(" = ").unwrap_or((entry, ""));
        let values = values.split(" | ").map(str::trim).filter(|v| !v.is_empty());
        let values = values.map(|v| serde_json::from_str(v).map_err(|_| wrong())).collect::<Result<_>>()?;
        Ok(Line {
            families: families.to_vec(),
            key: key.trim().to_owned(),
            values,
            reason: reason.trim().to_owned(),
        })
    }

    /// Why the key that `path` leads to need not be read, or what it should say; `None` where it is not listed for `family`.
    fn verdict(&self, path: &str, value: &Value, family: &str) -> Option<Result<&str, String>> {
        let mine = |l: &&Line| l.families.is_empty() || l.families.iter().any(|f| f == family);
        let ends =
            |l: &&Line| path.strip_suffix(l.key.as_str()).is_some_and(|p| p.is_empty() || p.ends_with('.'));
        // What is said of a place, or of a family, overrules what is said of all.
        let rank = |l: &&Line| (l.key.len(), !l.families.is_empty());
        let line = self.lines.iter().filter(mine).filter(ends).max_by_key(rank)?;
        if line.values.is_empty() || line.values.iter().any(|v| same(v, value)) {
            return Some(Ok(&line.reason));
        }
        let values: Vec<String> = line.values.iter().map(Value::to_string).collect();
        Some(Err(format!("expected {} ({})", values.join(" or "), line.reason)))
    }

    /// Why `key` need not be read when a file of `family` has `value` there.
    pub fn reason(&self, key: &str, value: &Value, family: &str) -> Option<&str> {
        self.verdict(key, value, family)?.ok()
    }
}

/// Equal; numbers by what they are worth.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Which values of a file were read, by where they lie in memory: the file's value outlives its reader and does not move.
#[derive(Debug, Default)]
pub struct Reads(RefCell<HashMap<usize, bool>>);

impl Reads {
    /// `value` was read with all that is in it.
    pub(crate) fn whole(&self, value: &Value) {
        self.0.borrow_mut().insert(std::ptr::from_ref(value).addr(), true);
    }

    /// What is in `value` is read key by key.
    pub(crate) fn entered(&self, value: &Value) {
        self.0.borrow_mut().entry(std::ptr::from_ref(value).addr()).or_insert(false);
    }

    /// The first value that was not read and need not be: its path, itself, and what is expected in its place.
    pub(crate) fn unread<'v>(
        &self,
        value: &'v Value,
        keys: &Keys,
        family: &str,
    ) -> Option<(String, &'v Value, String)> {
        self.below("", value, keys, family)
    }

    fn below<'v>(
        &self,
        at: &str,
        value: &'v Value,
        keys: &Keys,
        family: &str,
    ) -> Option<(String, &'v Value, String)> {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let seen = self.0.borrow().get(&std::ptr::from_ref(value).addr()).copied();
            match (seen, keys.verdict(&path, value, family)) {
                (Some(true), _) | (_, Some(Ok(_))) => {}
                (Some(false), _) if value.is_object() || value.is_null() => {
                    let found = self.below(&path, value, keys, family);
                    if found.is_some() {
                        return found;
                    }
                }
                (_, Some(Err(expected))) => return Some((path, value, expected)),
                (_, None) => {
                    let expected = "expected no such key: it may change what the model computes; delete it where it does not";
                    return Some((path, value, expected.to_owned()));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;
    use serde_json::json;

    #[test]
    fn a_key_is_read_or_listed_or_refused_by_name() {
        let keys = "dropout  # training\nis_decoder = false | null  # a decoder looks back only\n[bert clip]\ntext.eps = 1  # theirs\n[*]\nnames  # labels";
        let keys = Keys::new(&[keys]).unwrap();
        let said = |value: Value, family: &str, read: &dyn Fn(Json)| {
            let reads = Reads::default();
            let json = Json::new(Path::new("config.json"), &value).counted(&reads);
            read(json);
            json.finish(&keys, family).map_err(|e| e.to_string())
        };
        let width = |json: Json| drop(json.object("text").int("width", 1));
        let whole = json!({"text": {"width": 4, "dropout": 0.1, "is_decoder": null, "names": {"0": "a"}}, "dropout": 1});
        assert_eq!(said(whole, "bert", &width), Ok(()));
        let error = said(json!({"text": {"width": 4, "depth": 3}}), "bert", &width).unwrap_err();
        assert!(
            error.starts_with("config.json: text.depth: expected no such key") && error.ends_with("found 3"),
            "{error}"
        );
        let error = said(json!({"text": {"is_decoder": true}}), "bert", &width).unwrap_err();
        assert_eq!(
            error,
            "config.json: text.is_decoder: expected false or null (a decoder looks back only), found true"
        );
        // An object where a number is expected, a number where an object is, an object that nobody entered.
        assert!(said(json!({"text": 4}), "bert", &width).is_err());
        assert!(said(json!({"text": {"width": 4, "more": {}}}), "bert", &width).is_err());
        // A list of some families, of some place.
        let eps = json!({"text": {"eps": 1.0}});
        assert_eq!(said(eps.clone(), "clip", &width), Ok(()));
        assert!(said(eps, "vit", &width).is_err());
        assert!(said(json!({"eps": 1}), "clip", &width).is_err());
        // What nobody counts, nobody refuses.
        assert!(Json::new(Path::new("a"), &json!({"b": 1})).finish(&Keys::default(), "").is_ok());
        assert!(Keys::new(&["lonely"]).is_err() && Keys::new(&["a = {  # b"]).is_err());
        assert_eq!(keys.reason("dropout", &json!(1), ""), Some("training"));
    }

    #[test]
    fn null_is_not_absence() {
        let value = json!({"a": null, "b": 1});
        let json = Json::new(Path::new("a"), &value);
        assert!(json.is_null("a") && !json.is_null("b") && !json.is_null("c"));
        assert!(json.has("b") && !json.has("a") && !json.has("c"));
    }
}
