//! Which files are videos.

use crate::{Error, Result, Skip, kind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Frames a second of what tells no rate.
pub const FRAMES: u32 = 25;

/// Something with frames in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SceneInput {
    /// A file that FFmpeg decodes.
    Video(PathBuf),
    /// A GIF, WebP or PNG that moves.
    Animation(PathBuf),
    /// A folder of images, in the order of their names.
    Folder(PathBuf),
}

impl SceneInput {
    /// Where it lies, absolute.
    pub fn path(&self) -> &Path {
        match self {
            Self::Video(path) | Self::Animation(path) | Self::Folder(path) => path,
        }
    }

    /// Its path, as it is shown.
    pub fn id(&self) -> String {
        self.path().display().to_string()
    }

    pub(super) fn needs_ffmpeg(&self) -> bool {
        matches!(self, Self::Video(_))
    }

    /// Size on the disk: how much of the work it is.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(self.path()).map_or(0, |m| m.len())
    }
}

/// Files named, and videos and animations in folders named, each once, in the order of their paths below each. A folder of images only is
/// itself a video of them. What is named and is no video comes back beside.
///
/// # Errors
/// A path that is not there, or nothing at all.
pub fn list(paths: &[PathBuf]) -> Result<(Vec<SceneInput>, Vec<Skip>)> {
    let (mut sources, mut skipped, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for path in paths {
        unisono_media::address::refuse(path)?;
        let path = std::path::absolute(path).map_err(Error::io(path, "resolve"))?;
        let meta = std::fs::metadata(&path).map_err(Error::io(&path, "read"))?;
        let mut add = |source: SceneInput| {
            if seen.insert(source.path().to_owned()) {
                sources.push(source);
            }
        };
        if meta.is_dir() {
            let (found, images) = walk(&path);
            if found.is_empty() && images {
                add(SceneInput::Folder(path));
            } else {
                found.into_iter().for_each(add);
            }
        } else if !meta.is_file() {
            skipped
                .push(Skip { id: path.display().to_string(), reason: "neither a file nor a folder".into() });
        } else if moves(&path)? {
            add(SceneInput::Animation(path));
        } else {
            // Whatever it is, FFmpeg says whether it is a video.
            add(SceneInput::Video(path));
        }
    }
    if sources.is_empty() && skipped.is_empty() {
        return Err(Error::Input(
            "no video: the folders named hold no file that ends like one, nor images".into(),
        ));
    }
    Ok((sources, skipped))
}

/// Videos and animations below a folder, and whether images lie directly in it.
fn walk(folder: &Path) -> (Vec<SceneInput>, bool) {
    let (mut found, mut images) = (Vec::new(), false);
    let visible = |e: &walkdir::DirEntry| e.depth() == 0 || !e.file_name().to_string_lossy().starts_with('.');
    // Links are not followed: a loop could otherwise be walked without end.
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(visible).flatten() {
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path();
        if kind::video_by_ending(path) {
            found.push(SceneInput::Video(path.to_owned()));
        } else if moves(path).unwrap_or(false) {
            found.push(SceneInput::Animation(path.to_owned()));
        } else if entry.depth() == 1 && kind::by_ending(path) == Some(unisono_encoders::Modality::Image) {
            images = true;
        }
    }
    (found, images)
}

/// A GIF, WebP or PNG with more than one frame, told by its first bytes.
fn moves(path: &Path) -> Result<bool> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !["gif", "webp", "png", "apng"].contains(&ending.as_str()) {
        return Ok(false);
    }
    unisono_media::video::is_animation(path).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_and_images_are_a_video() {
        let dir = tempfile::tempdir().unwrap();
        let touch = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, b"x").unwrap();
            path
        };
        let (b, a) = (touch("v/b.mp4"), touch("v/deep/a.MKV"));
        touch("v/notes.txt");
        touch("v/.hidden.mp4");
        touch("frames/1.jpg");
        touch("frames/2.jpg");
        let (found, skipped) = list(&[dir.path().join("v"), b.clone(), dir.path().join("frames")]).unwrap();
        assert_eq!(
            found,
            [SceneInput::Video(b), SceneInput::Video(a), SceneInput::Folder(dir.path().join("frames"))]
        );
        assert!(skipped.is_empty());
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        assert!(list(&[dir.path().join("empty")]).unwrap_err().to_string().contains("no video"));
        assert!(list(&[dir.path().join("progress.mp4")]).is_err());
    }
}
