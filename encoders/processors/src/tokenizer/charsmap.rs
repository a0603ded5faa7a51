//! SentencePiece's normaliser, a map from characters to what replaces them (`precompiled_charsmap`).

use std::collections::HashMap;

/// SentencePiece's normaliser: at each place the longest key of a double-array trie (Aoe 1989) is replaced by its value. (The
/// `tokenizers` crate looks keys up a cluster of combining marks at a time and loses marks.)
#[derive(Debug, Clone)]
pub(crate) struct Charsmap {
    trie: Vec<u32>,
    /// Each ends with a NUL.
    values: String,
    growth: f64,
}

/// Entries of a trie; that of all of Unicode's compositions has 60,000.
const MOST: usize = 1 << 20;
/// Bytes of a key.
const LONGEST: usize = 256;

/// From an entry to its children's.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}

/// The byte that leads to an entry; none where it is a value.
fn label(unit: u32) -> u32 {
    unit & ((1 << 31) | 0xff)
}

impl Charsmap {
    /// From the bytes in a model file, as sentence fragments what is wrong with them.
    ///
    /// Everything that can be reached is looked at, since a library that believes the map panics outside of it: every place that a key's
    /// byte leads to lies in the trie, every value begins at a character of the text behind it, and no key is endless.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or("it is empty")?;
        let size = u32::from_le_bytes(*size) as usize;
        let (trie, values) = rest
            .split_at_checked(size)
            .ok_or_else(|| format!("a table of {size} bytes in {}", bytes.len()))?;
        let (units, []) = trie.as_chunks::<4>() else {
            return Err(format!("a table of {size} bytes, expected a multiple of 4"));
        };
        if units.is_empty() || units.len() > MOST {
            return Err(format!("a table of {} entries, expected 1 to {MOST}", units.len()));
        }
        let values = String::from_utf8(values.to_vec()).map_err(|_| "replacements that are not UTF-8")?;
        let mut map =
            Self { trie: units.iter().map(|b| u32::from_le_bytes(*b)).collect(), values, growth: 1.0 };
        map.growth = map.checked()?;
        Ok(map)
    }

    /// How many times as long a text may become.
    pub fn growth(&self) -> f64 {
        self.growth
    }

    /// Walks through the trie; the most bytes that a byte of a key becomes.
    fn checked(&self) -> Result<f64, String> {
        let outside = || "its table leads outside of itself".to_owned();
        // Where each reachable place's key ends, in bytes, at the earliest; and how many ways lead to it.
        let mut found: HashMap<usize, (u32, u32)> = HashMap::from([(0, (0, 0))]);
        let mut order = vec![0usize];
        let mut growth = 1f64;
        let mut next = 0;
        while let Some(at) = order.get(next).copied() {
            next += 1;
            let length = found[&at].0;
            let (base, unit) = (at ^ offset(self.trie[at]), self.trie[at]);
            // The root has no value.
            if at != 0 && (unit >> 8) & 1 == 1 {
                let leaf = self.trie.get(base).ok_or_else(outside)?;
                let value = self.values.get((leaf & 0x7fff_ffff) as usize..);
                let value = value.ok_or("a replacement that is not in it")?;
                let n = value.find('\0').unwrap_or(value.len());
                growth = growth.max(n as f64 / f64::from(length));
            }
            for byte in 1..=255u8 {
                let child = base ^ usize::from(byte);
                let unit = self.trie.get(child).ok_or_else(outside)?;
                if label(*unit) != u32::from(byte) {
                    continue;
                }
                found.entry(child).and_modify(|f| f.1 += 1).or_insert_with(|| {
                    order.push(child);
                    (length + 1, 1)
                });
            }
        }
        self.ends(found)?;
        Ok(growth)
    }

    /// Takes places away that nothing leads to any more, again and again: where some stay, a key has no end.
    fn ends(&self, mut found: HashMap<usize, (u32, u32)>) -> Result<(), String> {
        let mut free = vec![(0usize, 0usize)];
        let mut taken = 0;
        while let Some((at, length)) = free.pop() {
            taken += 1;
            if length > LONGEST {
                return Err(format!("a key of more than {LONGEST} bytes"));
            }
            let base = at ^ offset(self.trie[at]);
            for byte in 1..=255u8 {
                let child = base ^ usize::from(byte);
                if self.trie.get(child).is_none_or(|u| label(*u) != u32::from(byte)) {
                    continue;
                }
                if let Some((_, ways)) = found.get_mut(&child) {
                    *ways -= 1;
                    if *ways == 0 {
                        free.push((child, length + 1));
                    }
                }
            }
        }
        if taken < found.len() { Err("a key without an end".into()) } else { Ok(()) }
    }

    /// The normalised text, single spaces, none at its ends.
    pub fn normalize(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match self.longest(rest.as_bytes()) {
                Some((n, value)) if rest.is_char_boundary(n) => {
                    let value = self.values.get(value..).unwrap_or_default();
                    out.push_str(value.split('\0').next().unwrap_or_default());
                    rest = &rest[n..];
                }
                _ => {
                    out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        out.split(' ').filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Length of the longest key that `text` begins with, and where its value stands.
    fn longest(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut at = offset(*self.trie.first()?);
        let mut found = None;
        for (i, byte) in text.iter().enumerate() {
            at ^= usize::from(*byte);
            let Some(unit) = self.trie.get(at).copied() else { break };
            if label(unit) != u32::from(*byte) {
                break;
            }
            at ^= offset(unit);
            if (unit >> 8) & 1 == 1 {
                let Some(leaf) = self.trie.get(at) else { break };
                found = Some((i + 1, (leaf & 0x7fff_ffff) as usize));
            }
        }
        found
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A map of `units` and replacements.
    pub(crate) fn bytes(units: &[u32], values: &str) -> Vec<u8> {
        let table: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
        [&(table.len() as u32).to_le_bytes()[..], &table, values.as_bytes()].concat()
    }

    /// "a" becomes `values` from `value` on.
    pub(crate) fn one(value: u32, values: &str) -> Vec<u8> {
        let mut units = vec![0u32; 1024];
        // The root's children begin at 256; a's own value lies at 512 ^ (256 ^ 97) of it.
        units[0] = 256 << 10;
        let at = 256 ^ 97;
        units[at] = ((at as u32 ^ 512) << 10) | (1 << 8) | 97;
        units[512] = value | (1 << 31);
        bytes(&units, values)
    }

    #[test]
    fn maps_that_lie_are_refused() {
        let map = Charsmap::new(&one(3, "xx\0yyé\0")).unwrap();
        assert_eq!(map.normalize("bab"), "byyéb");
        assert_eq!(map.growth(), 4.0);
        let said = |bytes: &[u8]| Charsmap::new(bytes).unwrap_err();
        assert_eq!(said(b""), "it is empty");
        assert_eq!(said(&[0; 4]), "a table of 0 entries, expected 1 to 1048576");
        assert_eq!(said(&[255; 4]), "a table of 4294967295 bytes in 4");
        assert_eq!(said(&bytes(&[1 << 30], "")), "its table leads outside of itself");
        assert_eq!(said(&one(9, "abc\0")), "a replacement that is not in it");
        assert_eq!(said(&one(1, "é\0")), "a replacement that is not in it");
        assert_eq!(said(&[&bytes(&[0; 512], "")[..], &[0xff]].concat()), "replacements that are not UTF-8");
        // "aaaa…" leads to itself.
        let mut units = vec![0u32; 1024];
        units[0] = 256 << 10;
        let at = 256 ^ 97usize;
        units[at] = (97 << 10) | 97;
        let child = at ^ offset(units[at]) ^ 97;
        assert_eq!(child, at);
        assert_eq!(said(&bytes(&units, "")), "a key without an end");
    }

    #[test]
    fn a_map_changed_anywhere_is_refused_or_safe() {
        let whole = one(3, "xx\0yyé\0");
        for i in 0..whole.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut broken = whole.clone();
                broken[i] ^= bit;
                if let Ok(map) = Charsmap::new(&broken) {
                    let _ = map.normalize("aab\u{301}é");
                }
            }
        }
    }
}
