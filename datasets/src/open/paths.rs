//! Paths with ranges, choices and wildcards, as shards are named.

use crate::{Error, Result, plain::quoted};
use std::path::{Path, PathBuf};
use unisono_media::address;

/// Most paths that a pattern may stand for.
const MOST: usize = 1 << 20;

/// The paths that are meant, in the order of the patterns; those of a wildcard in the order of their names.
///
/// # Errors
/// An address, a pipe's command, a pattern that is broken, stands for nothing that is there or for more than a million paths.
pub(super) fn expand(patterns: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for pattern in patterns {
        // What is there is meant, whatever its name looks like.
        if pattern.exists() {
            paths.push(pattern.clone());
            continue;
        }
        let Some(text) = pattern.to_str() else {
            paths.push(pattern.clone());
            continue;
        };
        // WebDataset joins lists with two colons.
        for text in text.split("::") {
            refuse(text)?;
            for path in braces(text)? {
                match path.contains(['*', '?']) && !Path::new(&path).exists() {
                    true => paths.extend(wild(Path::new(&path))?),
                    false => paths.push(path.into()),
                }
                if paths.len() > MOST {
                    return Err(bad(text, format!("stands for more than {MOST} paths")));
                }
            }
        }
    }
    Ok(paths)
}

fn refuse(text: &str) -> Result<()> {
    if text.starts_with("pipe:") {
        let advice = "a command to run, which is never done for data: run it first, and give the path of what it wrote";
        return Err(bad(text, format!("is {advice}")));
    }
    Ok(address::refuse(Path::new(text))?)
}

fn bad(text: &str, message: String) -> Error {
    Error::Options(format!("{} {message}", quoted(text)))
}

/// `{00..12}` and `{a,b}`, several of them, not within each other.
fn braces(text: &str) -> Result<Vec<String>> {
    let Some((before, rest)) = text.split_once('{') else { return Ok(vec![text.to_owned()]) };
    let Some((inner, after)) = rest.split_once('}') else {
        return Err(bad(text, "has a brace without its end".into()));
    };
    if inner.contains('{') {
        return Err(bad(text, "has braces within braces, which are not read: write a list of paths".into()));
    }
    let choices = match inner.split_once("..") {
        Some((first, last)) => range(first, last).map_err(|message| bad(text, message))?,
        None if inner.contains(',') => inner.split(',').map(str::to_owned).collect(),
        None => return Err(bad(text, format!("has {{{inner}}}, expected {{00..99}} or {{a,b}}"))),
    };
    let rest = braces(after)?;
    if choices.len().saturating_mul(rest.len()) > MOST {
        return Err(bad(text, format!("stands for more than {MOST} paths")));
    }
    Ok(choices.iter().flat_map(|c| rest.iter().map(move |r| format!("{before}{c}{r}"))).collect())
}

/// Both ends are in it; the width of the first is kept.
fn range(first: &str, last: &str) -> std::result::Result<Vec<String>, String> {
    let number = |text: &str| -> std::result::Result<u64, String> {
        match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse().map_err(|_| format!("has a range that ends in {}", quoted(text))),
            false => Err(format!("has a range of {}, expected whole numbers", quoted(text))),
        }
    };
    let (from, to) = (number(first)?, number(last)?);
    if from > to {
        return Err(format!("has a range from {first} down to {last}"));
    }
    if to - from >= MOST as u64 {
        return Err(format!("stands for more than {MOST} paths"));
    }
    Ok((from..=to).map(|n| format!("{n:0width$}", width = first.len())).collect())
}

/// What a wildcard in the last part of a path stands for.
fn wild(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_str().unwrap_or_default();
    let folder = pattern.parent().unwrap_or(Path::new(""));
    if folder.to_str().is_some_and(|f| f.contains(['*', '?'])) {
        return Err(bad(
            text,
            "has a wildcard in the name of a folder, which is not read: write a list of paths".into(),
        ));
    }
    let name: Vec<char> = pattern.file_name().and_then(|n| n.to_str()).unwrap_or_default().chars().collect();
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(read).map_err(Error::io(read, "list"))? {
        let entry = entry.map_err(Error::io(read, "list"))?;
        let file = entry.file_name();
        // Hidden files are half-written ones and indices: nobody means them.
        let Some(file) = file.to_str().filter(|f| !f.starts_with('.')) else { continue };
        if fits(&name, &file.chars().collect::<Vec<_>>()) {
            found.push(folder.join(file));
        }
    }
    if found.is_empty() {
        return Err(bad(text, format!("fits no file in {}", read.display())));
    }
    found.sort();
    Ok(found)
}

/// Whether a name fits a pattern of `*` (any characters) and `?` (one); in time of their product.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for p in pattern {
        match p {
            '*' => {
                let first = reach.iter().position(|r| *r).unwrap_or(reach.len());
                reach[first..].fill(true);
            }
            p => {
                for at in (0..name.len()).rev() {
                    reach[at + 1] = reach[at] && (*p == '?' || *p == name[at]);
                }
                reach[0] = false;
            }
        }
    }
    reach[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let paths = expand(&[text.into()]).unwrap();
        paths.into_iter().map(|p| p.to_str().unwrap().to_owned()).collect()
    }

    fn refused(text: &str) -> String {
        let said = expand(&[text.into()]).unwrap_err().to_string();
        assert_eq!(said.lines().count(), 1);
        said
    }

    #[test]
    fn ranges_and_choices() {
        assert_eq!(of("a/{08..11}.tar"), ["a/08.tar", "a/09.tar", "a/10.tar", "a/11.tar"]);
        assert_eq!(of("{x,y}/{0..1}"), ["x/0", "x/1", "y/0", "y/1"]);
        assert_eq!(of("a.tar::b-{1..2}.tar"), ["a.tar", "b-1.tar", "b-2.tar"]);
        assert_eq!(of("plain.jsonl"), ["plain.jsonl"]);
    }

    #[test]
    fn what_is_broken_is_told() {
        for (text, part) in [
            ("a{1..", "without its end"),
            ("a{1..x}", "expected whole numbers"),
            ("a{9..1}", "from 9 down to 1"),
            ("a{0..99999999}", "more than 1048576"),
            ("a{0..2000}{0..2000}", "more than 1048576"),
            ("a{one}", "expected {00..99} or {a,b}"),
            ("a{b{1..2}}", "braces within braces"),
            ("pipe:cat a.tar", "never done for data"),
            ("https://example.org/{00..10}.tar", "download the file first"),
            ("/nonexistent/*.tar", "/nonexistent"),
        ] {
            assert!(refused(text).contains(part), "{}", refused(text));
        }
    }

    #[test]
    fn wildcards_are_of_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b-1.tar", "a-1.tar", "a-10.tar", ".a-1.tar", "a-1.txt", "x{1..2}.tar"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let of = |text: &str| -> Vec<String> {
            let paths = expand(&[dir.path().join(text)]).unwrap();
            paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(of("a-*.tar"), ["a-1.tar", "a-10.tar"]);
        assert_eq!(of("?-1.t*r"), ["a-1.tar", "b-1.tar"]);
        // A file that is there is meant, whatever it is called.
        assert_eq!(of("x{1..2}.tar"), ["x{1..2}.tar"]);
        let said = expand(&[dir.path().join("c-*.tar")]).unwrap_err().to_string();
        assert!(said.contains("fits no file in"), "{said}");
    }
}
