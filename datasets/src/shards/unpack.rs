//! Compressed shards: unpacked once, into the cache, so that their members can be read by position.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use unisono_files::{Budget, Lock, Pending, Stamp, own_folder, read_json, short_sum, write_json};

/// How much larger than packed a shard may be, unless more is allowed: media hardly shrink, captions to a twentieth.
const RATIO: u64 = 100;
/// As much is always allowed.
const LEAST: u64 = 1 << 30;
/// Space that is left to others.
const SPARE: u64 = 1 << 30;
/// Space is looked at every so many bytes.
const STEP: usize = 64 << 20;

/// How a shard is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstandard,
}

/// Endings of tar files, and how those are compressed.
const ENDINGS: [(&str, Option<Packing>); 5] = [
    (".tar", None),
    (".tar.gz", Some(Packing::Gzip)),
    (".tgz", Some(Packing::Gzip)),
    (".tar.zst", Some(Packing::Zstandard)),
    (".tzst", Some(Packing::Zstandard)),
];

fn ending(path: &Path) -> Option<(&'static str, Option<Packing>)> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    ENDINGS.into_iter().find(|(ending, _)| name.len() > ending.len() && name.ends_with(ending))
}

/// Whether a file's name ends as tar files do, packed or not.
pub(super) fn is_tar(path: &Path) -> bool {
    ending(path).is_some()
}

/// A shard's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let cut = ending(path).map_or(0, |(ending, _)| ending.len());
    name[..name.len() - cut].to_owned()
}

/// What an unpacked shard is of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    /// The packed file.
    path: PathBuf,
    /// Its length and time.
    packed: String,
    /// The length and time of what came out of it.
    unpacked: String,
}

/// The tar file that a shard is, unpacked into the folder `cache` where it is compressed; second, a word on that.
///
/// # Errors
/// No space, more than `most` bytes (or [`RATIO`] times the packed ones), a file that is not what its ending says.
pub(super) fn plain(path: &Path, most: Option<u64>, cache: &Path) -> Result<(PathBuf, Option<String>)> {
    let Some((_, Some(packing))) = ending(path) else { return Ok((path.to_owned(), None)) };
    let file = unisono_files::open(path)?;
    let packed = file.metadata().map_err(Error::io(path, "read"))?.len();
    let stamp = |path: &Path| Stamp::of(path).map(|s| s.to_string()).unwrap_or_default();
    let whole = std::path::absolute(path).map_err(Error::io(path, "resolve"))?;
    let folder = cache.join(short_sum(whole.as_os_str().as_encoded_bytes()));
    let (tar, of) = (folder.join(format!("{}.tar", stem(path))), folder.join("of.json"));
    let word =
        || format!("is read unpacked, from {}: delete that folder when nobody needs it", folder.display());
    let now = |tar: &Path| Of { path: whole.clone(), packed: stamp(path), unpacked: stamp(tar) };
    let ready = || tar.exists() && read_json::<Of>(&of, &Budget::CONFIG).is_ok_and(|of| of == now(&tar));
    if ready() {
        return Ok((tar, Some(word())));
    }
    fs::create_dir_all(cache).map_err(Error::io(cache, "create"))?;
    own_folder(&folder)?;
    // Another process may be at it, or just have done it.
    let _lock = Lock::within(&folder)?;
    if ready() {
        return Ok((tar, Some(word())));
    }
    let limit = most.unwrap_or_else(|| packed.saturating_mul(RATIO).max(LEAST));
    let before = stamp(path);
    let mut pending = Pending::begin(&tar)?;
    match packing {
        Packing::Gzip => {
            let from = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
            pour(path, from, pending.file(), limit, &folder)?;
        }
        Packing::Zstandard => {
            // A window of at most 128 MiB, whatever the file asks for.
            let from = zstd::stream::read::Decoder::new(file).map_err(|e| broken(path, &e))?;
            pour(path, from, pending.file(), limit, &folder)?;
        }
    }
    if stamp(path) != before {
        return Err(Error::archive(path, "has changed while it was unpacked: wait until it is written"));
    }
    pending.sync()?;
    pending.place()?;
    write_json(&of, &now(&tar))?;
    Ok((tar, Some(word())))
}

/// Writes what comes out, as long as there is leave and space for it.
fn pour(path: &Path, mut from: impl Read, to: &mut File, limit: u64, folder: &Path) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let (mut done, mut looked) = (0u64, STEP);
    loop {
        let n = from.read(&mut buffer).map_err(|e| broken(path, &e))?;
        if n == 0 {
            return Ok(());
        }
        done += n as u64;
        if done > limit {
            return Err(Error::archive(
                path,
                format!(
                    "unpacks to more than {limit} bytes; if that is meant, give the source a larger `max_unpacked` (`--max-unpacked`), or unpack it yourself"
                ),
            ));
        }
        looked += n;
        if looked >= STEP {
            looked = 0;
            room(path, folder)?;
        }
        to.write_all(&buffer[..n]).map_err(Error::io(folder, "write"))?;
    }
}

fn broken(path: &Path, error: &std::io::Error) -> Error {
    Error::archive(path, format!("cannot be unpacked: {error}: fetch it again"))
}

/// Refuses to fill the disk.
#[cfg(unix)]
fn room(path: &Path, folder: &Path) -> Result<()> {
    // Where the system does not tell, writing will.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    if left >= SPARE {
        return Ok(());
    }
    Err(Error::archive(
        path,
        format!(
            "is to be unpacked into {}, where {left} bytes are left, expected {SPARE} to spare: make room, or name another folder by UNISONO_CACHE",
            folder.display()
        ),
    ))
}
#[cfg(not(unix))]
fn room(_: &Path, _: &Path) -> Result<()> {
    Ok(())
}
