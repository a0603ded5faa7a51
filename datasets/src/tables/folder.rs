//! Which files of a folder are a data set's, and the split that their names tell.

use super::files::{DEPTH, below, has_ending};
use crate::pack::{Format, Listing};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A file of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    /// What its records' ids begin with.
    pub(super) name: String,
    pub(super) split: Option<String>,
}

/// The Parquet files that paths stand for: folders with all that lies in them, in the order of their names.
///
/// # Errors
/// A folder without any, or with a million.
pub(super) fn parquet_parts(paths: &[PathBuf]) -> Result<Vec<Part>> {
    let mut files = Vec::new();
    for path in paths {
        let listing = if path.is_dir() { packed(path)? } else { None };
        match (path.is_dir(), listing) {
            (false, _) => files.push(path.clone()),
            (true, Some(listing)) => files.extend(listing.shards.iter().map(|shard| path.join(&shard.name))),
            (true, None) => {
                let found = below(path, DEPTH, &|file| has_ending(file, "parquet"))?;
                if found.is_empty() {
                    return Err(Error::archive(path, "expected Parquet files in this folder, found none"));
                }
                files.extend(found);
            }
        }
    }
    Ok(named(files, split_of))
}

/// The list of what `data pack` has written into a folder: of a hundred thousand shards their names do not give the order.
fn packed(folder: &Path) -> Result<Option<Listing>> {
    Ok(Listing::of(folder)?.filter(|listing| listing.format == Format::Parquet))
}

/// The files of folders that `datasets.save_to_disk` wrote: `state.json` names them, and a folder of splits names their folders.
///
/// # Errors
/// A file of these that is missing, broken, or names something elsewhere.
fn arrow_paths(path: &Path) -> Result<Vec<(PathBuf, Option<String>)>> {
    use serde_json::Value;
    use unisono_files::{Budget, read_json};
    let name = |value: &Value, from: &Path| -> Result<String> {
        let name = value.as_str().unwrap_or_default();
        let plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "..";
        let found = || crate::plain::quoted(&value.to_string());
        plain.then(|| name.to_owned()).ok_or_else(|| {
            Error::archive(
                from,
                format!("expected the name of a file or folder beside it, found {}", found()),
            )
        })
    };
    if !path.is_dir() {
        return Ok(vec![(path.to_owned(), None)]);
    }
    let dict = path.join("dataset_dict.json");
    if dict.is_file() {
        let said: Value = read_json(&dict, &Budget::CONFIG)?;
        let mut files = Vec::new();
        for split in said["splits"].as_array().into_iter().flatten() {
            let split = name(split, &dict)?;
            let below = arrow_files(&path.join(&split), &name)?;
            files.extend(below.into_iter().map(|file| (file, Some(split.clone()))));
        }
        if files.is_empty() {
            return Err(Error::archive(&dict, "expected the names of splits, found none"));
        }
        return Ok(files);
    }
    Ok(arrow_files(path, &name)?.into_iter().map(|file| (file, None)).collect())
}

fn arrow_files(
    folder: &Path,
    name: &dyn Fn(&serde_json::Value, &Path) -> Result<String>,
) -> Result<Vec<PathBuf>> {
    let state = folder.join("state.json");
    let said: serde_json::Value = unisono_files::read_json(&state, &unisono_files::Budget::CONFIG)?;
    if said["_indices_data_files"].as_array().is_some_and(|files| !files.is_empty()) {
        let advice = "has its rows chosen by a table of indices, which is not read: `flatten_indices()` writes them plainly";
        return Err(Error::archive(&state, advice));
    }
    let files = said["_data_files"].as_array().into_iter().flatten();
    let files =
        files.map(|file| Ok(folder.join(name(&file["filename"], &state)?))).collect::<Result<Vec<_>>>()?;
    if files.is_empty() {
        return Err(Error::archive(&state, "expected the names of files (_data_files), found none"));
    }
    Ok(files)
}

/// The same with names for ids.
pub(super) fn arrow_parts(paths: &[PathBuf]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for path in paths {
        parts.extend(arrow_paths(path)?);
    }
    let splits: Vec<Option<String>> = parts.iter().map(|(_, split)| split.clone()).collect();
    let files = parts.into_iter().map(|(path, _)| path).collect();
    let mut named = named(files, |_| None);
    for (part, split) in named.iter_mut().zip(splits) {
        // `validation/data-00000-of-00001.arrow` by itself tells its split, too.
        part.split = split;
    }
    Ok(named)
}

