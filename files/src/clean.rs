//! Strangers' words for people: names, captions and transcripts may hold anything.

use std::borrow::Cow;

/// Shows what would act unseen: control characters but line feed and tab, and those that turn the direction of what follows, become
/// `\u{fffd}`. Joiners and direction marks stay: Persian, Indic scripts and emoji need them and they reach no further than their word.
///
/// For what people read in a page or a table; messages on a terminal are stricter ([`crate::printable`]).
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) {
        text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

/// The same in one line, at most `most` characters: an ellipsis stands for the rest.
pub fn line(text: &str, most: usize) -> String {
    let cleaned = clean(text.trim());
    let mut out: String =
        cleaned.chars().take(most).map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect();
    if cleaned.chars().nth(most).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

fn acts(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{206a}'..='\u{206f}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown() {
        assert_eq!(
            clean("a\u{202e}gpj.exe\u{0}\r\n\tb\u{9b}31m"),
            "a\u{fffd}gpj.exe\u{fffd}\u{fffd}\n\tb\u{fffd}31m"
        );
        assert!(matches!(clean("می\u{200c}خواهم 👩\u{200d}🚀"), Cow::Borrowed(_)));
        assert_eq!(line(" a\nb\tc ", 9), "a b c");
        assert_eq!(line("abcdef", 4), "abc…");
    }
}
