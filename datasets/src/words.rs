//! When two captions are the same words.

use unicode_normalization::UnicodeNormalization;

/// A text in the form by which captions are compared: composed characters (NFC), lower case, each run of white space one blank, none at the
/// ends. Two captions of one form are the same words, in evaluation and in training. Punctuation counts.
pub fn folded(text: &str) -> String {
    let lower: String = text.nfc().collect::<String>().to_lowercase().nfc().collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_alike_is_the_same() {
        for same in ["Ein  Café", " ein cafe\u{301}\n", "EIN\u{a0}CAFÉ"] {
            assert_eq!(folded(same), "ein café");
        }
        assert_ne!(folded("A dog"), folded("A dog."));
        assert_eq!(folded(" \t"), "");
    }
}
