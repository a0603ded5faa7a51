//! Reading other libraries' configuration files: every key has the default of the library that wrote it, since files may leave
//! defaults out. What was read is counted ([`Reads`]), so that [`Json::finish`] can refuse a key that nobody looked at.

use crate::keys::{Keys, Reads};
use crate::ranges;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use unisono_files::Budget;

/// Reads a configuration into `T`: a regular JSON file within [`Budget::CONFIG`].
///
/// # Errors
/// Not there, no regular file, too large, or not of `T`'s shape.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    Ok(unisono_files::read_json(path, &Budget::CONFIG)?)
}

/// [`read_json`] of a file that may be absent.
///
/// # Errors
/// As [`read_json`], for one that is there.
pub fn optional_json(path: &Path) -> Result<Option<Value>> {
    if path.exists() { read_json(path).map(Some) } else { Ok(None) }
}

/// A JSON object and the file that errors about it name.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a> {
    /// The file.
    pub path: &'a Path,
    /// The object.
    pub value: &'a Value,
    /// The keys that lead to it, the last ones, empty ones first.
    keys: [&'a str; 3],
    /// Where what is read of it is counted.
    reads: Option<&'a Reads>,
}

/// Longest value of a stranger's file that a message shows.
const SHOWN: usize = 80;

fn shown(value: Option<&Value>) -> String {
    let found = value.map_or_else(|| "none".to_owned(), Value::to_string);
    match found.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &found[..at]),
        None => found,
    }
}

impl<'a> Json<'a> {
    /// The whole of a file.
    pub fn new(path: &'a Path, value: &'a Value) -> Self {
        Self { path, value, keys: [""; 3], reads: None }
    }