/// Files by what tells them apart: their paths without the folders that all of them share, and without their endings.
fn named(files: Vec<PathBuf>, split: impl Fn(&Path) -> Option<String>) -> Vec<Part> {
    let mut shared = files.first().and_then(|f| f.parent()).unwrap_or(Path::new("")).to_path_buf();
    while !files.iter().all(|file| file.starts_with(&shared)) {
        if !shared.pop() {
            break;
        }
    }
    let part = |path: PathBuf| {
        // Lines of an index name tables from wherever it is read.
        let absolute = || std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let name = path.strip_prefix(&shared).unwrap_or(&path).with_extension("");
        // Ids are text, whatever a file is called.
        let split = split(&path);
        Part { name: name.to_string_lossy().into_owned(), split, path: absolute() }
    };
    files.into_iter().map(part).collect()
}

/// What files and folders of splits are called.
const SPLITS: [&str; 9] =
    ["train", "training", "validation", "valid", "val", "dev", "test", "testing", "evaluation"];

/// The split that a file's name tells, as it is written there: `test-00000-of-00002`, `train_1`, `val/0000`.
fn split_of(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    // SPLIT-00000-of-00002, whatever the split is called.
    let of = |stem: &str| -> Option<String> {
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (split, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.len() >= 4 && text.bytes().all(|b| b.is_ascii_digit());
        let word = !split.is_empty() && split.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
        (digits(number) && digits(count) && word).then(|| split.to_owned())
    };
    let keyword = |name: &str| {
        let words = name.split(|c: char| !c.is_alphanumeric());
        let mut words = words.map(str::to_ascii_lowercase);
        words.find(|word| SPLITS.contains(&word.as_str()))
    };
    let numbered = of(stem).filter(|split| split != "data" && split != "part");
    let folder = || path.parent()?.file_name()?.to_str();
    numbered.or_else(|| keyword(stem)).or_else(|| {
        // A folder is a split's only if that is its whole name.
        let folder = folder()?;
        SPLITS.contains(&folder.to_ascii_lowercase().as_str()).then(|| folder.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::{is_arrow, is_parquet};
    use super::*;

    #[test]
    fn splits_are_told_by_names() {
        for (path, split) in [
            ("data/train-00000-of-00002.parquet", Some("train")),
            ("data/test_a-00001-of-00002.parquet", Some("test_a")),
            ("data/validation.parquet", Some("validation")),
            ("a/my_Val_3.parquet", Some("val")),
            ("train/0000.parquet", Some("train")),
            ("train/data-00000-of-00001.parquet", Some("train")),
            ("Test/0000.parquet", Some("Test")),
            ("restrained/contest.parquet", None),
            ("part-00000-of-00009.parquet", None),
            ("a.parquet", None),
        ] {
            assert_eq!(split_of(Path::new(path)).as_deref(), split, "{path}");
        }
    }

    #[test]
    fn names_are_what_tells_files_apart() {
        let names = |files: &[&str]| -> Vec<String> {
            let files = files.iter().map(PathBuf::from).collect();
            named(files, |_| None).into_iter().map(|p| p.name).collect()
        };
        assert_eq!(names(&["/a/b.parquet"]), ["b"]);
        assert_eq!(names(&["/a/x/0.parquet", "/a/y/0.parquet"]), ["x/0", "y/0"]);
        assert_eq!(names(&["a/0.parquet", "b/0.parquet"]), ["a/0", "b/0"]);
    }

    #[test]
    fn folders_are_walked_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/1.parquet", "a/2.parquet", "a/.hidden.parquet", "_tmp/3.parquet", "a/x.txt"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert!(is_parquet(dir.path()) && !is_arrow(dir.path()));
        let parts = parquet_parts(&[dir.path().to_owned()]).unwrap();
        assert_eq!(parts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a/2", "b/1"]);
        let said = parquet_parts(&[dir.path().join("a").join("none")]).unwrap();
        assert_eq!(said.len(), 1, "what is not there is found missing when it is opened");
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        let said = parquet_parts(&[dir.path().join("empty")]).unwrap_err().to_string();
        assert!(said.ends_with("expected Parquet files in this folder, found none"), "{said}");
    }
}
