//! Emoji concepts: code points, names and tags in many languages.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;

use super::package;
use crate::Result;

/// One emoji, whoever draws it. Skin tones, flags of regions and joined sequences (families, professions) are no concepts
/// of their own here: they are near-copies by construction.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Concept {
    /// Lower-case hexadecimal code point.
    pub hex: String,
    /// English name.
    pub name: String,
    /// English tags.
    pub tags: Vec<String>,
    /// Numbers of the group and subgroup in the Unicode charts.
    pub group: (u32, u32),
    /// Name and tags by language, English left out.
    pub translations: BTreeMap<String, (String, Vec<String>)>,
}

/// Concepts in chart order, and other English names they go by, the more official source first.
#[derive(Debug)]
pub(super) struct Charts {
    pub concepts: Vec<Concept>,
    /// (rank, name, hex): rank 1 for Unicode names, 3 for chat short codes.
    pub names: Vec<(usize, String, String)>,
}

#[derive(Deserialize)]
struct Entry {
    hexcode: String,
    label: String,
    #[serde(default)]
    tags: Vec<String>,
    group: Option<u32>,
    subgroup: Option<u32>,
    order: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Codes {
    One(String),
    Many(Vec<String>),
}

/// Group number of skin tones and hair.
const COMPONENTS: u32 = 2;

/// Reads `emojibase-data`.
pub(super) fn read(archive: &Path) -> Result<Charts> {
    let wanted = |p: &str| {
        p == "en/data.json"
            || p == "meta/unicode-names.json"
            || p.ends_with("/compact.json") && !p.starts_with("en")
            || p.starts_with("en/shortcodes/") && p.ends_with(".json") && !p.contains("native")
    };
    let (mut entries, mut names) = (Vec::new(), Vec::new());
    let mut translations: HashMap<String, BTreeMap<String, (String, Vec<String>)>> = HashMap::new();
    for (path, bytes) in package::read(archive, wanted)? {
        match path.split('/').collect::<Vec<_>>()[..] {
            ["en", "data.json"] => entries = package::json::<Vec<Entry>>(archive, &path, &bytes)?,
            ["meta", _] => {
                let all: BTreeMap<String, String> = package::json(archive, &path, &bytes)?;
                names.extend(all.into_iter().map(|(hex, name)| (1, name, plain(&hex))));
            }
            ["en", "shortcodes", _] => {
                let all: BTreeMap<String, Codes> = package::json(archive, &path, &bytes)?;
                for (hex, codes) in all {
                    let codes = match codes {
                        Codes::One(code) => vec![code],
                        Codes::Many(codes) => codes,
                    };
                    names.extend(codes.into_iter().map(|code| (3, code, plain(&hex))));
                }
            }
            [language, _] => {
                for e in package::json::<Vec<Entry>>(archive, &path, &bytes)? {
                    let of = translations.entry(plain(&e.hexcode)).or_default();
                    of.insert(language_tag(language), (e.label, e.tags));
                }
            }
            _ => {}
        }
    }
    entries.sort_by_key(|e| e.order);
    let concept = |e: Entry| {
        let (hex, group) = (plain(&e.hexcode), e.group?);
        (group != COMPONENTS && !hex.contains('-')).then(|| Concept {
            translations: translations.remove(&hex).unwrap_or_default(),
            hex,
            name: e.label,
            tags: e.tags,
            group: (group, e.subgroup.unwrap_or_default()),
        })
    };
    Ok(Charts { concepts: entries.into_iter().filter_map(concept).collect(), names })
}

/// `1F600-FE0F` as `1f600`: the variation selector asks for colour and is left out or in at whim.
pub(super) fn plain(hex: &str) -> String {
    let lower = hex.to_ascii_lowercase();
    lower.split('-').filter(|part| *part != "fe0f").collect::<Vec<_>>().join("-")
}

/// `es-mx` as `es-MX`, `zh-hant` as `zh-Hant`.
fn language_tag(folder: &str) -> String {
    match folder.split_once('-') {
        Some((language, "hant")) => format!("{language}-Hant"),
        Some((language, region)) => format!("{language}-{}", region.to_ascii_uppercase()),
        None => folder.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_tags() {
        assert_eq!(plain("2764-FE0F"), "2764");
        assert_eq!(plain("1F468-200D-2695-FE0F"), "1f468-200d-2695");
        assert_eq!(["de", "es-mx", "zh-hant"].map(language_tag), ["de", "es-MX", "zh-Hant"]);
    }
}
