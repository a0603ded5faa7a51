//! `NAME` and `NAME@VERSION`.

use super::Card;
use std::cmp::Ordering;
use std::path::Path;
use std::str::FromStr;

/// A model of a store, as it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `clip`.
    pub name: String,
    /// `3`; absent: the one that is pinned, else the latest.
    pub version: Option<String>,
}

/// Whether this is a name or a version: letters, digits, `-`, `_` and `.`, not at the beginning.
pub(super) fn is_part(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    first
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !is_part(name) || version.is_some_and(|version| !is_part(version)) {
            return Err(format!(
                "{text:?}: expected NAME or NAME@VERSION, of letters, digits, '-', '_' and '.', each beginning with a letter or a digit"
            ));
        }
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

impl Named {
    /// A folder's name as a model's; none where it is no name.
    pub fn of_folder(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str().filter(|name| is_part(name))?.to_owned();
        Some(Self { name, version: None })
    }
}

/// Numbers by their size and before words.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// The number behind the largest.
pub(super) fn next(versions: &[Card]) -> String {
    let last = versions.iter().filter_map(|card| card.version.parse::<u64>().ok()).max();
    last.map_or(1, |last| last.saturating_add(1)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions() {
        let named = |text: &str| text.parse::<Named>().map(|n| (n.name, n.version));
        assert_eq!(named("clip").unwrap(), ("clip".into(), None));
        assert_eq!(named("clip-b.32@2026-01").unwrap(), ("clip-b.32".into(), Some("2026-01".into())));
        for wrong in ["", "@1", "a@", "a/b", "../a", ".a", "a@../b", "a b", "a@b@c", "-a"] {
            assert!(named(wrong).unwrap_err().contains("expected NAME"), "{wrong}");
        }
        let mut all = ["10", "b", "9", "a"];
        all.sort_by(|a, b| order(a, b));
        assert_eq!(all, ["9", "10", "a", "b"]);
        assert_eq!(Named::of_folder(Path::new("/x/run.1")).unwrap().name, "run.1");
        assert_eq!(Named::of_folder(Path::new("/")), None);
    }
}
