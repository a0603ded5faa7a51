//! The list of modules, and how the files of a module are read.

use crate::config::{ModelConfig, TextConfig};
use crate::{Error, Result};
use serde_json::Value;
use std::path::{Component, Path, PathBuf};
use unisono_processors::{Json, Keys, Reads, read_json};

/// What a folder of this layout is called whose encoder lies below it.
pub(in super::super) const NAME: &str = "sentence-transformers";
/// The list of modules.
pub(in super::super) const MODULES: &str = "modules.json";
/// What need not be read of its files.
pub(super) const KEYS: &str = include_str!("../../../keys/sentence_transformers.keys");

/// Reads a file of the folder whole: `read` takes what it needs, the rest must be known to change nothing.
pub(in super::super) fn with<T>(
    path: &Path,
    value: &Value,
    section: &str,
    read: impl FnOnce(Json) -> Result<T>,
) -> Result<T> {
    let reads = Reads::default();
    let json = Json::new(path, value).counted(&reads);
    let found = read(json)?;
    json.finish(&Keys::new(&[KEYS])?, section)?;
    Ok(found)
}

/// Whether the folder has this layout.
pub(in super::super) fn is(dir: &Path) -> bool {
    dir.join(MODULES).is_file()
}

/// A module: its class in sentence-transformers, and the folder of its files.
#[derive(Debug, Clone)]
pub(super) struct Module {
    pub class: String,
    pub at: PathBuf,
}

impl Module {
    /// A `class` whose files lie at `folder` below `dir`; `told` says so at the keys `at`.
    pub fn new(dir: &Path, class: &str, folder: &str, told: Json, at: [&str; 2]) -> Result<Self> {
        let Some(name) = class.strip_prefix("sentence_transformers.").and_then(|c| c.rsplit('.').next())
        else {
            let message = format!(
                "{}: module {class:?} is code of its own, which is never run; expected a class of sentence-transformers",
                at[0]
            );
            return Err(Error::format(told.path, message));
        };
        // A name from a stranger's file must not lead out of the folder.
        if !Path::new(folder).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
            return Err(told.wrong(at[1], "a folder below this one").into());
        }
        let class = if name == "Asym" { "Router" } else { name };
        // Without the stroke that an empty name would leave at the end.
        Ok(Self { class: class.to_owned(), at: dir.join(folder).components().collect() })
    }

    /// Its `config.json`.
    pub fn config(&self) -> Result<(PathBuf, Value)> {
        let path = self.at.join("config.json");
        self.there()?;
        let value = read_json(&path)?;
        Ok((path, value))
    }

    /// Refuses a folder that is not there.
    pub fn there(&self) -> Result<()> {
        if self.at.is_dir() {
            return Ok(());
        }
        let message =
            format!("not there, though a {} has its files in it; download the model again", self.class);
        Err(Error::format(&self.at, message))
    }
}

/// The modules that `modules.json` lists in `dir`.
pub(super) fn listed(dir: &Path) -> Result<Vec<Module>> {
    let path = dir.join(MODULES);
    let value: Value = read_json(&path)?;
    let all = value.as_array().ok_or_else(|| Error::format(&path, "expected a list of modules"))?;
    let one = |module: &Value| {
        with(&path, module, "module", |json| {
            Module::new(dir, json.text("type", "")?, json.text("path", "")?, json, ["type", "path"])
        })
    };
    all.iter().map(one).collect()
}

/// The text tower.
pub(super) fn tower<'a>(config: &'a mut ModelConfig, dir: &Path) -> Result<&'a mut TextConfig> {
    config.text.as_mut().ok_or_else(|| Error::format(&dir.join(MODULES), "expected an encoder of texts"))
}
