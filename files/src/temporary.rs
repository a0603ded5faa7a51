//! What temporary files and folders have in common: their names, who may read them, and that a rename lasts.

use std::fs::File;
use std::path::Path;
use tempfile::Builder;

/// What temporary names begin and end with.
pub(crate) const PREFIX: &str = ".unisono-";
pub(crate) const SUFFIX: &str = ".tmp";

/// The folder that `path` lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the umask grants, as any new file or folder: temporary ones are private by default.
#[cfg(unix)]
pub(crate) fn open_to_all(builder: &mut Builder, mode: u32) {
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
}
#[cfg(not(unix))]
pub(crate) fn open_to_all(_: &mut Builder, _: u32) {}

/// Makes a rename durable where the system can; a failure costs durability only, not correctness.
pub(crate) fn sync_folder(folder: &Path) {
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
}
