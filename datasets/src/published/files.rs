//! The files that a data set is published as, by their names.

use crate::plain::quoted;
use crate::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Names that a message lists of what is there.
const SHOWN: usize = 6;
/// Bytes of a file in which its form can be seen.
const HEAD: u64 = 4 << 10;

/// Something that a file says, or what is wrong with it; whoever knows the place adds it.
pub(super) type Parsed<T> = std::result::Result<T, String>;

/// The files of one data set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    /// Whose files they are, as messages say it.
    pub set: &'static str,
    /// Their names, as messages list them.
    pub names: &'static str,
    /// Folders below the data set's own in which they lie; the empty one is its own.
    pub folders: &'static [&'static str],
    /// Whether a name is one of theirs.
    pub is: fn(&str) -> bool,
    /// Words in the head of every such file, where others have files of these names, too.
    pub head: &'static [&'static str],
}

impl Published {
    /// The files that paths mean: a file itself, of a folder all that lie in it.
    ///
    /// # Errors
    /// None is there, or a file has another name.
    pub fn find(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in paths {
            if path.is_dir() {
                let files = self.within(path);
                if files.is_empty() {
                    return Err(self.other(path, &listed(path)));
                }
                found.extend(files);
            } else {
                // A file that is not there is told as such.
                drop(unisono_files::open(path)?);
                if !(self.is)(name(path)) {
                    return Err(self.other(path, &format!("a file of the name {}", quoted(name(path)))));
                }
                found.push(path.clone());
            }
        }
        Ok(found)
    }

    /// The one file that paths mean.
    ///
    /// # Errors
    /// As [`find`](Self::find), and where there are several.
    pub fn one(&self, paths: &[PathBuf]) -> Result<PathBuf> {
        let mut found = self.find(paths)?;
        match (found.pop(), found.pop()) {
            (Some(file), None) => Ok(file),
            (Some(last), Some(first)) => {
                let message =
                    format!("expected one file of {}, found {} too: name one", self.set, last.display());
                Err(Error::archive(&first, message))
            }
            _ => Err(Error::Options(format!("expected the path of {}, found none", self.set))),
        }
    }

    /// Whether a path is one of these files, or a folder with some of them.
    pub fn seen(&self, path: &Path) -> bool {
        match path.is_dir() {
            true => self.within(path).iter().any(|file| self.fits(file)),
            false => (self.is)(name(path)) && self.fits(path),
        }
    }

    fn fits(&self, file: &Path) -> bool {
        let mut head = Vec::new();
        self.head.is_empty()
            || unisono_files::open(file).is_ok_and(|f| f.take(HEAD).read_to_end(&mut head).is_ok())
                && self.head.iter().all(|w| head.windows(w.len()).any(|bytes| bytes == w.as_bytes()))
    }

    /// The data set's own folder, in which a file or the folder of it lies.
    pub fn root(&self, file: &Path) -> PathBuf {
        let parent = file.parent().unwrap_or(Path::new(""));
        let below = self.folders.iter().filter(|f| !f.is_empty() && parent.ends_with(f));
        let depth = below.map(|f| Path::new(f).components().count()).max().unwrap_or(0);
        parent.ancestors().nth(depth).unwrap_or(Path::new("")).into()
    }

    /// Those in a folder, in the order of their names.
    fn within(&self, folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for below in self.folders {
            let place = joined(folder, below);
            // A folder that is not there holds nothing.
            let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| place.join(entry.file_name())).collect();
            files.retain(|file| (self.is)(name(file)));
            files.sort();
            found.extend(files);
        }
        found
    }

    fn other(&self, path: &Path, found: &str) -> Error {
        Error::archive(path, format!("expected a file of {} ({}), found {found}", self.set, self.names))
    }
}

/// A folder below another, or itself.
pub(super) fn joined(folder: &Path, below: &str) -> PathBuf {
    if below.is_empty() { folder.into() } else { folder.join(below) }
}

/// A path's last part.
pub(super) fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// What lies in a folder, for messages.
pub(super) fn listed(folder: &Path) -> String {
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(read).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| quoted(name)).collect();
    match (shown.is_empty(), more) {
        (true, _) => "nothing".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
