//! What OpenCLIP does to a text before its tokenizer sees it.

use super::mojibake::{Mojibake, without_escapes};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How a text is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleaning {
    /// Not at all: what is needed is the tokenizer's own.
    #[default]
    None,
    /// Lower case only, each character by itself (SigLIP 2).
    Lowercase,
    /// Fixed characters, HTML entities resolved, single spaces.
    Whitespace,
    /// And lower case.
    Lower,
    /// And no ASCII punctuation; underscores become spaces (SigLIP's prompts).
    Canonicalize,
    /// SigLIP's own: lower case, no ASCII punctuation, single spaces, then SentencePiece's normaliser, which is the tokenizer's. A text
    /// with special tokens in it is left to the tokenizer.
    Siglip,
}

impl Cleaning {
    /// The cleaned text.
    pub fn apply(self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Siglip => {
                let text = text.replace('\u{2581}', " ").to_lowercase();
                spaces(&text.chars().filter(|c| !c.is_ascii_punctuation()).collect::<String>())
            }
            // Not the text as a whole, in which a sigma at the end of a word has a form of its own.
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect(),
            Self::Whitespace => spaces(&basic(text)),
            Self::Lower => spaces(&basic(text)).to_lowercase(),
            Self::Canonicalize => {
                let text: String = basic(text)
                    .chars()
                    .map(|c| if c == '_' { ' ' } else { c })
                    .filter(|c| !c.is_ascii_punctuation())
                    .collect();
                spaces(&text.to_lowercase())
            }
        }
    }
}

/// Python's `" ".join(text.split())`, whose white space includes the four separators of ASCII.
fn spaces(text: &str) -> String {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.split(space).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `ftfy.fix_text` (wrongly decoded text, entities, ligatures, widths, quotes, line ends, control characters, composition), and HTML
/// entities.
fn basic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut entities = true;
    for line in text.split_inclusive('\n') {
        // ftfy resolves entities until it sees what may be a tag of real HTML.
        entities &= !line.contains('<');
        let mut line = line.to_owned();
        // What one repair uncovers may need another; each makes the text shorter or plainer, the bound is for what nobody foresaw.
        for _ in 0..16 {
            let better = repaired(&line, entities);
            if better == line {
                break;
            }
            line = better;
        }
        out.push_str(&line);
    }
    // OpenCLIP resolves them twice more, for every text.
    unescape(&unescape(&out))
}

/// One round of ftfy's repairs over one line.
fn repaired(line: &str, entities: bool) -> String {
    let line = if entities { unescape(line) } else { line.to_owned() };
    let line = Mojibake::get().map_or_else(|| line.as_str().into(), |m| m.repair(&line));
    let line: String = line.chars().flat_map(fixed).collect();
    let line = line.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}'], "\n");
    without_escapes(&line).chars().filter(|c| !control(*c)).nfc().collect()
}

fn unescape(text: &str) -> String {
    if text.contains('&') { html_escape::decode_html_entities(text).into_owned() } else { text.to_owned() }
}

/// Windows-1252 from 0x80; the five places that it leaves empty stay what they are.
const C1: [char; 32] = [
    '€', '\u{81}', '\'', 'ƒ', '"', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '\'', '\'', '"', '"', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Characters that ftfy writes another way.
fn fixed(c: char) -> impl Iterator<Item = char> {
    let ligature = match c {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        // Its apostrophe is straightened like any.
        'ŉ' => "'n",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        '‘' | '’' | '‚' | '‛' | 'ʼ' => "'",
        '“' | '”' | '„' | '‟' => "\"",
        _ => "",
    };
    if ('\u{80}'..='\u{9f}').contains(&c) {
        // Control characters of Latin-1 are Windows-1252's printable ones, wrongly decoded.
        return vec![C1[c as usize - 0x80]].into_iter();
    }
    let wide =
        (ligature.is_empty() && (c == '\u{3000}' || ('\u{ff01}'..='\u{ffef}').contains(&c))).then(|| {
            // Full-width letters and half-width kana: their compatibility forms.
            std::iter::once(c).nfkc().collect::<String>()
        });
    let out = match wide {
        Some(text) => text,
        None if ligature.is_empty() => c.to_string(),
        None => ligature.to_owned(),
    };
    out.chars().collect::<Vec<_>>().into_iter()
}

fn control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}
