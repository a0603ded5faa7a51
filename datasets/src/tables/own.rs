//! Tables that `data pack` has written: their columns are what they are called, and some say what no other table does.

use crate::columnar::{Kind, Leaf};
use crate::open::{Columns, Names};
use crate::source::Key;

/// What no field holds, as one JSON object.
pub(crate) const EXTRA: &str = "extra";
/// Files beside the record that are no field, by their names.
pub(crate) const MEMBERS: &str = "members";
/// Which modalities a record has, where records differ in that.
pub(crate) const MODALITIES: &str = "modalities";

/// Columns of our own, by their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Own {
    pub(super) extra: Option<usize>,
    /// Names and bytes.
    pub(super) members: Option<(usize, usize)>,
    pub(super) modalities: Option<usize>,
}

impl Own {
    pub(super) fn of(leaves: &[Leaf]) -> Self {
        let find = |name: &str, kind| leaves.iter().position(|leaf| leaf.name == name && leaf.kind == kind);
        let text = |name| find(name, Kind::Text).filter(|leaf| !leaves[*leaf].listed);
        let names = find(&format!("{MEMBERS}.name"), Kind::Text);
        let bytes = find(&format!("{MEMBERS}.bytes"), Kind::Bytes);
        Self { extra: text(EXTRA), members: names.zip(bytes), modalities: text(MODALITIES) }
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = usize> {
        let members = self.members.into_iter().flat_map(|(names, bytes)| [names, bytes]);
        [self.extra, self.modalities].into_iter().flatten().chain(members)
    }
}

/// What is told, and where nothing is the columns of our own that are there.
pub(super) fn names(leaves: &[Leaf], told: &Columns) -> Columns {
    let mut names = told.clone();
    for (name, field) in names.fields_mut() {
        let there = |leaf: &Leaf| {
            leaf.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if field.is_empty() && leaves.iter().any(there) {
            *field = Names(vec![name.to_owned()]);
        }
    }
    names
}

/// The modalities of a record in a word.
pub(crate) fn word(key: &Key) -> String {
    let all = [("text", key.text), ("image", key.image), ("audio", key.audio), ("video", key.video)];
    let names: Vec<&str> = all.into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    names.join("+")
}

/// What such a word says.
pub(super) fn modalities(word: &str) -> Key<'static> {
    let has = |name: &str| word.split('+').any(|part| part == name);
    Key { text: has("text"), image: has("image"), audio: has("audio"), video: has("video"), ..Key::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_a_key_does() {
        for bits in 0..16u8 {
            let has = |bit: u8| bits & bit != 0;
            let key = Key { text: has(1), image: has(2), audio: has(4), video: has(8), ..Key::default() };
            assert_eq!(modalities(&word(&key)), key);
        }
        assert_eq!(word(&Key { text: true, video: true, ..Key::default() }), "text+video");
    }
}
