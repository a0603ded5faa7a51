//! Building an index of embedded inputs, and the model of one that is there. The index itself is [`unisono_index`].

mod again;
mod asked;
mod build;
mod change;
mod check;
mod duplicates;
mod grow;
mod known;
mod map;
mod place;
mod rebuild;

pub(crate) use build::write_whole;
pub use build::{BuildReport, build, build_with};
pub use change::{AddOptions, AddReport, Removal, add, compact, merge, remove};
pub use duplicates::{Alike, Like, Likeness, duplicates};
pub use grow::Growth;
pub use map::{Spot, map, spots};
pub use rebuild::{Fell, RebuildOptions, Rebuilt, rebuild};
use unisono_index::Editor;
pub use unisono_index::{
    Chance, Checked, Effort, FORMAT_VERSION, Files, Filter, GRAPH_ROWS, HEADER, Linked, Method, ModelRef,
    Places, Recalled, Store, Test, check as check_sums, combine, fuse, repair as repair_index,
};

use crate::crossmodal::Recall;
use crate::{EmbedOptions, Embedder, Error, Flow, Inputs, Progress, Result, Shard, identity};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tch::Device;
use unisono_encoders::{Precision, Role};
use unisono_files::{Stamp, Sum, hex};
use unisono_media::MediaLimits;
use walkdir::WalkDir;

/// An index that this crate built.
pub type Index = unisono_index::Index<Built>;
/// What it says of itself.
pub type Header = unisono_index::Header<Built>;

/// When and how an index was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// The moment, RFC 3339, UTC.
    pub at: String,
    /// When something was added or removed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// The version of Unisono.
    pub unisono: String,
    /// What was embedded, with absolute paths, without the texts, which stand in the items. (Earlier builds repeated them here.)
    pub inputs: Inputs,
    /// Texts given by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// Items that the model took at once.
    pub batch: usize,
    /// The model's arithmetic; indexes of single precision do not name it.
    #[serde(default, skip_serializing_if = "single")]
    pub precision: Precision,
    /// Inputs that could not be used.
    pub skipped: usize,
    /// Recall between modalities at build time; empty where items have no pairs.
    pub recalls: Vec<Recall>,
}

impl Built {
    /// How many texts were given by themselves.
    pub fn texts(&self) -> usize {
        self.texts.as_ref().map_or(self.inputs.texts.len(), |texts| texts.count)
    }
}

/// Which texts were given by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// How many.
    pub count: usize,
    /// SHA-256 over them, each with its length in front.
    pub sha256: String,
}

impl Texts {
    /// With more texts behind them.
    fn and(before: Option<Self>, more: &[String]) -> Option<Self> {
        match (before, Self::of(more)) {
            (Some(a), Some(b)) => {
                let mut hash = Sha256::new();
                hash.update(a.sha256);
                hash.update(b.sha256);
                Some(Self { count: a.count + b.count, sha256: hex(&hash.finalize()) })
            }
            (before, more) => before.or(more),
        }
    }

    fn of(texts: &[String]) -> Option<Self> {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        (!texts.is_empty()).then(|| Self { count: texts.len(), sha256: hex(&hash.finalize()) })
    }
}

/// The moment, RFC 3339, UTC.
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Over the names, lengths and times of all files of a model's directory; none where it needs files of another one.
fn seen(model: &Path) -> Option<String> {
    if model.join("adapter_config.json").exists() {
        return None;
    }
    let mut sum = Sum::default();
    for entry in WalkDir::new(model).follow_links(true).sort_by_file_name() {
        let entry = entry.ok()?;
        if entry.file_type().is_file() {
            sum.part(entry.path().strip_prefix(model).ok()?.as_os_str().as_encoded_bytes());
            sum.part(Stamp::of(entry.path())?.to_string().as_bytes());
        }
    }
    Some(sum.letters())
}

