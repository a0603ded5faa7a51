//! Near-copies among concepts, and the concepts that no training sees.

use std::collections::BTreeMap;

use super::super::groups::{UnionFind, choose};
use super::concepts::Concept;
use crate::similar::{self, Thumbnail};

/// Concepts held out with all their images.
const UNSEEN: usize = 186;
/// Larger groups (clock faces, arrows, coloured squares) stay in training: one would fill the test with near-copies.
const LARGEST_UNSEEN: usize = 6;
/// Root mean square difference of thumbnails below which two drawings of one vendor count as alike…
const ALIKE: f32 = 12.0;
/// …and by how many vendors they must be drawn alike.
const VENDORS: usize = 2;

/// Subgroups of the Unicode charts whose members differ in one detail only, by a word in the names of all of them.
const FAMILIES: [&str; 14] = [
    "o’clock",
    "-thirty",
    "moon",
    "arrow",
    "button",
    "keycap",
    "heart",
    "circle",
    "square",
    "diamond",
    "triangle",
    "hourglass",
    "mailbox",
    "medal",
];

/// Words that tell near-copies apart.
const DETAILS: [&str; 60] = [
    "man",
    "woman",
    "men",
    "women",
    "person",
    "people",
    "boy",
    "girl",
    "male",
    "female",
    "prince",
    "princess",
    "mr",
    "mrs",
    "santa",
    "merman",
    "mermaid",
    "face",
    "left",
    "right",
    "up",
    "down",
    "north",
    "south",
    "east",
    "west",
    "upwards",
    "downwards",
    "leftwards",
    "rightwards",
    "pointing",
    "facing",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "brown",
    "black",
    "white",
    "light",
    "dark",
    "large",
    "small",
    "medium",
    "big",
    "little",
    "first",
    "second",
    "third",
    "increasing",
    "decreasing",
    "open",
    "closed",
    "oncoming",
    "with",
    "of",
    "the",
    "a",
];

/// The group of each concept, named after its first member's code point.
pub(super) fn group(
    concepts: &[Concept],
    thumbnails: &BTreeMap<&str, Vec<Option<Thumbnail>>>,
) -> Vec<String> {
    let mut sets = UnionFind::new(concepts.len());
    let named = |key: fn(&Concept) -> Option<String>| {
        concepts.iter().enumerate().filter_map(move |(i, c)| Some((i, key(c)?)))
    };
    sets.union_by_key(named(|c| Some(stem(&c.name))));
    sets.union_by_key(named(|c| FAMILIES.iter().find(|f| c.name.contains(**f)).map(|f| (*f).to_owned())));
    let mut alike: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for thumbnails in thumbnails.values() {
        for pair in similar::pairs(thumbnails, ALIKE) {
            *alike.entry(pair).or_insert(0) += 1;
        }
    }
    for ((a, b), _) in alike.into_iter().filter(|(_, vendors)| *vendors >= VENDORS) {
        sets.union(a, b);
    }
    let mut groups = vec![String::new(); concepts.len()];
    for members in sets.sets().values() {
        members.iter().for_each(|&m| groups[m] = concepts[members[0]].hex.clone());
    }
    groups
}

/// The groups that are held out.
pub(super) fn unseen(groups: &[String]) -> Vec<String> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    groups.iter().for_each(|g| *sizes.entry(g).or_insert(0) += 1);
    let sizes: Vec<_> = sizes.into_iter().filter(|(_, size)| *size <= LARGEST_UNSEEN).collect();
    choose("unseen", &sizes, UNSEEN)
}

/// A name without the words that tell near-copies apart; all of it where nothing else is left.
fn stem(name: &str) -> String {
    let lower = name.to_lowercase();
    // "globe showing Americas", "flag: …": what varies comes after.
    let head = lower.split(" showing ").next().unwrap_or_default();
    let words = head.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let kept: Vec<&str> = words.filter(|w| !DETAILS.contains(w)).collect();
    if kept.is_empty() { lower } else { kept.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_of_near_copies_agree() {
        let same = [
            ("man dancing", "woman dancing"),
            ("cat", "cat face"),
            ("blue book", "green book"),
            ("globe showing Americas", "globe showing Asia-Australia"),
            ("backhand index pointing left", "backhand index pointing up"),
        ];
        for (a, b) in same {
            assert_eq!(stem(a), stem(b));
        }
        assert_ne!(stem("cat"), stem("dog"));
        assert_eq!(stem("man"), "man");
        assert_ne!(stem("man"), stem("woman"));
    }
}
