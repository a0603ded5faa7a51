//! Strings → token ids, through a `tokenizer.json` of the `tokenizers` crate.

use super::charsmap::Charsmap;
use super::clean::Cleaning;
use super::lengths;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder, Vocab};
use tokenizers::normalizers::{Lowercase, NFKC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::tokenizer::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Trainer,
};
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer, TokenizerBuilder};

/// The pad token, id 0; the end token, id 1, closes every text so that even an empty one has a token.
const PAD: &str = "<|pad|>";
const END: &str = "<|end|>";

/// The text half of the contract.
#[derive(Debug, Clone)]
pub struct TextProcessor {
    tokenizer: Tokenizer,
    context_length: usize,
    /// Rows of the embedding.
    rows: i64,
    /// Bytes of the longest text.
    longest: usize,
    rules: TextRules,
    /// For [`Cleaning::Siglip`].
    bare: Option<Box<Bare>>,
}

/// SigLIP's tokens that a text may spell out; white space around them is dropped.
const SPECIAL: [&str; 2] = ["</s>", "<unk>"];

/// SigLIP's tokenizer without its normaliser, which comes after the cleaning of each part between special tokens.
#[derive(Debug, Clone)]
struct Bare {
    /// For a text's beginning, which begins a word.
    first: Tokenizer,
    /// For what follows a special token, which does not.
    later: Tokenizer,
    map: Charsmap,
}

impl Bare {
    fn new(tokenizer: &Tokenizer) -> Option<Box<Self>> {
        let map = charsmap(tokenizer)?;
        let mut first = tokenizer.clone();
        first.with_normalizer(None::<NormalizerWrapper>);
        let mut later = first.clone();
        later.with_pre_tokenizer(Some(Metaspace::new('\u{2581}', PrependScheme::Never, true)));
        Some(Box::new(Self { first, later, map }))
    }

    /// Ids of a text that spells out special tokens; it is not ended twice.
    fn with_special(&self, text: &str) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        let mut rest = text;
        let mut tokenizer = &self.first;
        loop {
            let next = SPECIAL.iter().filter_map(|s| Some((rest.find(s)?, *s))).min();
            let part = Cleaning::Siglip.apply(next.map_or(rest, |(at, _)| &rest[..at]));
            if !part.is_empty() {
                let encoding = tokenizer.encode_fast(self.map.normalize(&part), false).map_err(wrong)?;
                ids.extend(encoding.get_ids().iter().map(|i| i64::from(*i)));
            }
            let Some((at, special)) = next else { break };
            ids.extend(self.first.token_to_id(special).map(i64::from));
            rest = &rest[at + special.len()..];
            tokenizer = &self.later;
        }
        let end = self.first.token_to_id(SPECIAL[0]).map(i64::from);
        if ids.last().copied() != end || ids.is_empty() {
            ids.extend(end);
        }
        Ok(ids)
    }
}

/// What happens to a text besides its tokenizer; a part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRules {
    /// Before the tokenizer.
    #[serde(default)]
    pub clean: Cleaning,
    /// Every text is padded to the context length with this id, and the padding is attended to like any token (SigLIP). Without
    /// it texts are padded to the longest of their batch, and the padding is masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_pad: Option<i64>,
}

impl TextRules {
    /// Refuses an id that the embedding of `vocab_size` rows has not; `at`: the key of this table.
    ///
    /// # Errors
    /// The id, with its key.
    pub fn validate(&self, at: &str, vocab_size: i64) -> Result<()> {
        match self.fixed_pad {
            Some(pad) if !(0..vocab_size).contains(&pad) => Err(Error::config(
                format!("{at}.fixed_pad"),
                format!("expected 0 to {}, found {pad}", vocab_size - 1),
            )),
            _ => Ok(()),
        }
    }
}

/// Longer texts are refused: no context holds a thousandth of them, and they are a mistake (a file's content for its name).
pub(super) const MOST_BYTES: usize = 256 << 10;

fn wrong(e: tokenizers::Error) -> Error {
    Error::Tokenizer(e.to_string())
}

