//! Strangers' names, made harmless for the files of others.

use std::path::Path;

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
    fn names_are_safe_and_never_empty() {
        assert_eq!(safe("../etc/pass wd", 40), "etc_pass_wd");
        assert_eq!(safe("--help", 8), "help");
        assert_eq!(safe("映画", 8), "video");
        assert_eq!(safe(&"x".repeat(1000), 8), "xxxxxxxx");
        assert_eq!(url(Path::new("/a b/100%\"é.mp4")), "file:///a%20b/100%25%22%C3%A9.mp4");
    }
}
