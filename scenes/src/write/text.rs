//! Strangers' text, made harmless for the files of others: names, captions and transcripts may hold anything.

use std::borrow::Cow;
use std::path::Path;

/// Shows what would act unseen: control characters but line feed and tab, and those that turn the direction of what follows, become
/// `\u{fffd}`. Joiners and direction marks stay: Persian, Indic scripts and emoji need them and they reach no further than their word.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) {
        text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

fn acts(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{206a}'..='\u{206f}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The same in one line, at most `most` characters: an ellipsis stands for the rest.
pub(crate) fn line(text: &str, most: usize) -> String {
    let cleaned = clean(text.trim());
    let mut out: String =
        cleaned.chars().take(most).map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect();
    if cleaned.chars().nth(most).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// Letters, digits, `-` and `_` of ASCII, anything else `_`; at most `most`, at least one.
pub(crate) fn safe(name: &str, most: usize) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let out: String = name.chars().map(keep).take(most).collect();
    let out = out.trim_start_matches(['-', '_']).trim_end_matches('_');
    if out.is_empty() { "video".chars().take(most.max(1)).collect() } else { out.to_owned() }
}

/// A file's address: `file:///…`, every byte but the plainest written as `%XX`.
pub(crate) fn url(path: &Path) -> String {
    let mut out = String::from("file://");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
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

    #[test]
    fn names_are_safe_and_never_empty() {
        assert_eq!(safe("../etc/pass wd", 40), "etc_pass_wd");
        assert_eq!(safe("--help", 8), "help");
        assert_eq!(safe("映画", 8), "video");
        assert_eq!(safe(&"x".repeat(1000), 8), "xxxxxxxx");
        assert_eq!(url(Path::new("/a b/100%\"é.mp4")), "file:///a%20b/100%25%22%C3%A9.mp4");
    }
}
