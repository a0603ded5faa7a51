//! Strings → token ids, through a `tokenizer.json` of the `tokenizers` crate.

mod pair;

pub use pair::Pair;

use super::bare::{Bare, SPECIAL};
use super::clean::Cleaning;
use super::rules::TextRules;
use super::{files, lengths, simple};
use crate::prompts::{Prompt, Prompts};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;
use tokenizers::Tokenizer;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};

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
    /// It is OpenCLIP's own, whose special tokens a text may spell out.
    simple: bool,
    prompts: Prompts,
    /// What is put before every text.
    prompt: Prompt,
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
            simple: false,
            prompts: Prompts::default(),
            prompt: Prompt::default(),
        })
    }

    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// Not there, not a tokenizer, or too large a vocabulary.
    pub fn load(path: &Path, context_length: usize, vocab_size: i64) -> Result<Self> {
        let tokenizer = files::read_json(path)?;
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
        let Some(tokenizer) = files::read(dir, family)? else { return Ok(None) };
        let made = Self::new(tokenizer, context_length, vocab_size);
        let made = made.map_err(|e| Error::format(dir, format!("tokenizer and weights do not fit: {e}")))?;
        Ok(Some(made.with_rules(rules)))
    }

    /// Tokens of OpenCLIP's own tokenizer.
    pub const CLIP_TOKENS: i64 = 49408;

    /// OpenCLIP's own tokenizer, with the vocabulary that the library carries.
    ///
    /// # Errors
    /// The vocabulary is larger than the embedding of `vocab_size` rows.
    pub fn open_clip(context_length: usize, vocab_size: i64, rules: TextRules) -> Result<Self> {
        let made = Self::new(simple::tokenizer()?, context_length, vocab_size)?;
        Ok(Self { simple: true, ..made.with_rules(rules) })
    }

    /// The same processor with other rules.
    pub fn with_rules(self, rules: TextRules) -> Self {
        let bare = match rules.clean {
            Cleaning::Siglip => Bare::new(&self.tokenizer),
            _ => None,
        };
        Self { rules, bare, ..self }
    }

    /// The same processor with the prompts that its model was trained with; the default's is put before every text.
    pub fn with_prompts(self, prompts: Prompts) -> Self {
        Self { prompt: prompts.of(None), prompts, ..self }
    }

    /// The same processor with this before every text.
    pub fn with_prompt(self, prompt: Prompt) -> Self {
        Self { prompt, ..self }
    }

    /// The same processor with texts of at most so many tokens.
    pub fn at_most(self, tokens: usize) -> Self {
        Self { context_length: self.context_length.min(tokens).max(1), ..self }
    }

    /// The same processor for a tower that takes texts of so many tokens.
    pub fn with_context_length(self, tokens: usize) -> Self {
        Self { context_length: tokens.max(1), ..self }
    }

    /// The same processor with texts in lower case before the tokenizer's own steps, but for the special tokens that they spell out.
    pub fn lower_cased(mut self) -> Self {
        let has = |n: &NormalizerWrapper| matches!(n, NormalizerWrapper::Lowercase(_));
        let own = match self.tokenizer.get_normalizer() {
            Some(own) if has(own) => return self,
            Some(NormalizerWrapper::Sequence(all)) if all.as_ref().iter().any(has) => return self,
            own => own.cloned(),
        };
        let all = std::iter::once(NormalizerWrapper::Lowercase(Lowercase)).chain(own).collect();
        self.tokenizer.with_normalizer(Some(NormalizerWrapper::Sequence(Sequence::new(all))));
        self
    }

    /// The prompts that the model was trained with.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// What is put before every text.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// Tokens of the prompt before a text: those of the prompt alone without a special one at its end.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); a prompt that leaves no room for a text.
    pub fn prompt_tokens(&self) -> Result<usize> {
        if self.prompt.text.is_empty() {
            return Ok(0);
        }
        let ids = self.ids(&self.prompt.text)?;
        let last = ids.last().and_then(|id| self.tokenizer.id_to_token(u32::try_from(*id).ok()?));
        let closes = last.is_some_and(|token| self.tokenizer.get_added_vocabulary().is_special_token(&token));
        let tokens = ids.len() - usize::from(closes);
        if ids.len() >= self.context_length {
            return Err(Error::Input(format!(
                "a prompt of {tokens} tokens, the context length is {}: it leaves no room for a text",
                self.context_length
            )));
        }
        Ok(tokens)
    }

    /// Ids that are no words: the tokenizer's special tokens, and what it puts around every text.
    pub fn special_ids(&self) -> BTreeSet<i64> {
        let added = self.tokenizer.get_added_tokens_decoder().into_iter();
        let special = added.filter(|(_, token)| token.special).map(|(id, _)| i64::from(id));
        special.chain(self.ids("").unwrap_or_default()).collect()
    }

    /// The id that stands for a hidden word; `None`: the tokenizer has none.
    pub fn mask_id(&self) -> Option<i64> {
        ["[MASK]", "<mask>"].iter().find_map(|token| self.tokenizer.token_to_id(token)).map(i64::from)
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
        self.tokenizer.to_string(true).map_err(Error::tokenizer)
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
        let mut ids = self.cut(self.all_ids(text)?);
        if let Some(stripped) = self.rules.stripped {
            ids.iter_mut().filter(|id| **id == stripped).for_each(|id| *id = 0);
        }
        Ok(ids)
    }

    /// The tokens of each word of a text, as its tokenizer cuts it into words; special tokens are none of theirs.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn words(&self, text: &str) -> Result<Vec<Vec<i64>>> {
        self.short(text)?;
        let encoding = match &self.bare {
            Some(bare) => bare.first.encode_fast(bare.map.normalize(&self.rules.clean.apply(text)), false),
            None => self.tokenizer.encode_fast(self.rules.clean.apply(text), false),
        };
        let encoding = encoding.map_err(Error::tokenizer)?;
        let mut words: Vec<(Option<u32>, Vec<i64>)> = Vec::new();
        for (id, word) in encoding.get_ids().iter().zip(encoding.get_word_ids()) {
            match words.last_mut() {
                Some((last, ids)) if last == word => ids.push(i64::from(*id)),
                _ => words.push((*word, vec![i64::from(*id)])),
            }
        }
        Ok(words.into_iter().map(|(_, ids)| ids).collect())
    }

    fn all_ids(&self, text: &str) -> Result<Vec<i64>> {
        match self.prompt.text.as_str() {
            "" => self.ids(text),
            prompt => self.ids(&[prompt, text].concat()),
        }
    }

    /// Ids of words as they are given.
    fn ids(&self, text: &str) -> Result<Vec<i64>> {
        self.short(text)?;
        if self.simple
            && let Some(ids) = simple::with_special(&self.tokenizer, &self.rules.clean.apply(text))?
        {
            return Ok(ids);
        }
        let encoding = match (&self.bare, self.rules.clean) {
            (Some(bare), _) if SPECIAL.iter().any(|s| text.contains(s)) => {
                return bare.with_special(text);
            }
            (Some(bare), clean) => bare.first.encode_fast(bare.map.normalize(&clean.apply(text)), true),
            (_, Cleaning::None | Cleaning::Siglip) => {
                self.tokenizer.encode_fast(text, !self.rules.no_special)
            }
            (_, clean) => self.tokenizer.encode_fast(clean.apply(text), !self.rules.no_special),
        };
        let encoding = encoding.map_err(Error::tokenizer)?;
        self.checked(encoding.get_ids())
    }

    /// Refuses a text that would take too long.
    fn short(&self, text: &str) -> Result<()> {
        if text.len() > self.longest {
            let (found, most) = (text.len(), self.longest);
            return Err(Error::Input(format!("a text of {found} bytes, at most {most} are taken; split it")));
        }
        Ok(())
    }

    /// Ids that a tower can look up and tells from its padding.
    fn checked(&self, ids: &[u32]) -> Result<Vec<i64>> {
        let ids: Vec<i64> = ids.iter().map(|i| i64::from(*i)).collect();
        if ids.is_empty() {
            return Err(Error::Input("a text without tokens, and a tokenizer that adds none".into()));
        }
        if let Some(padding) = self.rules.padding.filter(|pad| ids.contains(pad)) {
            let token = u32::try_from(padding).ok().and_then(|id| self.tokenizer.id_to_token(id));
            let token = token.unwrap_or_else(|| padding.to_string());
            return Err(Error::Input(format!(
                "a text with {token} in it, which the model takes for padding; leave it out"
            )));
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

    /// At most the context length, the last id kept where one closes every text.
    fn cut(&self, mut ids: Vec<i64>) -> Vec<i64> {
        if ids.len() > self.context_length {
            let last = ids[ids.len() - 1];
            ids.truncate(self.context_length);
            if !self.rules.no_special {
                ids[self.context_length - 1] = last;
            }
        }
        ids
    }
}

/// The processor of a `tokenizer.json` with these `bytes`, 64 tokens of a million.
pub fn of_bytes(path: &Path, bytes: &[u8]) -> Result<TextProcessor> {
    TextProcessor::new(files::parse_json(path, bytes)?, 64, 1 << 20)
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::{Vocabulary, train_tokenizer};
    use super::*;

    const TEXTS: [&str; 5] = ["a red bus", "a red rose", "ein roter Bus", "красный автобус", "赤いバス"];

    fn processor(context: usize) -> TextProcessor {
        let tokenizer = train_tokenizer(TEXTS.iter().cycle().take(50), 300, Vocabulary::Bpe).unwrap();
        TextProcessor::new(tokenizer, context, 300).unwrap()
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
    fn special_tokens_are_told_from_words() {
        let p = processor(8);
        assert_eq!(p.special_ids(), BTreeSet::from([0, 1]));
        assert_eq!(p.mask_id(), None);
        let clip = TextProcessor::open_clip(77, TextProcessor::CLIP_TOKENS, TextRules::default()).unwrap();
        assert_eq!(clip.special_ids(), BTreeSet::from([49406, 49407]));
        let mut masked = p.tokenizer().clone();
        masked.add_special_tokens(&[tokenizers::AddedToken::from("[MASK]", true)]);
        let masked = TextProcessor::new(masked, 8, 400).unwrap();
        assert!(masked.mask_id().is_some_and(|id| masked.special_ids().contains(&id)));
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
