//! The text half of the contract: cleaning, a `tokenizer.json`, and what is put around and behind.

mod bare;
mod charsmap;
mod clean;
mod files;
mod guard;
mod lengths;
mod mojibake;
mod patterns;
mod pieces;
mod rules;
mod sentencepiece;
mod settings;
mod simple;
mod steps;
mod text;
mod vocabulary;

pub use clean::Cleaning;
pub use files::{from_sentencepiece as read_sentencepiece, read as read_tokenizer};
pub use rules::TextRules;
pub use text::of_bytes as tokenizer_of;
pub use text::{Pair, TextProcessor};
pub use vocabulary::{Vocabulary, train_tokenizer};
