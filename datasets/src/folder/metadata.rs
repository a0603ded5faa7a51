//! Folders with tables of their files: `metadata.csv` or `metadata.jsonl` with a column `file_name`, as Hugging Face's `imagefolder` and
//! `audiofolder` have them (<https://huggingface.co/docs/datasets/image_dataset>), one for all or one a split.

use super::joined::Joined;
use super::split::split_of;
use crate::fields::{Fields, Role};
use crate::lines::{Form, Lined};
use crate::manifest::line;
use crate::table::Table;
use crate::{Error, Record, Result, Source, SourceConfig, plain};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The records that a folder's tables list; `None` where it has no such tables.
///
/// # Errors
/// A table cannot be read, or is of a form that is read elsewhere.
pub(super) fn open(
    path: &Path,
    files: &[Box<str>],
    config: &SourceConfig,
) -> Result<Option<Arc<dyn Source>>> {
    let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    let all = || files.iter().map(|file| &**file);
    let tables: Vec<&str> =
        all().filter(|file| matches!(name(file).as_str(), "metadata.csv" | "metadata.jsonl")).collect();
    if tables.is_empty() {
        return match all().find(|file| name(file) == "metadata.parquet") {
            None => Ok(None),
            Some(file) => Err(Error::archive(
                &path.join(file),
                "expected metadata.csv or metadata.jsonl beside the media, found parquet: write it as one of them",
            )),
        };
    }
    let mut parts: Vec<Arc<dyn Source>> = Vec::new();
    for table in tables {
        let full = path.join(table);
        let folder = full.parent().unwrap_or(path);
        let rows: Box<dyn Form> = match table.ends_with(".csv") {
            true => Box::new(Table::of(&full, config, folder)?.known_by_file()),
            false => Box::new(Objects {
                path: full.clone(),
                fields: Fields::new(&config.columns, folder),
                columns: identity(config),
            }),
        };
        let prefix = table.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        parts.push(Arc::new(Lined::open(&full, InFolder { rows, prefix })?));
    }
    Ok(Some(Arc::new(Joined::new(path, parts))))
}

fn identity(config: &SourceConfig) -> String {
    serde_json::to_string(&config.columns).unwrap_or_default()
}

/// JSON objects, a line each, known by the files that they name.
#[derive(Debug)]
struct Objects {
    path: PathBuf,
    fields: Fields,
    columns: String,
}

impl Form for Objects {
    fn identity(&self) -> String {
        format!("objects 1 {}", self.columns)
    }

    fn end(&self, bytes: &[u8], last: bool) -> std::result::Result<Option<usize>, String> {
        let end = bytes.iter().position(|b| *b == b'\n').map(|at| at + 1);
        Ok(end.or(last.then_some(bytes.len())))
    }

    fn record(&self, bytes: &[u8], _: u64) -> std::result::Result<Option<Record>, String> {
        let text = plain::utf8(bytes)?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let map = line::object(text, &self.path)?;
        let names: Vec<&str> = map.keys().map(String::as_str).collect();
        let roles = self.fields.roles(&names);
        let file = |(role, value): (&Role, &Value)| {
            let named = matches!(role, Role::File | Role::Image | Role::Audio | Role::Video);
            value.as_str().filter(|name| named && !name.is_empty()).map(str::to_owned)
        };
        let id = roles.iter().zip(map.values()).find_map(file);
        let id = id.ok_or("expected the key \"file_name\" with the name of a file")?;
        let values = roles.into_iter().zip(map).map(|(role, (name, value))| (role, name, value));
        Ok(Some(Record { id, ..self.fields.record(values)? }))
    }
}

/// Rows whose files lie in a folder that may say the split.
#[derive(Debug)]
struct InFolder {
    rows: Box<dyn Form>,
    prefix: String,
}

impl Form for InFolder {
    fn identity(&self) -> String {
        format!("folder 1 {:?} {}", self.prefix, self.rows.identity())
    }

    fn head(&self) -> (usize, u64) {
        self.rows.head()
    }

    fn end(&self, bytes: &[u8], last: bool) -> std::result::Result<Option<usize>, String> {
        self.rows.end(bytes, last)
    }

    fn record(&self, bytes: &[u8], line: u64) -> std::result::Result<Option<Record>, String> {
        let Some(mut record) = self.rows.record(bytes, line)? else { return Ok(None) };
        record.id.insert_str(0, &self.prefix);
        record.split = record.split.or_else(|| split_of(&record.id).map(str::to_owned));
        Ok(Some(record))
    }
}
