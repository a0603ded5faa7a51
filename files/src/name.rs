//! File names made from ids and other strings that nobody chose to be file names.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Longest name that is made, in bytes: every file system takes it, with an ending and a temporary name's letters added.
const LONGEST: usize = 200;

/// One component of a path that stands for `text` and no other: no separators, no control characters, never hidden, never `..`, never longer than 200
/// bytes. What cannot stand in a name is written `%2F`; a long text is cut and ends in a sum over all of it.
pub fn safe_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    let bytes = text.as_bytes();
    let device = is_device(text);
    for (i, (at, c)) in text.char_indices().enumerate() {
        // A percent sign that could be read as ours is written as ours.
        let escape =
            c == '%' && bytes.get(at + 1..at + 3).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit));
        let edge = (i == 0 && (matches!(c, '.' | ' ') || device)) || (i == last && matches!(c, '.' | ' '));
        if escape || edge || forbidden(c) {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    if name.is_empty() {
        // No text is written so: a lone percent sign before these letters would be `%25`.
        name.push_str("%00empty");
    }
    if name.len() > LONGEST {
        let sum = short_sum(text.as_bytes());
        let mut end = LONGEST - sum.len() - 1;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name = format!("{name}~{sum}");
    }
    name
}

/// Twenty letters that tell texts apart: the first 80 bits of SHA-256.
pub fn short_sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(10).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What some system forbids in names, or what makes a name read as another one: controls, separators, wildcards, marks of writing direction.
fn forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `CON`, `nul.txt`, `COM1`: devices to Windows, whatever their ending.
fn is_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.as_bytes()[3].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_readable() {
        for (text, name) in [
            ("talk 3.mp3", "talk 3.mp3"),
            ("Žofie – 50% off.wav", "Žofie – 50% off.wav"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            (".hidden", "%2Ehidden"),
            ("a\0b\n", "a%00b%0A"),
            ("100%25", "100%2525"),
            ("nul.wav", "%6Eul.wav"),
            ("com1", "%63om1"),
            ("common.wav", "common.wav"),
            ("ends. ", "ends.%20"),
            ("C:\\x", "C%3A%5Cx"),
            ("", "%00empty"),
        ] {
            assert_eq!(safe_name(text), name, "{text:?}");
        }
        let (a, b) = ("é".repeat(300), "é".repeat(301));
        let (a, b) = (safe_name(&a), safe_name(&b));
        assert!(a.len() <= LONGEST && a.starts_with("éé") && a != b, "{a}");
    }

    proptest! {
        #[test]
        fn no_text_is_dangerous_and_no_two_share_a_name(a in "(?s).{0,120}", b in "(?s)[a%0-9F/.]{0,4}", c in "(?s)[a%0-9F/.]{0,4}") {
            let name = safe_name(&a);
            prop_assert!(!name.is_empty() && name.len() <= LONGEST && !name.starts_with('.'));
            prop_assert!(!name.contains(['/', '\0', '\\']) && !name.chars().any(char::is_control));
            prop_assert_eq!(safe_name(&b) == safe_name(&c), b == c);
        }
    }
}
