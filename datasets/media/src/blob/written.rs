//! A blob in a line of JSON: a file is its path, a part says where it lies.

use super::place::{Blob, Place};
use super::row::{Closed, Row};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Serialize)]
#[serde(untagged)]
enum Of<'a> {
    File(&'a Path),
    Part { file: &'a Path, offset: u64, length: u64, name: &'a Path },
    Row { file: &'a Path, row: u64, column: &'a str, name: &'a Path },
}

/// What stands in a line of what is no file by itself. One form for both: of several the message would be that none fits, whatever is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Within {
    file: PathBuf,
    name: PathBuf,
    #[serde(default)]
    offset: Option<u64>,
    #[serde(default)]
    length: Option<u64>,
    #[serde(default)]
    row: Option<u64>,
    #[serde(default)]
    column: Option<Box<str>>,
}

impl Within {
    fn place<E: de::Error>(self) -> Result<Place, E> {
        let Self { file, name: _, offset, length, row, column } = self;
        let missing = |field| move || E::missing_field(field);
        match (offset.or(length), row.is_some() || column.is_some()) {
            (Some(_), true) => Err(E::custom("expected a part of a file or a row of a table, found both")),
            (None, true) => Ok(Place::Row(Row {
                rows: Arc::new(Closed(file)),
                row: row.ok_or_else(missing("row"))?,
                column: column.ok_or_else(missing("column"))?,
            })),
            (_, false) => Ok(Place::Part {
                file,
                offset: offset.ok_or_else(missing("offset"))?,
                length: length.ok_or_else(missing("length"))?,
            }),
        }
    }
}

impl Serialize for Blob {
    /// # Errors
    /// Bytes in memory, which nobody could find again; a path that is not UTF-8.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.name();
        match &self.0.place {
            Place::File => Of::File(name),
            Place::Part { file, offset, length } => Of::Part { file, offset: *offset, length: *length, name },
            Place::Row(Row { rows, row, column }) => Of::Row { file: rows.file(), row: *row, column, name },
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
        f.write_str("a path, a part of a file (file, offset, length and name), or a row of a table (file, row, column and name)")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<Blob, E> {
        Ok(path.into())
    }

    fn visit_string<E: de::Error>(self, path: String) -> Result<Blob, E> {
        Ok(path.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Blob, A::Error> {
        let within = Within::deserialize(MapAccessDeserializer::new(map))?;
        let name = within.name.clone();
        Ok(Blob::new(name, within.place()?))
    }
}
