//! The folder that `torch-sys` links against: links to the real libraries, without what would pull in CUDA at link time.
//!
//! `torch-sys` links `-ltorch`, and adds `-ltorch_cuda` when that library lies in the folder. With `libtorch.so` pointing to
//! `libtorch_cpu.so` and no CUDA library in sight, one binary starts on machines with and without a GPU; the CUDA back end is
//! loaded at run time from the real folder.

use super::origin::Libtorch;
use super::platform::library;
use crate::{Error, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Libraries that a program in Rust never links: Python's, shared-memory helpers, and everything of CUDA's.
const NOT_LINKED: [&str; 8] = [
    "libtorch.",
    "libtorch_python",
    "libtorch_global_deps",
    "libtorch_cuda",
    "libtorch_nvshmem",
    "libc10_cuda",
    "libcaffe2_nvrtc",
    "libshm",
];

/// Whether a library of libtorch's `lib/` belongs to the linked set.
pub(crate) fn is_linked(name: &str) -> bool {
    let library = name.ends_with(".dylib") || name.ends_with(".so") || name.contains(".so.");
    library && !NOT_LINKED.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether `stage` is whole and leads to existing libraries of `libtorch`.
pub(crate) fn is_complete(stage: &Path, libtorch: &Libtorch) -> bool {
    let target = libtorch.root.join("lib").join(library("torch_cpu"));
    let linked =
        |name: &str| fs::read_link(stage.join("lib").join(library(name))).is_ok_and(|to| to == target);
    fs::read_to_string(stage.join("version")).is_ok_and(|version| version == libtorch.version)
        && stage.join("include/torch").exists()
        && linked("torch")
        && linked("torch_cpu")
        && target.metadata().is_ok_and(|meta| meta.len() > 0)
}

/// Makes `stage` for `libtorch` unless it is complete: built beside, then renamed.
pub(crate) fn make(stage: &Path, libtorch: &Libtorch) -> Result<()> {
    if is_complete(stage, libtorch) {
        return Ok(());
    }
    let fresh = stage.with_extension("tmp");
    remove(&fresh)?;
    let lib = fresh.join("lib");
    fs::create_dir_all(&lib).map_err(Error::io("creating", &lib))?;
    link(&libtorch.root.join("include"), &fresh.join("include"))?;
    let real = libtorch.root.join("lib");
    for entry in fs::read_dir(&real).map_err(Error::io("reading", &real))? {
        let entry = entry.map_err(Error::io("reading", &real))?;
        if is_linked(&entry.file_name().to_string_lossy()) {
            link(&entry.path(), &lib.join(entry.file_name()))?;
        }
    }
    link(&real.join(library("torch_cpu")), &lib.join(library("torch")))?;
    // torch-sys asks for `-lgomp`; this way it is the one that libtorch itself loads, whatever the compiler brings.
    let (versioned, plain) = (real.join("libgomp.so.1"), lib.join("libgomp.so"));
    if versioned.exists() && !plain.exists() {
        link(&versioned, &plain)?;
    }
    // torch-sys compares `build-version` with exactly 2.11.0; a later patch release has the same interface.
    if libtorch.version == super::platform::VERSION {
        write(&fresh.join("build-version"), &libtorch.version)?;
    }
    write(&fresh.join("version"), &libtorch.version)?;
    remove(stage)?;
    fs::rename(&fresh, stage).map_err(Error::io("creating", stage))?;
    if is_complete(stage, libtorch) {
        return Ok(());
    }
    Err(Error::Incomplete { path: libtorch.root.clone(), missing: format!("lib/{}", library("torch_cpu")) })
}

/// Removes a folder and all in it; absent is fine.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("removing", folder)(error))
        }
        _ => Ok(()),
    }
}

fn link(to: &Path, at: &PathBuf) -> Result<()> {
    symlink(to, at).map_err(Error::io("linking", at))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::origin::Kind;

    fn libtorch(folder: &Path, version: &str) -> Libtorch {
        let root = folder.join("torch");
        fs::create_dir_all(root.join("lib")).unwrap();
        fs::create_dir_all(root.join("include/torch")).unwrap();
        for name in ["torch", "torch_cpu", "torch_cuda", "c10", "c10_cuda", "torch_python"] {
            fs::write(root.join("lib").join(library(name)), "x").unwrap();
        }
        fs::write(root.join("lib/libgomp.so.1"), "x").unwrap();
        Libtorch { kind: Kind::Download, root, version: version.to_owned() }
    }

    #[test]
    fn the_linked_set() {
        for name in ["libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libarm_compute.so", "libomp.dylib"] {
            assert!(is_linked(name), "{name}");
        }
        for name in [
            "libtorch.so",
            "libtorch_cuda.so",
            "libtorch_cuda_linalg.so",
            "libtorch_python.so",
            "libshm.so",
            "notes.txt",
        ] {
            assert!(!is_linked(name), "{name}");
        }
    }

    #[test]
    fn made_without_cuda_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let (stage, torch) = (folder.path().join("stage"), libtorch(folder.path(), "2.11.0"));
        assert!(!is_complete(&stage, &torch));
        make(&stage, &torch).unwrap();
        assert_eq!(
            fs::read_link(stage.join("lib").join(library("torch"))).unwrap(),
            torch.root.join("lib").join(library("torch_cpu"))
        );
        assert!(!stage.join("lib").join(library("torch_cuda")).exists());
        assert!(stage.join("lib/libgomp.so").exists());
        assert_eq!(fs::read_to_string(stage.join("build-version")).unwrap(), "2.11.0");
        fs::write(stage.join("mark"), "").unwrap();
        make(&stage, &torch).unwrap();
        assert!(stage.join("mark").exists(), "a complete stage must be left alone");
    }

    #[test]
    fn a_broken_one_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (stage, torch) = (folder.path().join("stage"), libtorch(folder.path(), "2.11.1"));
        fs::create_dir_all(stage.join("lib")).unwrap();
        fs::write(stage.join("version"), "2.11.1").unwrap();
        make(&stage, &torch).unwrap();
        assert!(is_complete(&stage, &torch));
        // torch-sys would refuse 2.11.1 if it saw it.
        assert!(!stage.join("build-version").exists());
        fs::remove_file(torch.root.join("lib").join(library("torch_cpu"))).unwrap();
        assert!(!is_complete(&stage, &torch));
        assert!(make(&stage, &torch).unwrap_err().to_string().contains("torch_cpu"));
    }
}
