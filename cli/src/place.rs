//! The per-user cache: where downloads and libraries lie.

use std::path::PathBuf;

/// `UNISONO_CACHE`, else `$XDG_CACHE_HOME/unisono`, else `~/.cache/unisono`; absolute where the system can say so.
pub(crate) fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = set("UNISONO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("unisono")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/unisono")))
        .unwrap_or_else(|| std::env::temp_dir().join("unisono-cache"));
    std::path::absolute(&chosen).unwrap_or(chosen)
}
