//! Addresses where a file's path is expected. Nothing is fetched: what a run reads should be there before it begins, and be the same tomorrow.

use crate::{Error, Result};
use std::path::Path;

/// What to do about `text` when it is an address rather than a file's path; `None` for paths.
pub fn advice(text: &str) -> Option<&'static str> {
    if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:")) && text.contains(',') {
        return Some("a `data:` address: write its bytes to a file and give the file's path");
    }
    let (scheme, _) = text.split_once("://")?;
    let first = scheme.chars().next()?;
    let is_scheme = first.is_ascii_alphabetic()
        && scheme.len() > 1
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'));
    match scheme.to_ascii_lowercase().as_str() {
        _ if !is_scheme => None,
        "file" => Some("a `file:` address: give the plain path"),
        "http" | "https" | "ftp" => Some("a web address: download the file first and give its path"),
        _ => Some("an address of a remote store: download the file first and give its path"),
    }
}

/// Refuses a path that is an address, unless a file of that name is there.
///
/// # Errors
/// [`Error::Address`].
pub fn refuse(path: &Path) -> Result<()> {
    match path.to_str().and_then(advice) {
        Some(advice) if !path.exists() => Err(Error::Address { path: path.to_owned(), advice }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths() {
        for (address, part) in [
            ("https://example.org/a.png", "a web address"),
            ("HTTP://example.org/a.png", "a web address"),
            ("s3://bucket/a.wav", "remote store"),
            ("hf://datasets/a/b.mp4", "remote store"),
            ("gs://b/a", "remote store"),
            ("file:///home/a.png", "the plain path"),
            ("data:image/png;base64,AAAA", "a `data:` address"),
        ] {
            assert!(advice(address).is_some_and(|a| a.contains(part)), "{address}");
            let said = refuse(Path::new(address)).unwrap_err().to_string();
            assert!(said.starts_with(address) && said.lines().count() == 1, "{said}");
        }
        for path in ["a.png", "/data/a.png", "c:/a.png", "://a", "a b://c", "data:", "http:/a", "é://x", ""]
        {
            assert_eq!(advice(path), None, "{path}");
            refuse(Path::new(path)).unwrap();
        }
    }
}
