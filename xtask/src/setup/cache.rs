//! The per-user cache: where it lies, who may write it now, and whether it has room.

use crate::{Error, Result, exec, ui};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// `UNISONO_CACHE`, else `$XDG_CACHE_HOME/unisono`, else `~/.cache/unisono`; always absolute.
pub(crate) fn folder() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = set("UNISONO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("unisono")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/unisono")))
        .unwrap_or_else(|| PathBuf::from("target/cache"));
    std::path::absolute(&chosen).map_err(Error::io("resolving", &chosen))
}

/// Held while one set-up changes the cache; a second one waits, so that neither unpacks over the other.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock; the operating system frees it when this process ends, however it ends.
pub(crate) fn lock(cache: &Path) -> Result<Lock> {
    fs::create_dir_all(cache).map_err(Error::io("creating", cache))?;
    let path = cache.join("setup.lock");
    let file = File::create(&path).map_err(Error::io("creating", &path))?;
    let mut waited = 0_u32;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                exec::check_interrupt()?;
                if waited.is_multiple_of(40) {
                    ui::say(&format!("  another set-up is at work in {}; waiting for it", cache.display()));
                }
                waited += 1;
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("locking", &path)(error)),
        }
    }
}

/// Refuses ahead when `folder`'s disk has less than `need` bytes free. Where `df` says nothing, the writes themselves will.
pub(crate) fn require_space(folder: &Path, need: u64) -> Result<()> {
    let Ok(output) = Command::new("df").arg("-Pk").arg(folder).output() else { return Ok(()) };
    match free_bytes(&String::from_utf8_lossy(&output.stdout)) {
        Some(have) if have < need => {
            Err(Error::NoSpace { path: folder.to_owned(), need: ui::mega(need), have: have / 1_000_000 })
        }
        _ => Ok(()),
    }
}

/// The fourth column (available 1024-byte blocks) of POSIX `df -Pk`, in bytes. The device's name may hold spaces, the columns before the
/// percentage do not: count back from it.
fn free_bytes(df: &str) -> Option<u64> {
    let line = df.lines().nth(1)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let percent = words.iter().position(|word| word.ends_with('%') && word.len() > 1)?;
    words.get(percent.checked_sub(1)?)?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn df_is_read() {
        let df = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda  263174212 14000000  81788928      15% /\n";
        assert_eq!(free_bytes(df), Some(81_788_928 * 1024));
        let odd = "Filesystem 1024-blocks Used Available Capacity Mounted on\nmy disk 100 60 40 60% /a b%\n";
        assert_eq!(free_bytes(odd), Some(40 * 1024));
        for broken in ["", "Filesystem\n", "Filesystem\nnothing here\n", "h\n% x\n", "h\n5% x\n"] {
            assert_eq!(free_bytes(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn too_little_space_is_refused_ahead() {
        let folder = std::env::temp_dir();
        require_space(&folder, 1).unwrap();
        let error = require_space(&folder, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("UNISONO_CACHE") && error.contains("MB free"), "{error}");
    }
}
