//! What problems have in common: their reasons without what is of one file only, counted.

use std::collections::BTreeMap;

/// Causes that are told apart: a stranger's words may differ in each file.
const MOST: usize = 1000;
/// Longest cause, in bytes.
const LONGEST: usize = 100;

/// How many problems there were of each cause, apart by where they were found.
#[derive(Debug, Clone)]
pub struct Causes<K> {
    counts: BTreeMap<(K, String), u64>,
}

impl<K> Default for Causes<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Causes<K> {
    /// Counts a problem.
    pub fn add(&mut self, found: K, reason: &str) {
        let key = (found, cause(reason));
        let key = match self.counts.len() < MOST || self.counts.contains_key(&key) {
            true => key,
            false => (key.0, "other causes".into()),
        };
        *self.counts.entry(key).or_insert(0) += 1;
    }

    /// Where, which and how many, the most frequent first.
    pub fn table(&self) -> Vec<(K, String, u64)> {
        let row = |((found, cause), count): (&(K, String), &u64)| (found.clone(), cause.clone(), *count);
        let mut rows: Vec<_> = self.counts.iter().map(row).collect();
        rows.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        rows
    }
}

/// A reason without its numbers and what is quoted.
fn cause(reason: &str) -> String {
    let (mut cause, mut quoted) = (String::new(), false);
    for c in reason.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                cause.push_str(if quoted { "\"…" } else { "\"" });
            }
            _ if quoted => {}
            c if c.is_ascii_digit() && cause.ends_with('#') => {}
            c if c.is_ascii_digit() => cause.push('#'),
            c => cause.push(c),
        }
        if cause.len() > LONGEST {
            cause.push('…');
            break;
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_what_problems_have_in_common() {
        assert_eq!(
            cause("cut off after 4711 bytes of \"a b.png\" or 3"),
            "cut off after # bytes of \"…\" or #"
        );
        assert_eq!(cause("no image \"x.png\" here"), "no image \"…\" here");
        assert!(cause(&"x".repeat(500)).len() < 120);
        let mut causes = Causes::default();
        for n in 0..5 {
            causes.add(if n < 2 { "open" } else { "decode" }, &format!("cut off after {n} bytes"));
        }
        let said = || "cut off after # bytes".to_owned();
        assert_eq!(causes.table(), [("decode", said(), 3), ("open", said(), 2)]);
    }

    #[test]
    fn memory_is_bounded_whatever_strangers_write() {
        let letters =
            |i: usize| (0..5).map(|k| char::from(b'a' + (i / 26usize.pow(k) % 26) as u8)).collect::<String>();
        let mut causes = Causes::default();
        (0..MOST + 500).for_each(|i| causes.add((), &letters(i)));
        assert_eq!(causes.counts.len(), MOST + 1);
        assert_eq!(causes.table()[0], ((), "other causes".into(), 500));
    }
}
