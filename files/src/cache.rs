//! Where downloads lie.

use std::path::PathBuf;

/// The per-user cache, where downloads and libraries lie: `UNISONO_CACHE`, else `$XDG_CACHE_HOME/unisono`, else `~/.cache/unisono`;
/// absolute where the system can say so. Set-up, which is built before this, decides the same.
pub fn cache_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = set("UNISONO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("unisono")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/unisono")))
        .unwrap_or_else(|| std::env::temp_dir().join("unisono-cache"));
    std::path::absolute(&chosen).unwrap_or(chosen)
}
