//! The network that finds where shots meet.

use crate::{Error, Result};
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_files::cache_folder;
use unisono_transnet::{ARCHIVE, TransNet, WEIGHTS};

/// The folder with TransNetV2's weights, for [`TransNet::load`]: the one that the user named, else the one in the cache to which set-up fetched
/// them. What was fetched is PyTorch's archive: at the first use it is written out as safetensors beside it.
///
/// # Errors
/// No weights there; an archive that is not this network's.
pub fn transnet_dir(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(dir) if has(dir, WEIGHTS) || has(dir, ARCHIVE) => Ok(dir.to_path_buf()),
        Some(dir) => {
            Err(Error::format(dir, format!("no weights of TransNetV2 here; expected {WEIGHTS} or {ARCHIVE}")))
        }
        None => fetched(cache_folder().join("transnetv2")),
    }
}

fn has(dir: &Path, name: &str) -> bool {
    dir.join(name).is_file()
}

fn fetched(dir: PathBuf) -> Result<PathBuf> {
    if has(&dir, WEIGHTS) {
        return Ok(dir);
    }
    if !has(&dir, ARCHIVE) {
        return Err(Error::format(
            &dir,
            "no weights of TransNetV2 here; `cargo xtask setup` fetches them, or name a folder that has them",
        ));
    }
    let net = TransNet::load(&dir, Device::Cpu)?;
    // A cache that cannot be written still has the archive, which loads as well.
    let _ = net.save(&dir);
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shots_need_weights_and_say_where_they_come_from() {
        let dir = tempfile::tempdir().unwrap();
        let e = fetched(dir.path().join("transnetv2")).unwrap_err().to_string();
        assert!(
            e.contains("transnetv2: no weights") && e.contains("`cargo xtask setup` fetches them"),
            "{e}"
        );
        let e = transnet_dir(Some(dir.path())).unwrap_err().to_string();
        assert!(e.ends_with("expected model.safetensors or pytorch_model.bin"), "{e}");
        std::fs::write(dir.path().join(ARCHIVE), "no archive").unwrap();
        assert_eq!(transnet_dir(Some(dir.path())).unwrap(), dir.path());
        let e = fetched(dir.path().to_path_buf()).unwrap_err().to_string();
        assert!(e.contains("pytorch_model.bin: neither a zip archive") && !e.contains('\n'), "{e}");
        assert!(!has(dir.path(), WEIGHTS));
    }

    #[test]
    fn shots_weights_are_converted_once() {
        let archive = cache_folder().join("transnetv2").join(ARCHIVE);
        if !archive.is_file() {
            eprintln!("skipped: {} is not there; `cargo xtask setup` fetches it", archive.display());
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(&archive, dir.path().join(ARCHIVE)).unwrap();
        assert_eq!(fetched(dir.path().to_path_buf()).unwrap(), dir.path());
        let written = std::fs::metadata(dir.path().join(WEIGHTS)).unwrap();
        assert_eq!(fetched(dir.path().to_path_buf()).unwrap(), dir.path());
        let again = std::fs::metadata(dir.path().join(WEIGHTS)).unwrap();
        assert_eq!((written.len(), written.modified().unwrap()), (again.len(), again.modified().unwrap()));
        // Nothing is left beside: the configuration, the weights, the archive.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(TransNet::load(dir.path(), Device::Cpu).unwrap().config().filters, 16);
    }
}
