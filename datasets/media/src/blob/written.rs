//! A blob in a line of JSON: a file is its path, a part says where it lies.

use super::place::{Blob, Place};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::{Path, PathBuf};

#[derive(Serialize)]
#[serde(untagged)]
enum Of<'a> {
    File(&'a Path),
    Part { file: &'a Path, offset: u64, length: u64, name: &'a Path },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    File(PathBuf),
    Part(Part),
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
        Ok(match Written::deserialize(deserializer)? {
            Written::File(path) => Self::file(path),
            Written::Part(Part { file, offset, length, name }) => {
                Self::new(name, Place::Part { file, offset, length })
            }
        })
    }
}
