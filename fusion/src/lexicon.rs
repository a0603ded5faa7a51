//! The words that a writer knows, each as its tokens: what it writes is made of these and of no other, so that it invents none.

use crate::generate::Rule;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use tch::{Kind, Tensor};

/// A text's possible continuations: one for each word that may go on, and the beginning of another.
#[derive(Debug, Default)]
struct Node {
    next: BTreeMap<i64, usize>,
    /// A word ends here.
    word: bool,
}

/// Words as a tree of tokens.
#[derive(Debug)]
pub(crate) struct Lexicon {
    nodes: Vec<Node>,
    /// Behind a whole word a text may end.
    end: Vec<i64>,
    /// All tokens of words, and those that end a text, ascending.
    tokens: Vec<i64>,
}

impl Lexicon {
    /// `None` of no words: any token may follow any other.
    pub(crate) fn new(words: &[Vec<i64>], end: &[i64]) -> Option<Self> {
        let mut nodes = vec![Node { word: true, ..Node::default() }];
        for word in words.iter().filter(|word| !word.is_empty()) {
            let mut at = 0;
            for token in word {
                let fresh = nodes.len();
                let next = match nodes.get_mut(at) {
                    Some(node) => *node.next.entry(*token).or_insert(fresh),
                    None => fresh,
                };
                if next == fresh {
                    nodes.push(Node::default());
                }
                at = next;
            }
            if let Some(node) = nodes.get_mut(at) {
                node.word = true;
            }
        }
        let tokens: BTreeSet<i64> = words.iter().flatten().chain(end).copied().collect();
        (nodes.len() > 1).then(|| Self { nodes, end: end.to_vec(), tokens: tokens.into_iter().collect() })
    }

    /// How many tokens are ever written.
    pub(crate) fn width(&self) -> usize {
        self.tokens.len()
    }

    /// Where a text may be in the tree behind `ids`: within words, and at 0 where one is whole. A word that is not known, as of a prompt, is
    /// taken as it is.
    fn places(&self, ids: &[i64]) -> BTreeSet<usize> {
        let mut at = BTreeSet::from([0]);
        for id in ids {
            let next = at.iter().filter_map(|place| self.nodes.get(*place)?.next.get(id).copied());
            let mut next: BTreeSet<usize> = next.collect();
            if next.is_empty() || next.iter().any(|place| self.nodes.get(*place).is_some_and(|n| n.word)) {
                next.insert(0);
            }
            at = next;
        }
        at
    }

    /// The tokens `[K]` that are ever written, and the place of each of `vocabulary` tokens among them `[V]`, `none` of the others.
    pub(crate) fn columns(&self, vocabulary: i64, none: i64, like: &Tensor) -> Result<(Tensor, Tensor)> {
        let columns = Tensor::f_from_slice(&self.tokens)?;
        let mut places = vec![none; usize::try_from(vocabulary).unwrap_or(0)];
        for (column, token) in (0..).zip(&self.tokens) {
            let place = usize::try_from(*token).ok().and_then(|at| places.get_mut(at));
            *place.ok_or_else(|| Error::Config(format!("words: no token {token}")))? = column;
        }
        let to = |t: Tensor| t.f_to_device(like.device());
        Ok((to(columns)?, to(Tensor::f_from_slice(&places)?.f_to_kind(Kind::Int64)?)?))
    }
}

impl Rule for Lexicon {
    fn apply(&self, ids: &[i64], scores: &mut [f32]) {
        let places = self.places(ids);
        let go_on =
            places.iter().filter_map(|place| self.nodes.get(*place)).flat_map(|node| node.next.keys());
        let end = self.end.iter().filter(|_| places.contains(&0));
        let mut keep = vec![f32::NEG_INFINITY; scores.len()];
        for at in go_on.chain(end).filter_map(|id| usize::try_from(*id).ok()) {
            if let (Some(to), Some(score)) = (keep.get_mut(at), scores.get(at)) {
                *to = *score;
            }
        }
        scores.copy_from_slice(&keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_are_written() {
        // 9 ends a text; words: 1, 1 2, 3 4, 5.
        let lexicon = Lexicon::new(&[vec![1], vec![1, 2], vec![3, 4], vec![5]], &[9]).unwrap();
        let allowed = |ids: &[i64]| {
            let mut scores = vec![0.5f32; 10];
            lexicon.apply(ids, &mut scores);
            (0..10).filter(|i| scores[*i as usize] == 0.5).collect::<Vec<i64>>()
        };
        // The token before all is no word's, and is passed over.
        assert_eq!(allowed(&[0]), [1, 3, 5, 9]);
        assert_eq!(allowed(&[0, 1]), [1, 2, 3, 5, 9]);
        assert_eq!(allowed(&[0, 3]), [4]);
        assert_eq!(allowed(&[0, 3, 4]), [1, 3, 5, 9]);
        // A prompt's word that nobody knows.
        assert_eq!(allowed(&[0, 5, 7]), [1, 3, 5, 9]);
        assert!(Lexicon::new(&[Vec::new()], &[9]).is_none());
        let (columns, places) = lexicon.columns(10, -100, &Tensor::from(0.0)).unwrap();
        assert_eq!(Vec::<i64>::try_from(columns).unwrap(), [1, 2, 3, 4, 5, 9]);
        assert_eq!(Vec::<i64>::try_from(places).unwrap(), [-100, 0, 1, 2, 3, 4, -100, -100, -100, 5]);
        assert!(lexicon.columns(9, -100, &Tensor::from(0.0)).is_err());
    }
}
