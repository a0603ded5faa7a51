//! Which files are videos, and whose part of them is done here.

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

/// A part of a listing, taken turn by turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 0.
    pub index: usize,
    /// Number of parts.
    pub count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether the item of this index belongs to it.
    pub fn has(self, item: usize) -> bool {
        item % self.count.max(1) == self.index
    }

    /// The launcher's rank (`RANK`, `WORLD_SIZE`, as torchrun sets them; `SLURM_PROCID`, `SLURM_NTASKS`), or all where there is no
    /// launcher. Empty variables count as absent.
    ///
    /// # Errors
    /// A rank without a size, or what is no rank of that size: each of many processes would silently do everything.
    pub fn of_launcher() -> std::result::Result<Self, String> {
        Self::of_variables(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))
    }

    fn of_variables(get: impl Fn(&str) -> Option<String>) -> std::result::Result<Self, String> {
        for (rank, size) in [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")] {
            let value = |name| get(name).filter(|v| !v.is_empty());
            let (index, count) = match (value(rank), value(size)) {
                (Some(index), Some(count)) => (index, count),
                (Some(index), None) if rank == "RANK" => (index, String::new()),
                // A size without a rank is an allocation without its launcher; a batch script of Slurm's has a number and no size.
                _ => continue,
            };
            return match (index.trim().parse::<usize>(), count.trim().parse::<usize>()) {
                (Ok(index), Ok(count)) if index < count => Ok(Self { index, count }),
                _ => Err(format!(
                    "{rank}={index:?} and {size}={count:?}: expected a rank from 0 to below the size; set both, unset both, or give --shard i/n"
                )),
            };
        }
        Ok(Self::WHOLE)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    /// `2/8`: the second of eight.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("expected i/n with 1 <= i <= n, as 2/8, found {text:?}");
        let (i, n) = text.split_once('/').ok_or_else(wrong)?;
        let (i, n): (usize, usize) = (i.parse().map_err(|_| wrong())?, n.parse().map_err(|_| wrong())?);
        if i == 0 || i > n { Err(wrong()) } else { Ok(Self { index: i - 1, count: n }) }
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
    fn shards_take_turns() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|s| s.parse().unwrap()).collect();
        for item in 0..10 {
            assert_eq!(shards.iter().filter(|s| s.has(item)).count(), 1);
        }
        for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().unwrap_err().contains("as 2/8"), "{wrong}");
        }
    }

    #[test]
    fn launchers_say_which_part_is_whose() {
        let of = |set: &'static [(&str, &str)]| {
            Shard::of_variables(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(of(&[("RANK", "2"), ("WORLD_SIZE", "8")]), Ok(Shard { index: 2, count: 8 }));
        assert_eq!(of(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")]), Ok(Shard { index: 0, count: 2 }));
        for nobody in [
            &[][..],
            &[("RANK", ""), ("WORLD_SIZE", "")],
            &[("WORLD_SIZE", "8")],
            &[("SLURM_NTASKS", "8")],
            &[("SLURM_PROCID", "0")],
        ] {
            assert_eq!(of(nobody), Ok(Shard::WHOLE), "{nobody:?}");
        }
        for wrong in [
            &[("RANK", "x")][..],
            &[("RANK", "x"), ("WORLD_SIZE", "4")],
            &[("RANK", "4"), ("WORLD_SIZE", "4")],
            &[("RANK", "-1"), ("WORLD_SIZE", "4")],
            &[("RANK", "0")],
            &[("RANK", "0"), ("WORLD_SIZE", "many")],
            &[("SLURM_PROCID", "9"), ("SLURM_NTASKS", "2")],
        ] {
            let e = of(wrong).unwrap_err();
            assert!(e.contains(wrong[0].1) && e.contains("--shard i/n"), "{e}");
        }
    }

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
