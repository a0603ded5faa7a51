//! What is remembered of an item, to know it again without reading its file.

use crate::Item;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Sixteen bytes of a SHA-256.
pub type Key = [u8; 16];

/// What is remembered of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Which item it is, wherever its collection lies: over its id, its file below the root, and the part of it; of a text over its words.
    pub key: Key,
    /// What it holds: over its modality, its label and its file's bytes, or its words. Two items of one sum have one vector. Zeros: not known.
    pub content: Key,
    /// Over what is said of it: caption, label, language, further keys.
    pub said: u64,
    /// Length of its file in bytes; zero: none, or not known.
    pub size: u64,
    /// When its file was written, in nanoseconds from 1970 on, UTC; zero: none, or not known.
    pub written: i64,
}

impl Facts {
    /// What is known of an item without reading its file, whose [`content`](Self::content) stays unknown. Paths count from `root` on.
    pub fn of(item: &Item, root: Option<&Path>) -> Self {
        let key = sum(&[
            item.modality.name().as_bytes(),
            &named(item, root),
            &below(&item.place(), root),
            span(item).as_bytes(),
            &[u8::from(item.video)],
            &item.part.to_le_bytes(),
        ]);
        let meta = if item.meta.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&item.meta).unwrap_or_default()
        };
        let said = sum(&[
            item.text.as_deref().unwrap_or_default().as_bytes(),
            item.label.as_deref().unwrap_or_default().as_bytes(),
            item.lang.as_deref().unwrap_or_default().as_bytes(),
            &meta,
        ]);
        let said = said.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte));
        let (size, written) = stamp(item);
        Self { key, content: Key::default(), said, size, written }
    }

    /// With what it holds: `bytes` is a sum over its file's bytes; of texts nothing.
    #[must_use]
    pub fn holding(mut self, item: &Item, bytes: &[u8]) -> Self {
        let words = if item.blob.is_none() { item.text.as_deref() } else { None };
        self.content = sum(&[
            item.modality.name().as_bytes(),
            item.label.as_deref().unwrap_or_default().as_bytes(),
            span(item).as_bytes(),
            &[u8::from(item.video)],
            words.unwrap_or_default().as_bytes(),
            bytes,
        ]);
        self
    }

    /// Whether the file is as it was, as far as its length and its time tell; a text always is.
    pub fn same_file(&self, other: &Self) -> bool {
        (self.size, self.written) == (other.size, other.written)
    }

    /// Whether what it holds is known.
    pub fn is_known(&self) -> bool {
        self.content != Key::default()
    }
}

/// Its name; texts that were given by themselves have numbers for names, and are told apart by their words.
fn named(item: &Item, root: Option<&Path>) -> Vec<u8> {
    let alone = item.blob.is_none() && item.label.is_none() && item.id.starts_with("text:");
    match (&item.text, alone) {
        (Some(words), true) => words.as_bytes().to_vec(),
        _ => below(item.id.as_bytes(), root),
    }
}

fn span(item: &Item) -> String {
    if item.span.is_whole() { String::new() } else { item.span.to_string() }
}

/// A path without its root.
fn below(path: &[u8], root: Option<&Path>) -> Vec<u8> {
    let root = root.map(|root| root.as_os_str().as_encoded_bytes());
    let rest = root.and_then(|root| path.strip_prefix(root)).filter(|rest| rest.first() == Some(&b'/'));
    rest.unwrap_or(path).to_vec()
}

/// Length and time of its file.
fn stamp(item: &Item) -> (u64, i64) {
    let stamp = item.stamp();
    let read = || {
        let (size, time) = stamp.split_once('@')?;
        let (seconds, nanos) = time.split_once('.')?;
        let seconds: i64 = seconds.parse().ok()?;
        Some((size.parse().ok()?, seconds.checked_mul(1_000_000_000)?.checked_add(nanos.parse().ok()?)?))
    };
    read().unwrap_or_default()
}

/// Over parts, each with its length in front.
fn sum(parts: &[&[u8]]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut key = Key::default();
    hash.finalize().iter().zip(&mut key).for_each(|(from, to)| *to = *from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_processors::Modality;

    #[test]
    fn an_item_is_known_again_where_its_root_has_moved() {
        let at = |path: &str| Item::file(path, Modality::Image);
        let of = |path, root| Facts::of(&at(path), Some(Path::new(root))).key;
        assert_eq!(of("/old/a/b.png", "/old"), of("/new/place/a/b.png", "/new/place"));
        assert_ne!(of("/old/a/b.png", "/old"), of("/old/a/c.png", "/old"));
        // A folder whose name only begins alike is another.
        assert_ne!(of("/older/b.png", "/old"), of("/old/er/b.png", "/old"));
        let sound = Item { modality: Modality::Audio, ..at("/old/a/b.png") };
        assert_ne!(Facts::of(&sound, None).key, Facts::of(&at("/old/a/b.png"), None).key);
    }

    #[test]
    fn texts_are_their_words_and_what_is_said_is_apart() {
        let (a, b) = (Item::text("text:0", "a bus"), Item::text("text:7", "a bus"));
        assert_eq!(Facts::of(&a, None), Facts::of(&b, None));
        assert_ne!(Facts::of(&a, None).key, Facts::of(&Item::text("text:0", "a car"), None).key);
        let named = Item { label: Some("x".into()), ..a.clone() };
        assert_ne!(Facts::of(&named, None).said, Facts::of(&a, None).said);
        assert!(!Facts::of(&a, None).is_known() && Facts::of(&a, None).holding(&a, b"").is_known());
        assert_ne!(
            Facts::of(&a, None).holding(&a, b"x").content,
            Facts::of(&a, None).holding(&a, b"y").content
        );
    }
}
