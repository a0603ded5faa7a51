//! Archives: found among those given, in the cache, or fetched by the registry's own program; always checked.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};
use unisono_files::{Lock, own_folder};

use super::progress::{Report, with_progress};
use super::{Progress, SampleOptions, Unit, tool};
use crate::{Error, Result};

/// One version of one package.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive {
    /// Name and version as its registry's program takes them.
    pub spec: &'static str,
    /// File name that the program gives it.
    pub file: &'static str,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: &'static str,
    /// Size in bytes.
    pub size: u64,
    /// Licence of its content.
    pub licence: &'static str,
    pub registry: Registry,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Registry {
    Debian,
    Npm,
}

/// Refuses archives that were given and are none of those wanted: they would be fetched all the same.
pub(super) fn check_given(options: &SampleOptions, wanted: &[&Archive]) -> Result<()> {
    for given in &options.archives {
        let is = |archive: &&Archive| match given.is_dir() {
            true => given.join(archive.file).is_file(),
            false => given.file_name().is_some_and(|name| name == archive.file),
        };
        if !wanted.iter().any(is) {
            let names: Vec<&str> = wanted.iter().map(|archive| archive.file).collect();
            return Err(Error::Options(format!(
                "{}: is or holds none of this data set's packages, which are named {}",
                given.display(),
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// The archive's path, fetched when it is neither given nor cached.
pub(super) fn locate(archive: &Archive, options: &SampleOptions, report: Report) -> Result<PathBuf> {
    for given in &options.archives {
        let path = if given.is_dir() { given.join(archive.file) } else { given.clone() };
        if path.file_name().is_some_and(|n| n == archive.file) && path.is_file() {
            check(&path, archive, report)?;
            return Ok(path);
        }
    }
    let path = options.cache.join(archive.file);
    if !path.is_file() {
        download(archive, &options.cache, report)?;
    }
    check(&path, archive, report)?;
    Ok(path)
}

/// Compares the file's SHA-256 with the pinned one.
fn check(path: &Path, archive: &Archive, report: Report) -> Result<()> {
    let stage = format!("check {}", archive.spec);
    let sum = with_progress(report, &stage, (Some(archive.size), Unit::Bytes), |done| {
        let mut file = File::open(path)?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(hex(&hash.finalize()));
            }
            hash.update(&buffer[..read]);
            done.fetch_add(read as u64, Ordering::Relaxed);
        }
    });
    let found = sum.map_err(Error::io(path, "read"))?;
    if found == archive.sha256 {
        return Ok(());
    }
    Err(Error::Checksum { path: path.to_path_buf(), expected: archive.sha256.into(), found })
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Fetches into a folder beside and renames, so a broken download never stands under the final name.
fn download(archive: &Archive, cache: &Path, report: Report) -> Result<()> {
    let target = cache.join(archive.file);
    own(cache)?;
    // Two runs that need the same archive do not fetch it into one folder.
    let _held = Lock::take(&target)?;
    let part = cache.join(format!("{}.part", archive.file));
    own(&part)?;
    let stage = format!("download {}", archive.spec);
    let mut tick = |part: &Path| {
        report(Progress {
            stage: stage.clone(),
            done: size_of(part),
            total: Some(archive.size),
            unit: Unit::Bytes,
        });
    };
    match archive.registry {
        Registry::Debian => {
            let state = cache.join("apt");
            let what = format!("fetch the Debian package {}", archive.spec);
            tool::run(apt(&state)?.arg("update"), &what, &mut || tick(&part))?;
            let mut get = apt(&state)?;
            get.args(["download", archive.spec]).current_dir(&part);
            tool::run(&mut get, &what, &mut || tick(&part)).map_err(explain)?;
        }
        Registry::Npm => {
            let what = format!("fetch the npm package {}", archive.spec);
            let mut npm = Command::new("npm");
            // `pack` only downloads: nothing is installed and no script of a package runs.
            npm.args(["pack", archive.spec, "--ignore-scripts", "--loglevel=error"]).current_dir(&part);
            // Its defaults wait more than a minute before they tell that there is no network.
            npm.args(["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]);
            tool::run(&mut npm, &what, &mut || tick(&part))?;
        }
    }
    let fetched = part.join(archive.file);
    if !fetched.is_file() {
        return Err(Error::archive(
            &fetched,
            format!("the download of {} did not leave this file", archive.spec),
        ));
    }
    fs::rename(&fetched, &target).map_err(Error::io(&target, "write"))?;
    fs::remove_dir_all(&part).map_err(Error::io(&part, "remove"))
}

/// `apt-get update` succeeds without a network too, and then no package can be located.
fn explain(error: Error) -> Error {
    match error {
        Error::Command { command, status, stderr } => {
            let hint =
                "no network, or a release that carries another version: the file can also be given by path";
            Error::Command { command, status, stderr: format!("{stderr} ({hint})") }
        }
        other => other,
    }
}

/// `apt-get` with the system's sources and keys but lists and archives of its own: it needs no root and changes nothing.
fn apt(state: &Path) -> Result<Command> {
    let state = std::path::absolute(state).map_err(Error::io(state, "resolve"))?;
    own(&state)?;
    for folder in ["lists/partial", "cache/archives/partial"] {
        let folder = state.join(folder);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "create folder"))?;
    }
    let status = state.join("status");
    if !status.exists() {
        fs::write(&status, "").map_err(Error::io(&status, "write"))?;
    }
    let mut command = Command::new("apt-get");
    for (key, path) in [
        ("Dir::State", state.clone()),
        ("Dir::State::lists", state.join("lists")),
        ("Dir::State::status", status),
        ("Dir::Cache", state.join("cache")),
    ] {
        command.arg("-o").arg(format!("{key}={}", path.display()));
    }
    // As root it would hand the download to a user who cannot write here; without lock files nobody else is disturbed.
    command.args([
        "-o",
        "APT::Sandbox::User=root",
        "-o",
        "Debug::NoLocking=1",
        "-o",
        "Acquire::Languages=none",
        "-q",
    ]);
    Ok(command)
}

/// The cache may lie where others can write: a folder that they laid, or a link, is not used.
fn own(folder: &Path) -> Result<()> {
    Ok(own_folder(folder)?)
}

/// Bytes in a folder's files.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok()).filter(fs::Metadata::is_file).map(|m| m.len()).sum()
}
