//! Tokenizers trained on texts of any language.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder, Vocab};
use tokenizers::normalizers::{Lowercase, NFKC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::tokenizer::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Trainer,
};
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer, TokenizerBuilder};

/// The pad token, id 0; the end token, id 1, closes every text so that even an empty one has a token.
const PAD: &str = "<|pad|>";
const END: &str = "<|end|>";

/// How texts are cut into tokens; either way over bytes, so that no language has an unknown token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vocabulary {
    /// Byte-pair encoding (Sennrich et al. 2016): frequent words whole, others in frequent pieces.
    #[default]
    Bpe,
    /// Frequent words whole, everything else byte by byte, with nothing between: what is spelled out keeps its letters, which
    /// speech is matched with, and what is a word stays one, which images are matched with.
    Words,
}

/// Trains a tokenizer on `texts`: any language, no unknown token. NFKC and lower case first; every text ends with the end
/// token. The same texts give the same tokenizer.
///
/// # Errors
/// `vocab_size` below the 256 bytes and 2 special tokens, or the trainer's own.
pub fn train_tokenizer<S: AsRef<str> + Send>(
    texts: impl Iterator<Item = S> + Send,
    vocab_size: usize,
    vocabulary: Vocabulary,
) -> Result<Tokenizer> {
    if vocab_size < 258 {
        return Err(Error::config(
            "text.vocab_size",
            format!(
                "byte-level tokens need a vocabulary of at least 258 (256 bytes, 2 special), found {vocab_size}"
            ),
        ));
    }
    let special = [PAD, END].map(|s| AddedToken::from(s, true));
    let normalizer =
        Sequence::new(vec![NormalizerWrapper::NFKC(NFKC), NormalizerWrapper::Lowercase(Lowercase)]);
    let bytes = ByteLevel::new(true, false, true);
    let model = match vocabulary {
        Vocabulary::Bpe => byte_pairs(texts, vocab_size, &special, &normalizer, &bytes)?,
        Vocabulary::Words => whole_words(texts, vocab_size, &normalizer, &bytes)?,
    };
    let builder = TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(Some(normalizer))
        .with_pre_tokenizer(Some(bytes))
        .with_post_processor(Some(
            TemplateProcessing::builder()
                .try_single(format!("$A {END}"))
                .map_err(Error::tokenizer)?
                .special_tokens(vec![(END, 1)])
                .build()
                .map_err(Error::tokenizer)?,
        ))
        .with_decoder(Some(ByteLevel::default()));
    let mut tokenizer = builder.build().map_err(Error::tokenizer)?;
    tokenizer.add_special_tokens(&special);
    Ok(tokenizer.into())
}

/// The pieces that byte-pair encoding merges first, `vocab_size` tokens with the special ones and the bytes.
fn byte_pairs<S: AsRef<str> + Send>(
    texts: impl Iterator<Item = S> + Send,
    vocab_size: usize,
    special: &[AddedToken],
    normalizer: &Sequence,
    bytes: &ByteLevel,
) -> Result<BPE> {
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .show_progress(false)
        .special_tokens(special.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut model = BPE::default();
    trainer.feed(texts, |text| pieces(text, normalizer, bytes)).map_err(Error::tokenizer)?;
    trainer.train(&mut model).map_err(Error::tokenizer)?;
    Ok(model)
}

/// The words that occur at least twice, the most frequent first (equals by their spelling), after the bytes: a word that is
/// known is one token, since merges are skipped for it, and an unknown one its bytes, since there are no merges.
fn whole_words<S: AsRef<str>>(
    texts: impl Iterator<Item = S>,
    vocab_size: usize,
    normalizer: &Sequence,
    bytes: &ByteLevel,
) -> Result<BPE> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for text in texts {
        for piece in pieces(text.as_ref(), normalizer, bytes).map_err(Error::tokenizer)? {
            *counts.entry(piece).or_default() += 1;
        }
    }
    let mut alphabet: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
    alphabet.sort();
    let mut words: Vec<(String, usize)> =
        counts.into_iter().filter(|(word, n)| *n >= 2 && word.chars().count() > 1).collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let tokens =
        [PAD, END].map(String::from).into_iter().chain(alphabet).chain(words.into_iter().map(|w| w.0));
    let vocab: Vocab = tokens.take(vocab_size).zip(0u32..).collect();
    BPE::builder().vocab_and_merges(vocab, Vec::new()).ignore_merges(true).build().map_err(Error::tokenizer)
}

/// A text's words as the byte-level pre-tokenizer cuts and writes them.
fn pieces(
    text: &str,
    normalizer: &Sequence,
    bytes: &ByteLevel,
) -> std::result::Result<Vec<String>, tokenizers::Error> {
    let mut normalized = NormalizedString::from(text);
    normalizer.normalize(&mut normalized)?;
    let mut cut = PreTokenizedString::from(normalized);
    bytes.pre_tokenize(&mut cut)?;
    let splits = cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(splits.into_iter().map(|(piece, _, _)| piece.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextProcessor;

    fn trained() -> Tokenizer {
        let texts = ["a red bus", "a red rose", "ein roter Bus", "красный автобус", "赤いバス"];
        train_tokenizer(texts.iter().cycle().take(50), 300, Vocabulary::Bpe).unwrap()
    }

    #[test]
    fn known_words_are_one_token_and_others_their_bytes() {
        let tokenizer = train_tokenizer(["A red bus", "a red rose"].iter(), 300, Vocabulary::Words).unwrap();
        let p = TextProcessor::new(tokenizer, 64, 300).unwrap();
        // "a" is a single byte after its space, which makes two: a word like any other.
        assert_eq!(p.encode("A RED red").unwrap().len(), 3 + 1);
        // Once only: spelled, the space first.
        assert_eq!(p.encode("bus").unwrap().len(), 4 + 1);
        assert_eq!(p.encode("автобус").unwrap().len(), 1 + 14 + 1);
        assert_eq!(p.encode("").unwrap(), [1]);
        let again =
            TextProcessor::new(Tokenizer::from_bytes(p.to_json().unwrap().as_bytes()).unwrap(), 64, 300);
        assert_eq!(again.unwrap().encode("a red автобус").unwrap(), p.encode("a red автобус").unwrap());
    }

    #[test]
    fn training_is_deterministic() {
        let a = trained().to_string(false).unwrap();
        for _ in 0..3 {
            assert_eq!(trained().to_string(false).unwrap(), a);
        }
    }
}
