//! A libtorch that is already on the machine: named by `LIBTORCH`, or inside a Python.

use super::platform::library;
use crate::{Error, Result, exec};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a libtorch came to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Environment,
    Python,
    Download,
}

/// A folder with `include/` and `lib/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Libtorch {
    pub(crate) kind: Kind,
    pub(crate) root: PathBuf,
    /// Without the local part: `2.11.0` for `2.11.0+cpu`.
    pub(crate) version: String,
}

impl Libtorch {
    /// The real library folder, which the binaries' run path names. Links are followed: the libraries find their own needs
    /// relative to the folder they are loaded from.
    pub(crate) fn lib(&self) -> PathBuf {
        let named = self.root.join("lib");
        let real = named.join(library("torch_cpu")).canonicalize().ok();
        real.and_then(|file| file.parent().map(Path::to_owned)).unwrap_or(named)
    }

    /// Whether the CUDA back end lies there too.
    pub(crate) fn has_cuda(&self) -> bool {
        self.lib().join(library("torch_cuda")).exists()
    }

    /// Looks `root` over; the error says in words what is wrong with it.
    pub(crate) fn inspect(kind: Kind, root: &Path) -> std::result::Result<Self, String> {
        let root = root.canonicalize().map_err(|error| format!("cannot be opened: {error}"))?;
        for needed in [Path::new("lib").join(library("torch_cpu")), PathBuf::from("include/torch")] {
            if !root.join(&needed).exists() {
                return Err(format!("holds no {}", needed.display()));
            }
        }
        let version =
            version_of(&root).ok_or("tells no version (build-version, include/torch/…/version.h)")?;
        if version.starts_with("2.11.") {
            Ok(Self { kind, root, version })
        } else {
            Err(format!("is libtorch {version}, not 2.11"))
        }
    }
}

/// `LIBTORCH` as the user set it.
///
/// # Errors
/// When it is set and is no libtorch 2.11: a wish that cannot be met is said, not passed over.
pub(crate) fn from_environment(value: Option<PathBuf>) -> Result<Option<Libtorch>> {
    let Some(path) = value else { return Ok(None) };
    Libtorch::inspect(Kind::Environment, &path)
        .map(Some)
        .map_err(|problem| Error::BadLibtorch { path, problem })
}

pub(crate) const NO_PYTHON: Error = Error::MissingTool {
    tool: "python3",
    fix: "`sudo apt-get install python3 python3-pip` (Debian, Ubuntu), `sudo dnf install python3-pip` (Fedora), `xcode-select --install` (macOS); or set LIBTORCH to a libtorch 2.11",
};
pub(crate) const NO_PIP: Error = Error::MissingTool {
    tool: "python3 -m pip",
    fix: "`sudo apt-get install python3-pip` (Debian, Ubuntu), `sudo dnf install python3-pip` (Fedora), `python3 -m ensurepip --user` (elsewhere)",
};

/// The Python in use: the active virtual environment's, else the first on PATH.
pub(crate) fn python() -> Option<PathBuf> {
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .iter()
        .filter_map(std::env::var_os)
        .map(|prefix| Path::new(&prefix).join("bin/python"))
        .find(|python| python.exists());
    active.or_else(|| exec::find_on_path(&["python3", "python"]))
}

/// The torch of `python`, found without importing it (an import takes seconds). `Err` says in words why there is none.
pub(crate) fn from_python(python: &Path) -> std::result::Result<Libtorch, String> {
    const FIND: &str =
        "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s and s.origin else '')";
    // Not in the current folder: a folder called `torch` there would be found first.
    let output = Command::new(python).args(["-c", FIND]).current_dir("/").output();
    let output = output.map_err(|error| format!("{} does not start: {error}", python.display()))?;
    let origin = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let root = Path::new(&origin).parent().filter(|_| !origin.is_empty()).ok_or("has no torch")?;
    Libtorch::inspect(Kind::Python, root)
}

/// From libtorch's `build-version`, a Python package's `version.py`, or the C++ header, in this order.
fn version_of(root: &Path) -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let full = read("build-version")
        .and_then(|text| text.lines().next().map(str::to_owned))
        .or_else(|| read("version.py").as_deref().and_then(version_in_python))
        .or_else(|| read("include/torch/headeronly/version.h").as_deref().and_then(version_in_header))
        .or_else(|| {
            read("include/torch/csrc/api/include/torch/version.h").as_deref().and_then(version_in_header)
        })?;
    let plain = full.split('+').next().unwrap_or_default().trim();
    plain.starts_with(|first: char| first.is_ascii_digit()).then(|| plain.to_owned())
}

