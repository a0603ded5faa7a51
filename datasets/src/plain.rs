//! Text files as editors, spreadsheets and scripts leave them, and words of theirs that messages repeat.

/// Bytes that should be UTF-8; a byte order mark is no part of the text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("the file is UTF-16 text; save it as UTF-8".into());
    }
    let text =
        std::str::from_utf8(bytes).map_err(|_| "the line is not UTF-8 text; save the file as UTF-8")?;
    // No text format has them; UTF-16 without its mark is full of them.
    if text.contains('\0') {
        return Err("the line holds NUL bytes: is this UTF-16 or a binary file? save it as UTF-8".into());
    }
    // Files that were joined carry the marks of all of them.
    Ok(text.trim_start_matches('\u{feff}'))
}

/// A stranger's words in a message: quoted, and never longer than a line.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