impl TextProcessor {
    /// A tokenizer with the model's context length, in tokens.
    ///
    /// # Errors
    /// The vocabulary is larger than the embedding of `vocab_size` rows, or texts grow too much in the tokenizer.
    pub fn new(tokenizer: Tokenizer, context_length: usize, vocab_size: i64) -> Result<Self> {
        let found = tokenizer.get_vocab_size(true) as i64;
        if found > vocab_size {
            return Err(Error::config(
                "text.vocab_size",
                format!("the tokenizer has {found} tokens, the embedding only {vocab_size} rows"),
            ));
        }
        let longest = lengths::longest(&tokenizer).map_err(|(key, message)| Error::config(key, message))?;
        let rules = TextRules::default();
        Ok(Self {
            tokenizer,
            context_length: context_length.max(1),
            rows: vocab_size,
            longest,
            rules,
            bare: None,
        })
    }

    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// Not there, not a tokenizer, or too large a vocabulary.
    pub fn load(path: &Path, context_length: usize, vocab_size: i64) -> Result<Self> {
        let tokenizer = super::tokenizer_files::read_json(path)?;
        Self::new(tokenizer, context_length, vocab_size)
    }

    /// The tokenizer of the checkpoint in `dir`, whatever its format; `None` where it has none.
    ///
    /// # Errors
    /// A file that is not what its name says, or a vocabulary larger than the embedding of `vocab_size` rows.
    pub fn from_checkpoint(
        dir: &Path,
        family: &str,
        context_length: usize,
        vocab_size: i64,
        rules: TextRules,
    ) -> Result<Option<Self>> {
        let Some(tokenizer) = super::tokenizer_files::read(dir, family)? else { return Ok(None) };
        let made = Self::new(tokenizer, context_length, vocab_size);
        let made = made.map_err(|e| Error::format(dir, format!("tokenizer and weights do not fit: {e}")))?;
        Ok(Some(made.with_rules(rules)))
    }

    /// The same processor with other rules.
    pub fn with_rules(self, rules: TextRules) -> Self {
        let bare = match rules.clean {
            Cleaning::Siglip => Bare::new(&self.tokenizer),
            _ => None,
        };
        Self { rules, bare, ..self }
    }

    /// What happens to a text besides its tokenizer.
    pub fn rules(&self) -> TextRules {
        self.rules
    }

    /// Tokens of the longest text that fits.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// The `tokenizer.json` text.
    ///
    /// # Errors
    /// The tokenizer cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        self.tokenizer.to_string(true).map_err(wrong)
    }

    /// The underlying tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Ids of one text, at most the context length; the last id of a text that was cut is still its last token (the end token).
    ///
    /// # Errors
    /// The tokenizer's own.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        Ok(self.cut(self.all_ids(text)?))
    }

    fn all_ids(&self, text: &str) -> Result<Vec<i64>> {
        if text.len() > self.longest {
            return Err(Error::Input(format!(
                "a text of {} bytes, at most {} are taken; split it",
                text.len(),
                self.longest
            )));
        }
        let encoding = match (&self.bare, self.rules.clean) {
            (Some(bare), _) if SPECIAL.iter().any(|s| text.contains(s)) => {
                return bare.with_special(text);
            }
            (Some(bare), clean) => bare.first.encode_fast(bare.map.normalize(&clean.apply(text)), true),
            (_, Cleaning::None | Cleaning::Siglip) => self.tokenizer.encode_fast(text, true),
            (_, clean) => self.tokenizer.encode_fast(clean.apply(text), true),
        };
        let encoding = encoding.map_err(wrong)?;
        let ids: Vec<i64> = encoding.get_ids().iter().map(|i| i64::from(*i)).collect();
        if ids.is_empty() {
            return Err(Error::Input("a text without tokens, and a tokenizer that adds none".into()));
        }
        // Its files may number tokens as they like; libtorch would look them up all the same.
        if let Some(id) = ids.iter().find(|id| **id >= self.rows) {
            let rows = self.rows;
            return Err(Error::Input(format!(
                "the tokenizer gives token {id}, the model's embedding has {rows} rows"
            )));
        }
        Ok(ids)
    }

    /// How many tokens a text has before it is cut.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn count(&self, text: &str) -> Result<usize> {
        Ok(self.all_ids(text)?.len())
    }

    /// At most the context length, the last id kept.
    fn cut(&self, mut ids: Vec<i64>) -> Vec<i64> {
        if ids.len() > self.context_length {
            let last = ids[ids.len() - 1];
            ids.truncate(self.context_length);
            ids[self.context_length - 1] = last;
        }
        ids
    }
}

