//! Where the media of a published data set lie.

use super::files::{Parsed, joined, listed};
use crate::fields::{Role, by_ending};
use crate::plain::quoted;
use crate::{Error, Result, folder};
use std::path::{Component, Path, PathBuf};

/// Files that are looked for to tell which of several folders is meant.
const PROBED: usize = 64;

/// A name within a folder.
///
/// # Errors
/// A path that leads out of it, or none.
pub(super) fn within(text: &str) -> Parsed<&str> {
    let inside = !text.is_empty()
        && !text.contains(['\0', '\\'])
        && Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
    match inside {
        true => Ok(text),
        false => Err(format!("expected the name of a file, found {}", quoted(text))),
    }
}

/// A file's name without its ending.
pub(super) fn stem(name: &str) -> &str {
    let from = name.rfind('/').map_or(0, |at| at + 1);
    match name[from..].rfind('.') {
        Some(at) if at > 0 => &name[from..from + at],
        _ => &name[from..],
    }
}

/// The first of `folders` below `root` that holds one of `names`. Where none does it is the first of all, so that whoever opens a file
/// says where it should lie.
pub(super) fn folder<'a>(root: &Path, folders: &[&str], names: impl Iterator<Item = &'a str>) -> PathBuf {
    let names: Vec<&str> = names.take(PROBED).filter(|name| within(name).is_ok()).collect();
    let mut places = folders.iter().map(|below| joined(root, below));
    let found = places.find(|place| names.iter().any(|name| place.join(name).exists()));
    found.unwrap_or_else(|| joined(root, folders.first().copied().unwrap_or_default()))
}

/// Media of one kind below a folder, found by their names without ending: whoever fetches from a list of addresses chooses the ending.
#[derive(Debug)]
pub(super) struct Fetched {
    root: PathBuf,
    /// In the order of their stems.
    files: Vec<Box<str>>,
}

impl Fetched {
    /// Those below a folder.
    ///
    /// # Errors
    /// It cannot be listed, or holds none.
    pub fn below(root: &Path, role: Role) -> Result<Self> {
        let read = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let mut files = folder::list(read)?;
        files.retain(|file| by_ending(Path::new(&**file)) == Some(role));
        if files.is_empty() {
            let what = if role == Role::Audio { "audio files" } else { "videos" };
            let message = format!(
                "expected {what} that were fetched, found {}: name their folder by media",
                listed(read)
            );
            return Err(Error::archive(read, message));
        }
        files.sort_by(|a, b| (stem(a), a).cmp(&(stem(b), b)));
        Ok(Self { root: root.into(), files })
    }

    /// Where they lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the stem of one begins so.
    pub fn any(&self, begin: &str) -> bool {
        let at = self.files.partition_point(|file| stem(file) < begin);
        self.files.get(at).is_some_and(|file| stem(file).starts_with(begin))
    }

    /// The file of the first of these stems that there is one of.
    pub fn find(&self, stems: impl IntoIterator<Item = impl AsRef<str>>) -> Option<PathBuf> {
        stems.into_iter().find_map(|wanted| {
            let at = self.files.partition_point(|file| stem(file) < wanted.as_ref());
            let file = self.files.get(at).filter(|file| stem(file) == wanted.as_ref())?;
            Some(self.root.join(&**file))
        })
    }

    /// Tells these files from others: a list of records that was made with others is stale.
    pub fn sum(&self) -> String {
        let mut sum = unisono_files::Sum::default();
        self.files.iter().for_each(|file| sum.part(file.as_bytes()));
        sum.letters()
    }
}
