//! Which gallery items are right answers to which queries.

use std::collections::HashMap;
use unisono_datasets::words;

/// The mark of a caption in a language (empty: unknown): captions that are the same words ([`words::folded`]) have the same. A control
/// character keeps it apart from labels and ids.
pub fn words_mark(lang: &str, text: &str) -> String {
    format!("\u{1}{lang}\u{1}{}", words::folded(text))
}

/// The answers that count as right. A query and a gallery item belong together when they have a mark in common: a label, an id, the words of
/// a caption. That is no equivalence: two things that share one of their captions are both right for it, and neither for the other's
/// other captions.
#[derive(Debug, Clone, Default)]
pub struct Right {
    /// The marks of each query that any gallery item has, as numbers.
    queries: Vec<Vec<u32>>,
    /// The gallery items that have a mark, by its number, ascending.
    having: Vec<Vec<u32>>,
    gallery: usize,
    first: String,
}

impl Right {
    /// By one key for every query and every gallery item.
    pub fn by_key(queries: &[&str], gallery: &[&str]) -> Self {
        Self::new(queries.iter().map(std::slice::from_ref), gallery.iter().map(std::slice::from_ref))
    }

    /// By any number of marks for each of them.
    pub fn by_marks<S: AsRef<str>>(queries: &[&[S]], gallery: &[&[S]]) -> Self {
        Self::new(queries.iter().copied(), gallery.iter().copied())
    }

    fn new<'a, S: AsRef<str> + 'a>(
        queries: impl Iterator<Item = &'a [S]>,
        gallery: impl Iterator<Item = &'a [S]>,
    ) -> Self {
        let mut right = Self::default();
        let mut number: HashMap<&str, u32> = HashMap::new();
        for (item, marks) in gallery.enumerate() {
            for mark in marks {
                let at = *number.entry(mark.as_ref()).or_insert_with(|| {
                    right.having.push(Vec::new());
                    right.having.len() as u32 - 1
                });
                right.having[at as usize].push(item as u32);
            }
            right.gallery += 1;
        }
        for (query, marks) in queries.enumerate() {
            if query == 0 {
                right.first = marks.first().map(|m| m.as_ref().to_owned()).unwrap_or_default();
            }
            right.queries.push(marks.iter().filter_map(|m| number.get(m.as_ref()).copied()).collect());
        }
        right
    }

    /// Number of queries and of gallery items.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.queries.len(), self.gallery)
    }

    /// The first query's first mark, for messages.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// The right answers to `query`, some perhaps twice.
    pub(crate) fn answers(&self, query: usize) -> impl Iterator<Item = usize> + '_ {
        let marks = self.queries[query].iter();
        marks.flat_map(|m| self.having[*m as usize].iter().map(|item| *item as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_in_one_language_are_one_mark_and_no_label() {
        assert_eq!(words_mark("en", "A  cat"), words_mark("en", "a cat"));
        assert_ne!(words_mark("en", "gift"), words_mark("de", "gift"));
        assert_ne!(words_mark("", "cat"), "cat");
    }

    proptest! {
        #[test]
        fn answers_are_what_has_a_mark_in_common(
            queries in prop::collection::vec(prop::collection::vec("[a-f]", 0..4), 1..9),
            gallery in prop::collection::vec(prop::collection::vec("[a-f]", 0..4), 0..9),
        ) {
            let slices = |all: &'_ [Vec<String>]| -> Vec<Vec<String>> { all.to_vec() };
            let (q, g) = (slices(&queries), slices(&gallery));
            let right = Right::by_marks(
                &q.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                &g.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            );
            prop_assert_eq!(right.sizes(), (q.len(), g.len()));
            for (at, marks) in q.iter().enumerate() {
                let found: BTreeSet<usize> = right.answers(at).collect();
                let naive = (0..g.len()).filter(|i| g[*i].iter().any(|m| marks.contains(m)));
                prop_assert_eq!(found, naive.collect());
            }
        }
    }
}
