//! The walls of the house, which `cargo test` looks at: a crate imports only from floors below its own, and files stay short.

use std::fs;
use std::path::{Path, PathBuf};

/// Floors of the crates, by their folders. CONTRIBUTING.md says what each holds.
pub(crate) const FLOORS: &[(&str, u32)] = &[
    ("files", 0),
    ("torch-ext", 0),
    ("page", 1),
    ("datasets/media", 1),
    ("encoders/nn", 1),
    ("datasets", 2),
    ("encoders/processors", 2),
    ("scenes", 2),
    ("scenes/transnet", 2),
    ("encoders", 3),
    ("jobs/index", 3),
    ("fusion", 4),
    ("eval", 5),
    ("jobs", 6),
    ("train", 6),
    ("serve", 7),
    ("cli", 8),
];

/// Lines that a file may have.
const MOST: usize = 400;
/// Half of the files have at most so many.
const MEDIAN: usize = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the crate of this name.
fn folder(name: &str) -> Option<&'static str> {
    let short = name.strip_prefix("unisono-")?;
    FLOORS.iter().map(|(folder, _)| *folder).find(|f| f.rsplit('/').next() == Some(short))
}

fn floor(folder: &str) -> Option<u32> {
    FLOORS.iter().find(|(f, _)| *f == folder).map(|(_, floor)| *floor)
}

/// Names of the crates of ours that a manifest's `[dependencies]` list.
fn imports(manifest: &str) -> Vec<String> {
    let own = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let own = own.split("\n[").next().unwrap_or_default();
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
    own.lines().map(name).filter(|name| name.starts_with("unisono-")).collect()
}

/// Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let passed_over =
            name.to_str().is_none_or(|n| n.starts_with('.') || ["target", "runs", "data"].contains(&n));
        if path.is_dir() {
            if !passed_over {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn crates_import_from_floors_below() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<&str> = members.split(',').map(|m| m.trim().trim_matches('"')).collect();
    let mut wrong = Vec::new();
    for member in members.into_iter().filter(|m| *m != "xtask") {
        let Some(own) = floor(member) else {
            wrong.push(format!(
                "{member} is on no floor: name it in xtask/tests/house/walls.rs and CONTRIBUTING.md"
            ));
            continue;
        };
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        for name in imports(&manifest) {
            match folder(&name).and_then(floor) {
                Some(below) if below < own => {}
                other => wrong.push(format!("{member} (floor {own}) imports {name} (floor {other:?})")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    assert!(found.len() > 300, "{}", found.len());
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let mut lengths: Vec<(usize, PathBuf)> = found.into_iter().map(|path| (lines(&path), path)).collect();
    lengths.sort();
    let long = lengths.iter().filter(|(lines, _)| *lines > MOST);
    let wrong: Vec<String> = long
        .map(|(lines, path)| format!("{}: {lines} lines, at most {MOST}: one idea a file", path.display()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let median = lengths[lengths.len() / 2].0;
    assert!(median <= MEDIAN, "half of the files have more than {median} lines");
}
