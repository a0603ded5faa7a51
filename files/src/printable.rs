//! Words from strangers' files on a terminal: names of tensors, keys, tokens may hold what a terminal obeys.

use std::fmt::{self, Display, Write};

/// Longest text that is shown whole, in characters.
const LONGEST: usize = 2_000;

/// Shows `text` so that it is one line and no terminal obeys it: control characters (line feeds and escape sequences among them) and those
/// that turn the direction of writing or cannot be seen are written as `\u{1b}`, and what is very long is cut.
///
/// Everything that came out of a file goes through this before it is in a message; every crate's error does it once, for the whole line.
pub fn printable<T: Display>(text: T) -> Printable<T> {
    Printable(text)
}

/// See [`printable`].
#[derive(Debug, Clone, Copy)]
pub struct Printable<T>(T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Escaping { out: f, left: LONGEST };
        // An error is that of the writer below, or says that it is full, which is no error.
        match write!(out, "{}", self.0) {
            Err(e) if out.left > 0 => Err(e),
            _ => Ok(()),
        }
    }
}

struct Escaping<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    left: usize,
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            if self.left == 0 {
                return Err(fmt::Error);
            }
            self.left -= 1;
            if self.left == 0 {
                return self.out.write_str("…").and(Err(fmt::Error));
            }
            if obeyed(c) { write!(self.out, "{}", c.escape_unicode())? } else { self.out.write_char(c)? }
        }
        Ok(())
    }
}

/// Control characters, marks of direction, line and paragraph separators, and characters without width.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_words_stay() {
        assert_eq!(
            printable("a\n\u{1b}[31mb\r\u{9b}2Jc\u{7}").to_string(),
            "a\\u{a}\\u{1b}[31mb\\u{d}\\u{9b}2Jc\\u{7}"
        );
        assert_eq!(
            printable("x\u{202e}gpj.exe\u{2066}\u{200b}\u{feff}").to_string(),
            "x\\u{202e}gpj.exe\\u{2066}\\u{200b}\\u{feff}"
        );
        for plain in ["", "text.blocks.7.weight: expected [3, 4]", "שלום, 写真 \"é\" ▁the 🚌"] {
            assert_eq!(printable(plain).to_string(), plain);
        }
    }

    #[test]
    fn what_is_very_long_is_cut() {
        let shown = printable("é".repeat(1 << 20)).to_string();
        assert_eq!(shown.chars().count(), LONGEST);
        assert!(shown.ends_with("é…"));
        let whole = "a".repeat(LONGEST - 1);
        assert_eq!(printable(&whole).to_string(), whole);
        assert_eq!(printable(format_args!("{}{}", "a\n", "b")).to_string(), "a\\u{a}b");
    }
}
