//! Whose a folder is: runs that work at the same time keep out of each other's way, what others wrote is never replaced, and what killed
//! runs left is removed.

use super::store::{CLIPS, MARK, Store, THUMBNAILS, VECTORS, folder_name, written};
use super::{SceneInput, Shard};
use crate::{Error, Result};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use unisono_files::{Budget, Lock, read_text};
use unisono_scenes::record::Scene;
use unisono_scenes::write;

/// The first line of a long transcript is as long.
const LINE: u64 = 64 << 20;

impl Store {
    /// The right to do this part of the work, alone.
    ///
    /// # Errors
    /// Another run does it.
    pub(super) fn lock_run(&self, shard: Shard) -> Result<Lock> {
        let name = self.out().join(format!("shard-{}-of-{}", shard.index + 1, shard.count));
        Lock::take(&name).map_err(|e| self.taken(self.out(), e))
    }

    /// The right to write a video's folder.
    ///
    /// # Errors
    /// Another run writes it.
    pub(super) fn lock(&self, source: &SceneInput) -> Result<Lock> {
        let folder = self.folder(source);
        std::fs::create_dir_all(self.videos()).map_err(Error::io(self.out(), "write"))?;
        Lock::take(&folder).map_err(|e| self.taken(&folder, e))
    }

    /// The right to gather; `None` while another run does.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn lock_gathered(&self) -> Result<Option<Lock>> {
        match Lock::take(&self.gathered()) {
            Ok(lock) => Ok(Some(lock)),
            Err(unisono_files::Error::Locked { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn taken(&self, path: &Path, error: unisono_files::Error) -> Error {
        match error {
            unisono_files::Error::Locked { holder, .. } => {
                let message = format!(
                    "is being written by another run (process {holder}); wait for it or choose another --out"
                );
                Error::format(path, message)
            }
            e => e.into(),
        }
    }

    /// # Errors
    /// A file that another program wrote stands where all scenes are to be gathered.
    pub(super) fn check_gathered(&self) -> Result<()> {
        let path = self.gathered();
        let Ok(meta) = std::fs::symlink_metadata(&path) else { return Ok(()) };
        let ours = || -> Option<bool> {
            let mut line = String::new();
            let file = unisono_files::open(&path).ok()?.take(LINE);
            BufReader::new(file).read_line(&mut line).ok()?;
            Some(line.is_empty() || serde_json::from_str::<write::Line<Scene>>(&line).is_ok())
        };
        if meta.is_file() && ours().unwrap_or(false) {
            return Ok(());
        }
        Err(foreign(&path))
    }

    /// Removes what runs that were killed have left behind: only what carries our mark and no run works on.
    pub(super) fn sweep(&self) {
        for entry in std::fs::read_dir(self.videos()).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Some(name) = name.to_str() else { continue };
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Some(of) = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".lock")) {
                // A lock is removed as it is let go.
                if !is_dir && is_folder_name(of) {
                    drop(Lock::take(&self.videos().join(of)));
                }
            } else if name.starts_with(".unisono-") && name.ends_with(".tmp") && is_dir {
                // What cannot be removed stays: it is in nobody's way.
                if let Some(of) = made_for(&path)
                    && let Ok(_lock) = Lock::take(&self.videos().join(of))
                {
                    drop(std::fs::remove_dir_all(path));
                }
            }
        }
    }

    /// # Errors
    /// Where a video's folder is to be stands something that this program does not write, or such a thing lies in it.
    pub(super) fn check(&self, source: &SceneInput) -> Result<()> {
        let folder = self.folder(source);
        let Ok(meta) = std::fs::symlink_metadata(&folder) else { return Ok(()) };
        if !meta.is_dir() {
            return Err(foreign(&folder));
        }
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder, "read"))?.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let ours = match name.to_str().unwrap_or_default() {
                THUMBNAILS => only(&path, ".jpg"),
                CLIPS => only(&path, ".mp4"),
                name => name == VECTORS || write::FILES.contains(&name),
            };
            if !ours {
                return Err(foreign(&path));
            }
        }
        Ok(())
    }
}

/// Which video's folder a temporary one was for: it says so, or holds the one that was there before.
fn made_for(folder: &Path) -> Option<String> {
    let mark = read_text(&folder.join(MARK), &Budget::CONFIG).ok();
    let name = mark.or_else(|| Some(folder_name(&written(&folder.join("old"))?.video.path)))?;
    is_folder_name(&name).then_some(name)
}

/// Whether a folder holds nothing but files that end so.
fn only(folder: &Path, ending: &str) -> bool {
    let ours = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(ending);
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(ours))
}

fn foreign(path: &Path) -> Error {
    let message =
        "was not written by this program and would be replaced; move it away or choose another --out";
    Error::format(path, message)
}

/// Whether it is as [`folder_name`] makes them.
fn is_folder_name(name: &str) -> bool {
    let sum = name.rsplit_once('-').map_or("", |(_, sum)| sum);
    let plain = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    plain && sum.len() == 8 && sum.bytes().all(|b| b.is_ascii_hexdigit())
}
