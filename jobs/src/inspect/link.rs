//! Links from a page to a file on the same disk.

use std::fmt::Write;
use std::path::{Component, Path, absolute};

/// The way from the folder of `page` to `file` as an address without a scheme or a host; `None` where there is no such way.
pub(super) fn link(page: &Path, file: &Path) -> Option<String> {
    let (page, file) = (plain(page)?, plain(file)?);
    let folder = &page[..page.len().saturating_sub(1)];
    let shared = folder.iter().zip(&file).take_while(|(a, b)| a == b).count();
    if shared == 0 && !folder.is_empty() && file.first() != folder.first() {
        // Another drive.
        return None;
    }
    let up = std::iter::repeat_n("..".to_owned(), folder.len() - shared);
    let down = file[shared..].iter().map(|part| escaped(part));
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// The parts of an absolute path, what leads up taken back.
fn plain(path: &Path) -> Option<Vec<Vec<u8>>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in absolute(path).ok()?.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            part => parts.push(part.as_os_str().as_encoded_bytes().to_vec()),
        }
    }
    Some(parts)
}

/// Letters, digits and what RFC 3986 leaves as it is; all else by its bytes.
fn escaped(part: &[u8]) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte))
            }
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_relative_and_safe() {
        for (page, file, expected) in [
            ("/a/page.html", "/a/b/c.wav", "b/c.wav"),
            ("/a/b/page.html", "/a/c.wav", "../c.wav"),
            ("/a/b/page.html", "/x/c.wav", "../../x/c.wav"),
            ("/page.html", "/c.wav", "c.wav"),
            ("/a/page.html", "/a/../a/./c.wav", "c.wav"),
            ("/a/page.html", "/a/javascript:alert(1).wav", "javascript%3Aalert%281%29.wav"),
            ("/a/page.html", "/a/\"><b> #?%é.wav", "%22%3E%3Cb%3E%20%23%3F%25%C3%A9.wav"),
        ] {
            assert_eq!(link(Path::new(page), Path::new(file)).as_deref(), Some(expected), "{file}");
        }
        assert_eq!(link(Path::new("page.html"), Path::new("media/a.wav")).as_deref(), Some("media/a.wav"));
    }
}
