//! Rows and their fields, as RFC 4180 has them.

use std::borrow::Cow;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub delimiter: u8,
    /// A field may stand in quotes; else a quote is a character like any other.
    pub quotes: bool,
    /// Blanks before a field are no part of it.
    pub blanks: bool,
}

impl Dialect {
    pub const COMMAS: Self = Self { delimiter: b',', quotes: true, blanks: false };

    /// The length of the row that `bytes` begin with, with its line's end; `None` where it does not end in them.
    ///
    /// # Errors
    /// These are the last bytes, and a quote is still open.
    pub fn end(&self, bytes: &[u8], last: bool) -> Result<Option<usize>, String> {
        let (mut begins, mut quoted, mut at) = (true, false, 0);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' if quoted && bytes.get(at + 1) == Some(&b'"') => at += 1,
                b'"' if quoted => quoted = false,
                _ if quoted => {}
                b'\n' => return Ok(Some(at + 1)),
                b'"' if begins && self.quotes => (quoted, begins) = (true, false),
                byte => begins = *byte == self.delimiter || (begins && self.blanks && *byte == b' '),
            }
            at += 1;
        }
        match (last, quoted) {
            (true, true) => Err("a quoted field has no end".into()),
            (true, false) => Ok(Some(bytes.len())),
            (false, _) => Ok(None),
        }
    }

    /// The fields of one row.
    ///
    /// # Errors
    /// Something stands behind a field's last quote, or there is none.
    pub fn fields<'a>(&self, row: &'a str) -> Result<Vec<Cow<'a, str>>, String> {
        let row = row.strip_suffix('\n').unwrap_or(row);
        let mut rest = row.strip_suffix('\r').unwrap_or(row);
        let mut fields = Vec::new();
        loop {
            let begun = if self.blanks { rest.trim_start_matches(' ') } else { rest };
            let (field, after) = match begun.strip_prefix('"').filter(|_| self.quotes) {
                Some(quoted) => self.quoted(quoted)?,
                None => match begun.split_once(char::from(self.delimiter)) {
                    Some((field, after)) => (Cow::Borrowed(field), Some(after)),
                    None => (Cow::Borrowed(begun), None),
                },
            };
            fields.push(field);
            match after {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
        }
    }

    /// A field whose first quote is taken already, and what follows the delimiter after it.
    fn quoted<'a>(&self, text: &'a str) -> Result<(Cow<'a, str>, Option<&'a str>), String> {
        let mut field = Cow::Borrowed("");
        let mut from = 0;
        while let Some(at) = text[from..].find('"').map(|at| from + at) {
            let after = &text[at + 1..];
            if let Some(_quote) = after.strip_prefix('"') {
                field.to_mut().push_str(&text[from..=at]);
                from = at + 2;
                continue;
            }
            match field.is_empty() && from == 0 {
                true => field = Cow::Borrowed(&text[..at]),
                false => field.to_mut().push_str(&text[from..at]),
            }
            let after = if self.blanks { after.trim_start_matches(' ') } else { after };
            return match after.strip_prefix(char::from(self.delimiter)) {
                Some(rest) => Ok((field, Some(rest))),
                None if after.is_empty() => Ok((field, None)),
                None => {
                    let found = crate::plain::quoted(after);
                    Err(format!(
                        "a field goes on behind its last quote with {found}: a quote within a field is written twice"
                    ))
                }
            };
        }
        Err("a quoted field has no end".into())
    }
}
