//! What OpenCLIP does to a text before its tokenizer sees it.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How a text is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleaning {
    /// Not at all: what is needed is the tokenizer's own.
    #[default]
    None,
    /// Lower case only (SigLIP 2).
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
            Self::Lowercase => text.to_lowercase(),
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

/// The character-level part of `ftfy.fix_text` (ligatures, widths, quotes, line ends, control characters, composition), and HTML
/// entities. Its guessing of wrongly decoded text (mojibake) is left out: it needs a statistical model of encodings.
fn basic(text: &str) -> String {
    // ftfy resolves entities only where no tag suggests real HTML; OpenCLIP then does so twice for every text.
    let text = unescape(text);
    let text: String =
        text.chars().flat_map(fixed).collect::<String>().replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text
        .replace(['\u{2028}', '\u{2029}', '\u{85}'], "\n")
        .chars()
        .filter(|c| !control(*c))
        .nfc()
        .collect();
    unescape(&unescape(&text))
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
