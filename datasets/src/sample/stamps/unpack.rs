//! Taking the stamps' files out of the Debian package.

use std::fs;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use super::super::progress::{Report, with_progress};
use super::super::{Unit, tool};
use crate::{Error, Result};

const ROOT: &str = "usr/share/tuxpaint/stamps";
/// No file of the package is a tenth as large.
const MAX_FILE: u64 = 64 << 20;
/// Files in the package that are kept.
const FILES: u64 = 9_900;

/// Writes images, audio files and captions below `into` and returns their paths relative to it, sorted.
pub(super) fn unpack(archive: &Path, into: &Path, report: Report) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped());
    let mut child = tool::spawn(&mut command, "unpack the Debian package of the stamps")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || tool::read_all(stderr));
    let files = with_progress(report, "unpack stamps", (Some(FILES), Unit::Items), |done| match stdout {
        Some(pipe) => extract(archive, BufReader::with_capacity(1 << 20, pipe), into, &mut || {
            done.fetch_add(1, Ordering::Relaxed);
        }),
        None => Ok(Vec::new()),
    });
    if files.is_err() {
        // Its pipe is closed; without this it could be waited for in vain.
        let _ = child.kill();
    }
    let status = child.wait();
    let files = files?;
    tool::finish(&command, status, &errors.join().unwrap_or_default())?;
    Ok(files)
}

/// The wanted regular files of a tar stream. Links, devices and paths that lead elsewhere are never followed or written.
fn extract(archive: &Path, tar: impl Read, into: &Path, tick: &mut dyn FnMut()) -> Result<Vec<PathBuf>> {
    let broken =
        |e: std::io::Error| Error::archive(archive, format!("the package's tar stream is broken: {e}"));
    let mut files = Vec::new();
    let mut tar = tar::Archive::new(tar);
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let Some(inside) = wanted(&path) else { continue };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() > MAX_FILE {
            return Err(Error::archive(
                &path,
                format!("{} bytes in the package, more than {MAX_FILE}", entry.size()),
            ));
        }
        let target = into.join(&inside);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(Error::io(folder, "create folder"))?;
        }
        let mut file = fs::File::create(&target).map_err(Error::io(&target, "write"))?;
        std::io::copy(&mut entry, &mut file).map_err(Error::io(&target, "write"))?;
        files.push(inside);
        tick();
    }
    files.sort();
    Ok(files)
}

/// The path below the stamps' folder, if it is one of the kinds used and made of plain names only.
fn wanted(path: &Path) -> Option<PathBuf> {
    let path = path.strip_prefix(".").unwrap_or(path);
    let inside = path.strip_prefix(ROOT).ok()?;
    let plain = inside.components().all(|c| matches!(c, Component::Normal(_)));
    let kind = inside.extension().and_then(|e| e.to_str())?;
    (plain && ["png", "svg", "ogg", "wav", "txt"].contains(&kind)).then(|| inside.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_with(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, data) in entries {
            let mut header = tar::Header::new_gnu();
            // Written raw: the library refuses to make hostile names.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(data.len() as u64);
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn only_plain_files_below_the_root_are_written() {
        let file = tar::EntryType::Regular;
        let tar = tar_with(&[
            ("./usr/share/tuxpaint/stamps/a/cat.txt", file, b"A cat."),
            ("./usr/share/tuxpaint/stamps/../../../../evil.txt", file, b"x"),
            ("/usr/share/tuxpaint/stamps/absolute.txt", file, b"x"),
            ("./usr/share/tuxpaint/stamps/link.txt", tar::EntryType::Symlink, b""),
            ("./usr/share/tuxpaint/stamps/a/cat.dat", file, b"x"),
            ("./etc/other.txt", file, b"x"),
        ]);
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("deep/out");
        let files = extract(Path::new("x.deb"), &tar[..], &into, &mut || ()).unwrap();
        assert_eq!(files, [PathBuf::from("a/cat.txt")]);
        assert_eq!(fs::read(into.join("a/cat.txt")).unwrap(), b"A cat.");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_truncated_stream_is_an_error() {
        let tar =
            tar_with(&[("./usr/share/tuxpaint/stamps/a/cat.txt", tar::EntryType::Regular, &[b'x'; 5000])]);
        let dir = tempfile::tempdir().unwrap();
        let error = extract(Path::new("x.deb"), &tar[..2000], dir.path(), &mut || ()).unwrap_err();
        assert!(error.to_string().contains("cat.txt") || error.to_string().contains("x.deb"), "{error}");
    }
}
