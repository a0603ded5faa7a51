//! stub
use crate::Result;
use std::path::{Path, PathBuf};
/// stub
pub fn transnet_dir(named: Option<&Path>) -> Result<PathBuf> {
    Ok(named.map(Path::to_path_buf).unwrap_or_default())
}
