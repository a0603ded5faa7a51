//! Which files the shards of a source are, and what their records are called.

use super::unpack::{is_tar, stem};
use crate::pack::{LISTING, Listing};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The shards that paths name: files, and folders of such.
///
/// # Errors
/// A folder without shards, a shard that is named twice.
pub(super) fn shards(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => found.extend(folder(path)?),
            false => found.push(path.clone()),
        }
    }
    let mut seen = BTreeSet::new();
    match found.iter().find(|path| !seen.insert(*path)) {
        None => Ok(found),
        Some(twice) => Err(Error::Options(format!(
            "{}: is named twice: name each shard of a source once",
            twice.display()
        ))),
    }
}

/// The shards in a folder: those that its list names, or else all tar files by their names.
fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    if let Some(listing) = Listing::of(path)? {
        return Ok(listing.shards.iter().map(|shard| path.join(&shard.name)).collect());
    }
    let mut found = tars(path)?;
    if found.is_empty() {
        return Err(Error::archive(path, "expected a folder with .tar files, found none in it"));
    }
    found.sort();
    Ok(found)
}

fn tars(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "list"))? {
        let name = entry.map_err(Error::io(folder, "list"))?.file_name();
        let path = folder.join(&name);
        if !name.to_string_lossy().starts_with('.') && is_tar(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether a path is a shard by its name, or a folder of shards.
pub(crate) fn is_shard(path: &Path) -> bool {
    match path.is_dir() {
        false => is_tar(path),
        true => match path.join(LISTING).is_file().then(|| Listing::of(path)) {
            Some(Ok(Some(listing))) => listing.format == crate::pack::Format::Tar,
            _ => tars(path).is_ok_and(|found| !found.is_empty()),
        },
    }
}

/// Whether `data pack` has written these shards, and their keys and JSON are to be taken by its word.
pub(super) fn own(shards: &[PathBuf]) -> bool {
    let Some(folder) = shards.first().and_then(|s| s.parent()) else { return false };
    let Ok(Some(listing)) = Listing::of(folder) else { return false };
    let names: BTreeSet<&str> = listing.shards.iter().map(|shard| shard.name.as_str()).collect();
    let listed = |path: &PathBuf| {
        path.parent() == Some(folder)
            && path.file_name().and_then(|n| n.to_str()).is_some_and(|n| names.contains(n))
    };
    shards.iter().all(listed)
}

/// What a record's id begins with, by its shard: nothing where there is one; as few of the last names of a path as tell them apart.
pub(super) fn stems(shards: &[PathBuf]) -> Vec<Box<str>> {
    if shards.len() == 1 {
        return vec!["".into()];
    }
    let deepest = shards.iter().map(|s| s.components().count()).max().unwrap_or(1);
    let mut named = Vec::new();
    for depth in 1..=deepest {
        named = shards.iter().map(|shard| last(shard, depth)).collect();
        let distinct: BTreeSet<&Box<str>> = named.iter().collect();
        if distinct.len() == shards.len() {
            break;
        }
    }
    named
}

fn last(shard: &Path, depth: usize) -> Box<str> {
    let folders: Vec<_> = shard.parent().into_iter().flat_map(Path::components).collect();
    let from = folders.len().saturating_sub(depth - 1);
    let folders =
        folders[from..].iter().map(|c| c.as_os_str().to_string_lossy().trim_matches('/').to_owned());
    folders.chain([stem(shard)]).collect::<Vec<_>>().join("/").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(shards: &[&str]) -> Vec<String> {
        let paths: Vec<PathBuf> = shards.iter().map(PathBuf::from).collect();
        stems(&paths).into_iter().map(String::from).collect()
    }

    #[test]
    fn ids_say_their_shard() {
        assert_eq!(named(&["a/00.tar"]), [""]);
        assert_eq!(named(&["a/00.tar", "a/01.tar.gz"]), ["00", "01"]);
        assert_eq!(named(&["x/a/00.tar", "x/b/00.tar", "x/b/01.tgz"]), ["a/00", "b/00", "b/01"]);
        assert_eq!(named(&["/00.tar", "/a/00.tar"]), ["/00", "a/00"]);
    }

    #[test]
    fn folders_and_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.tar", "a.TAR.gz", ".c.tar", "d.txt", ".tar"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let of = |paths: &[PathBuf]| {
            shards(paths).map(|found| {
                found
                    .iter()
                    .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(of(&[dir.path().into()]).unwrap(), ["a.TAR.gz", "b.tar"]);
        assert!(
            is_shard(dir.path())
                && is_shard(&dir.path().join("b.tar"))
                && !is_shard(&dir.path().join("d.txt"))
        );
        let said = of(&[dir.path().into(), dir.path().join("b.tar")]).unwrap_err().to_string();
        assert!(said.contains("b.tar: is named twice"), "{said}");
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert!(
            of(std::slice::from_ref(&empty))
                .unwrap_err()
                .to_string()
                .contains("expected a folder with .tar files")
        );
        assert!(!is_shard(&empty));
    }
}
