//! `.cargo/libtorch.toml`: how plain `cargo build` finds libtorch. Included by `.cargo/config.toml`, not kept in git.

use super::origin::{Kind, Libtorch};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

const RECORD: &str = "# record: ";

/// What an earlier set-up decided, kept in the file's second line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) root: PathBuf,
    pub(crate) stage: PathBuf,
    /// The user asked for `--cpu`: later set-ups on a GPU machine keep to it.
    pub(crate) cpu_only: bool,
}

/// The generated file of the checkout at `workspace`.
pub(crate) fn path(workspace: &Path) -> PathBuf {
    workspace.join(".cargo/libtorch.toml")
}

/// The record in `file`, `None` where there is no file or somebody else wrote it.
pub(crate) fn read(file: &Path) -> Option<Record> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(RECORD))?;
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    let folder = |key: &str| json.get(key).and_then(serde_json::Value::as_str).map(PathBuf::from);
    let kind = match json.get("kind")?.as_str()? {
        "environment" => Kind::Environment,
        "python" => Kind::Python,
        "download" => Kind::Download,
        _ => return None,
    };
    let cpu_only = json.get("cpu_only").and_then(serde_json::Value::as_bool).unwrap_or(false);
    Some(Record { kind, root: folder("root")?, stage: folder("stage")?, cpu_only })
}

/// The run path for the linker, as one rustc flag: the binaries find libtorch from any directory, with no variable set.
pub(crate) fn rpath_flag(lib: &Path) -> Result<String> {
    let text = plain(lib)?;
    // The linker driver splits `-Wl,…` at commas.
    if text.contains(',') {
        return Err(Error::OddPath { path: lib.to_owned(), what: "a comma" });
    }
    Ok(format!("link-arg=-Wl,-rpath,{text}"))
}

fn plain(path: &Path) -> Result<&str> {
    let text =
        path.to_str().ok_or(Error::OddPath { path: path.to_owned(), what: "bytes that are not UTF-8" })?;
    if text.chars().any(char::is_control) {
        return Err(Error::OddPath { path: path.to_owned(), what: "control characters" });
    }
    Ok(text)
}

/// The file's text.
pub(crate) fn render(libtorch: &Libtorch, stage: &Path, cpu_only: bool) -> Result<String> {
    let kind = match libtorch.kind {
        Kind::Environment => "environment",
        Kind::Python => "python",
        Kind::Download => "download",
    };
    let record = serde_json::json!({
        "kind": kind, "root": plain(&libtorch.root)?, "stage": plain(stage)?, "cpu_only": cpu_only,
    });
    let lib = libtorch.lib();
    let quoted_stage = quote(plain(stage)?);
    let quoted_lib = quote(plain(&lib)?);
    let flag = quote(&rpath_flag(&lib)?);
    // torch-sys accepts exactly 2.11.0; a later patch release has the same interface.
    let bypass = if libtorch.version == super::platform::VERSION {
        String::new()
    } else {
        "LIBTORCH_BYPASS_VERSION_CHECK = { value = \"1\", force = true }\n".to_owned()
    };
    Ok(format!(
        "# Written by `cargo xtask setup`; run that instead of editing. It holds this machine's paths and is not kept in git.\n\
         {RECORD}{record}\n\
         \n\
         [env]\n\
         LIBTORCH = {{ value = {quoted_stage}, force = true }}\n\
         LIBTORCH_CXX11_ABI = {{ value = \"1\", force = true }}\n\
         {bypass}\
         # The real libraries: where the CUDA back end is loaded from at run time.\n\
         UNISONO_LIBTORCH_LIB = {{ value = {quoted_lib}, force = true }}\n\
         \n\
         # A `cfg` table adds to flags that you set for your own target; `[build]` would be replaced by them.\n\
         # The alias in config.toml sets `xtask`, which needs no libtorch and so is not compiled again for this.\n\
         [target.'cfg(not(xtask))']\n\
         rustflags = [\"-C\", {flag}]\n\
         \n\
         # Documentation tests are linked by rustdoc.\n\
         [build]\n\
         rustdocflags = [\"-C\", {flag}]\n"
    ))
}

/// Writes `text` beside and renames; leaves an equal file untouched, so that cargo rebuilds nothing.
pub(crate) fn write(file: &Path, text: &str) -> Result<bool> {
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(Error::io("creating", folder))?;
    }
    let fresh = file.with_extension("toml.tmp");
    fs::write(&fresh, text).map_err(Error::io("writing", &fresh))?;
    fs::rename(&fresh, file).map_err(Error::io("writing", file))?;
    Ok(true)
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libtorch(root: &str, version: &str) -> Libtorch {
        Libtorch { kind: Kind::Python, root: PathBuf::from(root), version: version.to_owned() }
    }

    #[test]
    fn rendered_as_cargo_reads_it() {
        let text = render(&libtorch("/opt/my \"torch\"", "2.11.0"), Path::new("/c/stage"), false).unwrap();
        let toml: toml::Table = text.parse().unwrap();
        let env = |name: &str| toml["env"][name]["value"].as_str().unwrap().to_owned();
        assert_eq!(env("LIBTORCH"), "/c/stage");
        assert_eq!(env("UNISONO_LIBTORCH_LIB"), "/opt/my \"torch\"/lib");
        assert_eq!(toml["env"]["LIBTORCH"]["force"].as_bool(), Some(true));
        let flags = ["-C", "link-arg=-Wl,-rpath,/opt/my \"torch\"/lib"].map(toml::Value::from);
        assert_eq!(toml["target"]["cfg(not(xtask))"]["rustflags"].as_array().unwrap(), &flags);
        assert_eq!(toml["build"]["rustdocflags"].as_array().unwrap(), &flags);
        assert!(!text.contains("BYPASS"));
        assert!(render(&libtorch("/t", "2.11.1"), Path::new("/s"), false).unwrap().contains("BYPASS"));
    }

    #[test]
    fn the_record_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path());
        assert_eq!(read(&file), None);
        let text = render(&libtorch("/opt/torch", "2.11.0"), Path::new("/c/stage"), true).unwrap();
        assert!(write(&file, &text).unwrap());
        assert!(!write(&file, &text).unwrap(), "an equal file is left alone");
        let record = Record {
            kind: Kind::Python,
            root: "/opt/torch".into(),
            stage: "/c/stage".into(),
            cpu_only: true,
        };
        assert_eq!(read(&file), Some(record));
        for foreign in [
            "",
            "[env]\nLIBTORCH = \"/x\"\n",
            "# record: {\n",
            "# record: {\"kind\":\"odd\",\"root\":\"/\",\"stage\":\"/\"}\n",
        ] {
            fs::write(&file, foreign).unwrap();
            assert_eq!(read(&file), None, "{foreign:?}");
        }
    }

    #[test]
    fn paths_that_a_linker_argument_cannot_hold() {
        assert!(rpath_flag(Path::new("/a,b/lib")).unwrap_err().to_string().contains("a comma"));
        assert!(rpath_flag(Path::new("/a\nb/lib")).unwrap_err().to_string().contains("control"));
    }
}