fn version_in_python(text: &str) -> Option<String> {
    let value =
        text.lines().find_map(|line| line.strip_prefix("__version__")?.trim_start().strip_prefix('='))?;
    Some(value.trim().trim_matches(['\'', '"']).to_owned())
}

fn version_in_header(text: &str) -> Option<String> {
    let define = |name: &str| {
        text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let found = words.next() == Some("#define") && words.next() == Some(name);
            if found { words.next()?.parse::<u32>().ok() } else { None }
        })
    };
    let (major, minor) = (define("TORCH_VERSION_MAJOR")?, define("TORCH_VERSION_MINOR")?);
    Some(format!("{major}.{minor}.{}", define("TORCH_VERSION_PATCH")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HEADER: &str = "#pragma once\n/// Major.\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
                          #define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION \\\n  \"2.11.0\"\n";

    fn libtorch(version: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("lib")).unwrap();
        fs::create_dir_all(root.path().join("include/torch/headeronly")).unwrap();
        fs::write(root.path().join("lib").join(library("torch_cpu")), "x").unwrap();
        fs::write(root.path().join("build-version"), version).unwrap();
        root
    }

    #[test]
    fn versions_from_every_source() {
        assert_eq!(version_in_header(HEADER).as_deref(), Some("2.11.0"));
        assert_eq!(version_in_header("#define TORCH_VERSION_MAJOR two\n"), None);
        assert_eq!(version_in_header("#define TORCH_VERSION_MAJOR\n"), None);
        assert_eq!(
            version_in_python("import x\n__version__ = '2.11.0+cu130'\n").as_deref(),
            Some("2.11.0+cu130")
        );
        let root = libtorch("2.11.0+cpu\n");
        assert_eq!(version_of(root.path()).as_deref(), Some("2.11.0"));
        fs::remove_file(root.path().join("build-version")).unwrap();
        assert_eq!(version_of(root.path()), None);
        fs::write(root.path().join("include/torch/headeronly/version.h"), HEADER).unwrap();
        assert_eq!(version_of(root.path()).as_deref(), Some("2.11.0"));
    }

    #[test]
    fn another_version_is_refused_in_words() {
        let root = libtorch("2.10.1");
        let error = from_environment(Some(root.path().to_owned())).unwrap_err().to_string();
        assert!(
            error.contains("is libtorch 2.10.1, not 2.11") && error.contains("unset LIBTORCH"),
            "{error}"
        );
        // 2.110 begins with the same letters.
        let root = libtorch("2.110.0");
        assert!(from_environment(Some(root.path().to_owned())).is_err());
    }

    #[test]
    fn an_empty_or_absent_folder_is_refused_in_words() {
        let root = tempfile::tempdir().unwrap();
        let error = from_environment(Some(root.path().to_owned())).unwrap_err().to_string();
        assert!(error.contains("holds no lib/"), "{error}");
        let error = from_environment(Some(root.path().join("none"))).unwrap_err().to_string();
        assert!(error.contains("cannot be opened"), "{error}");
        assert!(from_environment(None).unwrap().is_none());
    }

    #[test]
    fn links_are_followed_to_the_real_libraries() {
        let (real, linked) = (libtorch("2.11.0"), libtorch("2.11.0"));
        let name = Path::new("lib").join(library("torch_cpu"));
        fs::remove_file(linked.path().join(&name)).unwrap();
        std::os::unix::fs::symlink(real.path().join(&name), linked.path().join(&name)).unwrap();
        let found = Libtorch::inspect(Kind::Python, linked.path()).unwrap();
        assert_eq!(found.lib(), real.path().canonicalize().unwrap().join("lib"));
    }

    #[test]
    fn a_good_one_is_taken() {
        let root = libtorch("2.11.0+cpu");
        let found = from_environment(Some(root.path().to_owned())).unwrap().unwrap();
        assert_eq!((found.version.as_str(), found.has_cuda()), ("2.11.0", false));
        fs::write(found.lib().join(library("torch_cuda")), "x").unwrap();
        assert!(found.has_cuda());
    }
}
