//! Which image of a vendor shows which concept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Deserialize;

use super::concepts::{Charts, plain};
use super::package;
use crate::Result;

/// An icon set: SVG bodies by icon name.
#[derive(Debug, Default, Deserialize)]
pub(super) struct IconSet {
    icons: BTreeMap<String, Icon>,
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
    width: Option<f32>,
    height: Option<f32>,
    /// Icon names by code points, in newer sets.
    #[serde(skip)]
    chars: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Icon {
    body: String,
    width: Option<f32>,
    height: Option<f32>,
}

#[derive(Debug, Deserialize)]
struct Alias {
    parent: String,
}

impl IconSet {
    /// Reads an `@iconify-json` package.
    pub fn read(archive: &Path) -> Result<Self> {
        let (mut set, mut chars) = (Self::default(), BTreeMap::<String, String>::new());
        for (path, bytes) in package::read(archive, |p| p == "icons.json" || p == "chars.json")? {
            match path.as_str() {
                "icons.json" => set = package::json(archive, &path, &bytes)?,
                _ => chars = package::json(archive, &path, &bytes)?,
            }
        }
        set.chars = chars.into_iter().map(|(hex, name)| (plain(&hex), name)).collect();
        Ok(set)
    }

    /// A whole SVG file of an icon.
    pub fn svg(&self, name: &str) -> Option<String> {
        let icon = self.icons.get(name)?;
        let edge = |own: Option<f32>, set: Option<f32>| own.or(set).unwrap_or(16.0);
        let (width, height) = (edge(icon.width, self.width), edge(icon.height, self.height));
        Some(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{}</svg>"#,
            icon.body
        ))
    }

    /// Icon names by code point, for the concepts in `names`. Sets without a code table are matched by name: what an icon is
    /// called must mean exactly one concept in the most official source that knows the name, or it is left out.
    pub fn by_concept(&self, names: &Names) -> BTreeMap<String, String> {
        if !self.chars.is_empty() {
            let known = self.chars.iter().filter(|(hex, _)| names.concepts.contains(*hex));
            // The table may name an alias.
            let icon = |name: &String| match self.aliases.get(name) {
                Some(alias) if !self.icons.contains_key(name) => alias.parent.clone(),
                _ => name.clone(),
            };
            return known
                .map(|(hex, name)| (hex.clone(), icon(name)))
                .filter(|(_, n)| self.icons.contains_key(n))
                .collect();
        }
        let own = self.icons.keys().map(|name| (name, name));
        let aliases = self.aliases.iter().map(|(alias, to)| (alias, &to.parent));
        let mut best: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (called, icon) in own.chain(aliases).filter(|(_, icon)| self.icons.contains_key(*icon)) {
            let Some((rank, hex)) = names.look_up(called) else { continue };
            let found = (rank, icon.clone());
            best.entry(hex.to_owned())
                .and_modify(|old| *old = old.clone().min(found.clone()))
                .or_insert(found);
        }
        best.into_iter().map(|(hex, (_, icon))| (hex, icon)).collect()
    }
}

/// Everything a concept is called, by source.
#[derive(Debug)]
pub(super) struct Names {
    concepts: BTreeSet<String>,
    /// Code points by source rank and reduced name.
    ranks: Vec<HashMap<String, BTreeSet<String>>>,
}

impl Names {
    /// Names from the charts and from the code tables of the sets that have one.
    pub fn new(charts: &Charts, sets: &[&IconSet]) -> Self {
        let concepts = charts.concepts.iter().map(|c| c.hex.clone()).collect();
        let mut names = Self { concepts, ranks: vec![HashMap::new(); 4] };
        for concept in &charts.concepts {
            names.add(0, &concept.name, &concept.hex);
        }
        for (rank, name, hex) in &charts.names {
            names.add(*rank, name, hex);
        }
        for set in sets {
            let mut aliases: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
            set.aliases.iter().for_each(|(alias, to)| aliases.entry(&to.parent).or_default().push(alias));
            for (hex, name) in &set.chars {
                names.add(1, name, hex);
                aliases.get(name).into_iter().flatten().for_each(|alias| names.add(2, alias, hex));
            }
        }
        names
    }

    /// Joined sequences are added too: a name that could mean one of them is ambiguous.
    fn add(&mut self, rank: usize, name: &str, hex: &str) {
        self.ranks[rank].entry(reduce(name)).or_default().insert(hex.to_owned());
    }

    fn look_up(&self, name: &str) -> Option<(usize, &str)> {
        let name = reduce(name);
        let (rank, found) =
            self.ranks.iter().enumerate().find_map(|(rank, names)| Some((rank, names.get(&name)?)))?;
        match found.iter().collect::<Vec<_>>()[..] {
            [hex] if self.concepts.contains(hex) => Some((rank, hex)),
            _ => None,
        }
    }
}

/// Letters and digits only: sets differ in hyphens, apostrophes and accents' spelling.
fn reduce(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.to_lowercase().replace('&', "and").chars() {
        match c {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => out.push('a'),
            'é' | 'è' | 'ê' | 'ë' => out.push('e'),
            'í' => out.push('i'),
            'ó' | 'ô' | 'ö' => out.push('o'),
            'ú' | 'ü' => out.push('u'),
            'ñ' => out.push('n'),
            'ç' => out.push('c'),
            c if c.is_alphanumeric() => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
#[path = "../../tests/emoji_vendors.rs"]
mod tests;