/// The processor of a `tokenizer.json` with these `bytes`, 64 tokens of a million.
pub fn of_bytes(path: &Path, bytes: &[u8]) -> Result<TextProcessor> {
    TextProcessor::new(super::tokenizer_files::parse_json(path, bytes)?, 64, 1 << 20)
}

/// The normaliser of a tokenizer that was made from a SentencePiece model.
fn charsmap(tokenizer: &Tokenizer) -> Option<Charsmap> {
    use base64::Engine;
    fn find(value: &serde_json::Value) -> Option<&str> {
        if let Some(map) = value.get("precompiled_charsmap") {
            return map.as_str();
        }
        value.get("normalizers")?.as_array()?.iter().find_map(find)
    }
    let json = serde_json::to_value(tokenizer.get_normalizer()?).ok()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(find(&json)?).ok()?;
    Charsmap::new(&bytes).ok()
}

/// How texts are cut into tokens; either way over bytes, so that no language has an unknown token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vocabulary {
    /// Byte-pair encoding (Sennrich et al. 2016): frequent words whole, others in frequent pieces.
    #[default]
    Bpe,
    /// Frequent words whole, everything else byte by byte, with nothing between: what is spelled out keeps its letters, which
    /// speech is matched with, and what is a word stays one, which pictures are matched with.
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
                .map_err(|e| Error::Tokenizer(e.to_string()))?
                .special_tokens(vec![(END, 1)])
                .build()
                .map_err(|e| Error::Tokenizer(e.to_string()))?,
        ))
        .with_decoder(Some(ByteLevel::default()));
    let mut tokenizer = builder.build().map_err(wrong)?;
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
    trainer.feed(texts, |text| pieces(text, normalizer, bytes)).map_err(wrong)?;
    trainer.train(&mut model).map_err(wrong)?;
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
        for piece in pieces(text.as_ref(), normalizer, bytes).map_err(wrong)? {
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
    BPE::builder().vocab_and_merges(vocab, Vec::new()).ignore_merges(true).build().map_err(wrong)
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

    const TEXTS: [&str; 5] = ["a red bus", "a red rose", "ein roter Bus", "красный автобус", "赤いバス"];

    fn processor(context: usize) -> TextProcessor {
        let tokenizer = train_tokenizer(TEXTS.iter().cycle().take(50), 300, Vocabulary::Bpe).unwrap();
        TextProcessor::new(tokenizer, context, 300).unwrap()
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
        let a = processor(16).to_json().unwrap();
        for _ in 0..3 {
            assert_eq!(processor(16).to_json().unwrap(), a);
        }
    }

    #[test]
    fn any_string_has_ids_and_an_end() {
        let p = processor(8);
        for s in ["", " ", "A RED BUS", "\u{0}\u{7f}", "🚌🚌🚌", "a\u{301}", "شاحنة", &"x".repeat(100_000)]
        {
            let ids = p.encode(s).unwrap();
            assert!((1..=8).contains(&ids.len()) && *ids.last().unwrap() == 1, "{s:.20}: {ids:?}");
            assert!(ids.iter().all(|i| (1..300).contains(i)));
        }
        assert_eq!(p.encode("A Red Bus").unwrap(), p.encode("a red bus").unwrap());
        assert_ne!(p.encode("赤いバス").unwrap(), p.encode("赤い").unwrap());
    }

    #[test]
    fn round_trips_through_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        let p = processor(16);
        std::fs::write(&path, p.to_json().unwrap()).unwrap();
        let q = TextProcessor::load(&path, 16, 300).unwrap();
        for s in TEXTS {
            assert_eq!(p.encode(s).unwrap(), q.encode(s).unwrap());
        }
        assert!(TextProcessor::load(&path, 16, 100).unwrap_err().to_string().contains("only 100 rows"));
        std::fs::write(&path, "{").unwrap();
        assert!(TextProcessor::load(&path, 16, 300).is_err());
    }
}
