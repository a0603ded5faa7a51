//! A file for a program that reads nothing but files.

use crate::alive::Alive;
use crate::temporary::PREFIX;
use crate::{Error, Result};
use std::io::Read;
use std::path::Path;
use tempfile::{Builder, TempPath};

/// A file of a random name in the system's folder for such, which nobody else may read. It goes when this is dropped, or when the process is
/// [ended](crate::abandon).
#[derive(Debug)]
pub struct Scratch {
    path: TempPath,
    _alive: Alive,
}

/// Longest ending that a name of ours takes from another.
const ENDING: usize = 10;

impl Scratch {
    /// Holds what `from` gives; its name ends as `like` does, by which programs may tell what a file is.
    ///
    /// # Errors
    /// [`Error::Io`]: no space is left, or `from` cannot be read.
    pub fn write(like: &Path, from: &mut dyn Read) -> Result<Self> {
        let ending = like.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let plain = (1..=ENDING).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
        let suffix = if plain { format!(".{ending}") } else { String::new() };
        let folder = std::env::temp_dir();
        let made = Builder::new().prefix(PREFIX).suffix(&suffix).tempfile_in(&folder);
        let (mut file, path) = made.map_err(Error::io(&folder, "write"))?.into_parts();
        let scratch = Self { _alive: Alive::new(&path), path };
        std::io::copy(from, &mut file).map_err(Error::io(scratch.path(), "write"))?;
        Ok(scratch)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_given_ends_alike_and_goes() {
        for (like, ending) in [
            ("shard.tar/a.mp3", Some("mp3")),
            ("a", None),
            ("a.", None),
            ("a.b c", None),
            ("a.\u{e9}", None),
            ("a.12345678901", None),
        ] {
            let scratch = Scratch::write(Path::new(like), &mut &b"bytes"[..]).unwrap();
            let path = scratch.path().to_owned();
            assert_eq!(path.extension().and_then(|e| e.to_str()), ending, "{like}");
            assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
            }
            drop(scratch);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_cannot_be_read_leaves_nothing() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("gone"))
            }
        }
        let said = Scratch::write(Path::new("a.wav"), &mut Broken).unwrap_err();
        let Error::Io { path, .. } = said else { panic!("{said}") };
        assert!(!path.exists());
    }
}
