//! From a member's name to its record's key and what the member is of it.

use serde::{Deserialize, Serialize};

/// Where the key ends in a member's base name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyEnds {
    /// At its first dot, as WebDataset has it: `a/b.seg.png` is `seg.png` of `a/b`.
    #[default]
    FirstDot,
    /// At its last: `v1.5.png` is `png` of `v1.5`.
    LastDot,
}

/// The key and the ending of a member; `None` for one that is of no record: without a key, without an ending, or one of WebDataset's own
/// (`__…__`).
pub(super) fn parts(name: &str, ends: KeyEnds) -> Option<(&str, &str)> {
    // `tar cf shard.tar .` begins every name so.
    let mut name = name;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    if is_meta(name) || name.contains('\0') {
        return None;
    }
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = match ends {
        KeyEnds::FirstDot => name[base..].find('.')?,
        KeyEnds::LastDot => name[base..].rfind('.')?,
    };
    let (key, ending) = (&name[..base + dot], &name[base + dot + 1..]);
    (dot > 0 && !ending.is_empty()).then_some((key, ending))
}

/// `__name__`, a file or the first folder.
fn is_meta(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    first.len() >= 4 && first.starts_with("__") && first.ends_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_as_webdataset_cuts_them() {
        let first = |name| parts(name, KeyEnds::FirstDot);
        let last = |name| parts(name, KeyEnds::LastDot);
        for (name, by_first, by_last) in [
            ("000.jpg", Some(("000", "jpg")), Some(("000", "jpg"))),
            ("a.b/c.seg.PNG", Some(("a.b/c", "seg.PNG")), Some(("a.b/c.seg", "PNG"))),
            ("./a/v1.5.png", Some(("a/v1", "5.png")), Some(("a/v1.5", "png"))),
            ("../../x.txt", Some(("../../x", "txt")), Some(("../../x", "txt"))),
            ("/etc/x.txt", Some(("/etc/x", "txt")), Some(("/etc/x", "txt"))),
            ("README", None, None),
            (".hidden", None, None),
            ("a/.hidden.jpg", None, Some(("a/.hidden", "jpg"))),
            ("a.", None, None),
            ("", None, None),
            ("a.d/", None, None),
            ("__info__", None, None),
            ("__meta__/a.json", None, None),
            ("__.txt", Some(("__", "txt")), Some(("__", "txt"))),
            ("é.jpg", Some(("é", "jpg")), Some(("é", "jpg"))),
            ("a\0.jpg", None, None),
        ] {
            assert_eq!((first(name), last(name)), (by_first, by_last), "{name}");
        }
    }
}