/// Whether the model at `path`, which was `given` or is the index's own, is the one that made it. Its weights are summed up only where a file's length or
/// time is not what it was.
fn same_model(index: &Index, path: &Path, given: bool) -> Result<()> {
    let model = &index.header().model;
    if !given && !path.is_dir() {
        let message = "the index's model is not there any more; give its new place with `--model`";
        return Err(Error::format(path, message));
    }
    if model.seen.is_some() && seen(path) == model.seen {
        return Ok(());
    }
    let found = identity(path)?;
    if found == model.sha256 {
        return Ok(());
    }
    let message = format!(
        "not the model that made the index {} (SHA-256 {:.12}…, expected {:.12}…); build the index again with it",
        index.folder().display(),
        found,
        model.sha256
    );
    Err(Error::format(path, message))
}

/// Whether the model that made an index is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// There, with the same identity.
    Unchanged,
    /// There, with another identity: vectors of the two do not compare.
    Changed,
    /// Not there.
    Missing,
}

/// Whether the model that made an index is still where it was.
pub fn model_state(index: &Index) -> ModelState {
    let model = &index.header().model;
    match identity(&model.path) {
        Ok(found) if found == model.sha256 => ModelState::Unchanged,
        Ok(_) => ModelState::Changed,
        Err(_) => ModelState::Missing,
    }
}

impl Embedder {
    /// Loads the model that made an index, for queries: from where it was, or from `moved`. Its embeddings are cut as those of the index
    /// are, and so are the windows in which it hears.
    ///
    /// # Errors
    /// It is not there, or its weights or contract are not those of the index: vectors of two models do not compare.
    pub fn of_index(index: &Index, moved: Option<&Path>, device: Device) -> Result<Self> {
        let model = &index.header().model;
        let path = moved.unwrap_or(&model.path);
        same_model(index, path, moved.is_some())?;
        let mut embedder = Self::load_as(path, Some(Role::Query), device)?;
        let dim = index.header().dim;
        if dim != embedder.dim() {
            embedder.model_mut().set_dims(i64::try_from(dim).unwrap_or(i64::MAX))?;
        }
        embedder.model_mut().set_audio_window(model.window)?;
        Ok(embedder)
    }
}

/// Tells how far a graph is.
fn linked(progress: &mut dyn FnMut(Progress) -> Flow) -> impl FnMut(usize, usize) -> bool {
    move |done, total| progress(Progress { stage: "link", done, total, skipped: 0 }).check().is_ok()
}

fn single(precision: &Precision) -> bool {
    *precision == Precision::Fp32
}

/// What [`build()`] needs besides a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildOptions {
    /// What to embed.
    pub inputs: Inputs,
    /// How.
    pub embed: EmbedOptions,
    /// The program that decodes videos; absent: looked for.
    pub ffmpeg: Option<PathBuf>,
    /// What files may cost.
    pub limits: MediaLimits,
    /// The folder that its files lie below and may move with; absent: their paths stay as they are.
    pub root: Option<PathBuf>,
    /// How it looks for what is near.
    pub method: Method,
    /// Which part of the inputs is embedded, by what items are known by.
    pub shard: Shard,
}

/// A moment, in nanoseconds from 1970 on, UTC: a day (`2024-05-01`), a time of one (`2024-05-01T12:30:00Z`), or so long ago (`30days`, `2h`).
///
/// # Errors
/// Words that are none of these.
pub fn moment(text: &str) -> Result<i64> {
    let day = text.len() == 10 && text.bytes().filter(|b| *b == b'-').count() == 2;
    let whole = if day { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let ago = || SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?);
    let time = humantime::parse_rfc3339_weak(&whole).ok().or_else(ago);
    let nanos = time
        .and_then(|time| i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos()).ok());
    nanos.ok_or_else(|| {
        Error::Input(format!("{text:?} is no moment: expected a day (2024-05-01), a time (2024-05-01T12:30:00Z) or so long ago (30days)"))
    })
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_days_times_and_so_long_ago() {
        assert_eq!(moment("1970-01-02").unwrap(), 86_400_000_000_000);
        assert_eq!(moment("1970-01-01T00:00:01Z").unwrap(), 1_000_000_000);
        assert!(moment("2h").unwrap() > moment("3days").unwrap());
        for wrong in ["", "yesterday", "2024-13-01", "1960-01-01"] {
            assert!(moment(wrong).unwrap_err().to_string().contains("is no moment"), "{wrong}");
        }
    }
}
