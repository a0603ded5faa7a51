//! Lines of standard input, as editors and other programs write them.

use crate::error::Error;
use std::io::{BufRead, Read};
use unisono_files::Budget;

/// The lines that are not blank. A byte order mark before the first is no part of it.
///
/// # Errors
/// A line that is not UTF-8 or longer than any text, told by its number.
pub(crate) fn lines(mut input: impl BufRead) -> Result<Vec<String>, Error> {
    let failed = |message: String| Error::Failed(format!("standard input: {message}"));
    let most = Budget::LINE.bytes;
    let (mut lines, mut bytes) = (Vec::new(), Vec::new());
    for number in 1usize.. {
        bytes.clear();
        let read = input.by_ref().take(most + 1).read_until(b'\n', &mut bytes);
        if read.map_err(|e| failed(e.to_string()))? == 0 {
            break;
        }
        if bytes.len() as u64 > most {
            return Err(failed(format!(
                "line {number} is longer than {most} bytes; a text stands on a line each"
            )));
        }
        let mut line = bytes.as_slice();
        if number == 1 {
            if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
                return Err(failed("expected UTF-8, found UTF-16; convert it first".into()));
            }
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let text = std::str::from_utf8(line)
            .map_err(|_| failed(format!("line {number} is not UTF-8; convert it first")))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if !text.trim().is_empty() {
            lines.push(text.to_owned());
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> Result<Vec<String>, String> {
        lines(bytes).map_err(|e| e.to_string())
    }

    #[test]
    fn lines_as_programs_write_them() {
        assert_eq!(said(b"a\r\n\n  \n b \nc").unwrap(), ["a", " b ", "c"]);
        assert_eq!(said("\u{feff}a\nb".as_bytes()).unwrap(), ["a", "b"]);
        assert!(said(b"").unwrap().is_empty());
        assert_eq!(
            said(b"\xff\xfea\0").unwrap_err(),
            "standard input: expected UTF-8, found UTF-16; convert it first"
        );
        let e = said(b"a\nb\nc\xe9\n").unwrap_err();
        assert_eq!(e, "standard input: line 3 is not UTF-8; convert it first");
        let long = vec![b'a'; Budget::LINE.bytes as usize + 2];
        assert!(said(&long).unwrap_err().contains("line 1 is longer than 16777216 bytes"));
    }
}