    /// The same object; from here on what is read of it, and of the objects in it, is counted.
    pub fn counted<'b>(self, reads: &'b Reads) -> Json<'b>
    where
        'a: 'b,
    {
        Json { path: self.path, value: self.value, keys: self.keys, reads: Some(reads) }
    }

    /// Refuses a key that was neither read nor is listed in `harmless` for `family`: what it asks for would be passed over silently.
    ///
    /// # Errors
    /// The first such key, with its value and what may be done.
    pub fn finish(&self, harmless: &Keys, family: &str) -> Result<()> {
        let Some(reads) = self.reads else { return Ok(()) };
        let Some((key, value, expected)) = reads.unread(self.value, harmless, family) else { return Ok(()) };
        let found = shown(Some(value));
        Err(Error::format(self.path, format!("{}{key}: {expected}, found {found}", self.prefix())))
    }

    /// An error at `key` that says what was expected and what is there.
    pub fn wrong(&self, key: &str, expected: impl std::fmt::Display) -> Error {
        let (at, found) = (self.prefix(), shown(self.value.get(key)));
        Error::format(self.path, format!("{at}{key}: expected {expected}, found {found}"))
    }

    fn prefix(&self) -> String {
        self.keys.iter().filter(|k| !k.is_empty()).flat_map(|k| [*k, "."]).collect()
    }

    /// The value of `key`, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let value = self.value.get(key)?;
        if let Some(reads) = self.reads {
            reads.whole(value);
        }
        Some(value).filter(|v| !v.is_null())
    }

    /// Counts `keys` as read: another key says that they mean nothing.
    pub fn pass_over(&self, keys: &[&str]) {
        for key in keys {
            let _ = self.get(key);
        }
    }

    /// Whether `key` is there and null, which is not what its absence says.
    pub fn is_null(&self, key: &str) -> bool {
        self.get(key).is_none() && self.value.get(key).is_some()
    }

    /// Whether `key` is there, whatever it holds; what it holds is yet to be read.
    pub fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(|v| !v.is_null())
    }

    /// The object at `key`; an empty one when absent. Anything else than an object is left unread.
    pub fn object(&self, key: &'a str) -> Json<'a> {
        const EMPTY: &Value = &Value::Null;
        let [_, b, c] = self.keys;
        let value = self.value.get(key).unwrap_or(EMPTY);
        if let Some(reads) = self.reads {
            reads.entered(value);
        }
        Json { path: self.path, value, keys: [b, c, key], reads: self.reads }
    }

    /// Whether `v` is an integer that `key` may have.
    fn ranged(&self, key: &str, v: &Value) -> Result<i64> {
        let range = ranges::integer(key);
        let whole = v.as_i64().filter(|i| range.contains(i));
        whole.ok_or_else(|| self.wrong(key, format_args!("an integer, {} to {}", range.start(), range.end())))
    }

    /// An integer that `key` may have.
    ///
    /// # Errors
    /// Something else.
    pub fn int(&self, key: &str, default: i64) -> Result<i64> {
        self.get(key).map_or(Ok(default), |v| self.ranged(key, v))
    }

    /// Integers that `key` may have; `None` when absent.
    ///
    /// # Errors
    /// Something else than a list of them, or more than `most`.
    pub fn ints(&self, key: &str, most: usize) -> Result<Option<Vec<i64>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(all)) if all.len() <= most => {
                all.iter().map(|v| self.ranged(key, v)).collect::<Result<_>>().map(Some)
            }
            Some(_) => Err(self.wrong(key, format_args!("a list of at most {most} integers"))),
        }
    }

    /// A number that `key` may have.
    ///
    /// # Errors
    /// Something else.
    pub fn float(&self, key: &str, default: f64) -> Result<f64> {
        let Some(v) = self.get(key) else { return Ok(default) };
        let range = ranges::number(key);
        let number = v.as_f64().filter(|v| range.contains(v));
        number.ok_or_else(|| self.wrong(key, format_args!("a number, {} to {}", range.start(), range.end())))
    }

    /// How many times as wide as `width` something is whose width stands at `key`.
    ///
    /// # Errors
    /// Something else, or more than 64 times.
    pub fn ratio(&self, key: &str, default: i64, width: i64) -> Result<f64> {
        let ratio = self.int(key, default)? as f64 / width.max(1) as f64;
        if ratio <= 64.0 {
            Ok(ratio)
        } else {
            Err(self.wrong(key, format_args!("at most 64 times the width {width}")))
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// Something else.
    pub fn bool(&self, key: &str, default: bool) -> Result<bool> {
        let Some(v) = self.get(key) else { return Ok(default) };
        v.as_bool().ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// A string.
    ///
    /// # Errors
    /// Something else.
    pub fn text(&self, key: &str, default: &'a str) -> Result<&'a str> {
        let Some(v) = self.get(key) else { return Ok(default) };
        v.as_str().ok_or_else(|| self.wrong(key, "a string"))
    }

    /// One integer for both axes, or two: height, width.
    ///
    /// # Errors
    /// Something else.
    pub fn pair(&self, key: &str, default: i64) -> Result<[i64; 2]> {
        match self.get(key) {
            None => Ok([default, default]),
            Some(Value::Array(all)) => match all.as_slice() {
                [h, w] => Ok([self.ranged(key, h)?, self.ranged(key, w)?]),
                _ => Err(self.wrong(key, "one integer or two")),
            },
            Some(v) => self.ranged(key, v).map(|v| [v, v]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_told_by_their_whole_key() {
        let text = r#"{"vision_config": {"hidden_size": 0, "norm": {"eps": 1e300}, "image_size": [16, 99999], "heads": "x",
            "depths": [1, 2, -3], "eos_token_id": 4611686018427387904, "other": 9e18, "patch_size": 16}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let json = Json::new(Path::new("config.json"), &value).object("vision_config");
        let said = |r: Result<()>| r.unwrap_err().to_string();
        assert_eq!(
            said(json.int("hidden_size", 1).map(drop)),
            "config.json: vision_config.hidden_size: expected an integer, 1 to 65536, found 0"
        );
        let eps = said(json.object("norm").float("eps", 1.0).map(drop));
        assert!(eps.starts_with("config.json: vision_config.norm.eps: expected a number, "), "{eps}");
        assert!(said(json.pair("image_size", 1).map(drop)).contains("1 to 16384, found [16,99999]"));
        assert!(said(json.int("heads", 1).map(drop)).contains("found \"x\""));
        assert!(said(json.ints("depths", 8).map(drop)).contains("vision_config.depths"));
        assert!(said(json.ints("depths", 2).map(drop)).contains("a list of at most 2 integers"));
        assert!(said(json.int("eos_token_id", 1).map(drop)).contains("-1 to 16777216"));
        assert!(json.int("other", 1).is_err());
        assert_eq!((json.pair("patch_size", 1).unwrap(), json.int("none", 7).unwrap()), ([16, 16], 7));
        let long: Value = serde_json::json!({"width": "x".repeat(1000)});
        assert!(said(Json::new(Path::new("a"), &long).int("width", 1).map(drop)).len() < 200);
    }
}
