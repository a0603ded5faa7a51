//! Reading other libraries' configuration files: every key has the default of the library that wrote it, since files may leave
//! defaults out.

use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// A JSON object and the file that errors about it name.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a> {
    /// The file.
    pub path: &'a Path,
    /// The object.
    pub value: &'a Value,
}

impl<'a> Json<'a> {
    fn wrong(&self, key: &str, expected: &str) -> Error {
        let found = self.value.get(key).map_or_else(|| "none".to_owned(), Value::to_string);
        Error::format(self.path, format!("{key}: expected {expected}, found {found}"))
    }

    /// The value of `key`, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.value.get(key).filter(|v| !v.is_null())
    }

    /// The object at `key`; an empty one when absent.
    pub fn object(&self, key: &str) -> Json<'a> {
        const EMPTY: &Value = &Value::Null;
        Json { path: self.path, value: self.value.get(key).unwrap_or(EMPTY) }
    }

    /// An integer.
    ///
    /// # Errors
    /// Something else.
    pub fn int(&self, key: &str, default: i64) -> Result<i64> {
        let Some(v) = self.get(key) else { return Ok(default) };
        v.as_i64().ok_or_else(|| self.wrong(key, "an integer"))
    }

    /// A number.
    ///
    /// # Errors
    /// Something else.
    pub fn float(&self, key: &str, default: f64) -> Result<f64> {
        let Some(v) = self.get(key) else { return Ok(default) };
        v.as_f64().ok_or_else(|| self.wrong(key, "a number"))
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
            Some(Value::Array(a)) => match a.iter().map(Value::as_i64).collect::<Option<Vec<_>>>().as_deref()
            {
                Some(&[h, w]) => Ok([h, w]),
                _ => Err(self.wrong(key, "one integer or two")),
            },
            Some(v) => v.as_i64().map(|v| [v, v]).ok_or_else(|| self.wrong(key, "one integer or two")),
        }
    }
}
