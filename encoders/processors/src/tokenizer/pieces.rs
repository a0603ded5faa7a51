//! The vocabulary of a stranger's Unigram model: the library finds its pieces in a tree with a hash table at each byte.

use super::steps::{Wrong, is};
use serde_json::Value;
use std::collections::BTreeSet;

/// Bytes of a Unigram model's piece, and places of the tree that they are found by (some 340 bytes of memory each).
const PIECE: (usize, usize) = (1024, 1 << 22);

/// Pieces are found in a tree of their bytes.
pub(super) fn unigram(pieces: &[Value]) -> Result<(), Wrong> {
    let sorted: BTreeSet<&str> = pieces.iter().filter_map(|p| p.get(0)?.as_str()).collect();
    let (mut before, mut places) = ("", 0);
    for piece in sorted {
        if piece.len() > PIECE.0 {
            return is(
                "model.vocab",
                format!("a piece of {} bytes, expected at most {}", piece.len(), PIECE.0),
            );
        }
        let shared = before.bytes().zip(piece.bytes()).take_while(|(a, b)| a == b).count();
        places += piece.len() - shared;
        before = piece;
    }
    if places > PIECE.1 {
        return is(
            "model.vocab",
            format!("pieces with {places} different beginnings, expected at most {}", PIECE.1),
        );
    }
    Ok(())
}
