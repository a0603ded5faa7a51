//! A blob in a line of JSON: a file is its path, a part says where it lies.

use super::place::{Blob, Place};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
#[serde(untagged)]
enum Of<'a> {
    File(&'a Path),
    Part { file: &'a Path, offset: u64, length: u64, name: &'a Path },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    file: PathBuf,
    offset: u64,
    length: u64,
    name: PathBuf,
}

impl Serialize for Blob {
    /// # Errors
    /// Bytes in memory, which nobody could find again; a path that is not UTF-8.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.name();
        match &self.0.place {
            Place::File => Of::File(name),
            Place::Part { file, offset, length } => Of::Part { file, offset: *offset, length: *length, name },
            Place::Bytes(_) => {
                let name = name.display();
                return Err(serde::ser::Error::custom(format!("{name}: bytes in memory have no place")));
            }
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Without a detour: there are millions of lines.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or a part of a file: file, offset, length and name")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<Blob, E> {
        Ok(path.into())
    }

    fn visit_string<E: de::Error>(self, path: String) -> Result<Blob, E> {
        Ok(path.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Blob, A::Error> {
        let Part { file, offset, length, name } = Part::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Blob::new(name, Place::Part { file, offset, length }))
    }
}
