//! What the commands of an index share: where its files are, and what is said of it.

use crate::error::Error;
use crate::{out, style};
use std::path::{Path, PathBuf};
use unisono_jobs::Index;
use unisono_jobs::index::Header;

/// Where an index's files are now.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct RootArg {
    /// Where the root of the index's files is now, if it has moved since `build --root`
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// Opens an index, its files' root where it is now; what of it is damaged is named.
pub(crate) fn opened(folder: &Path, root: &RootArg) -> Result<Index, Error> {
    let mut index = Index::open(folder).map_err(unisono_jobs::Error::from)?;
    if let Some(root) = &root.root {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        index.set_root(&root).map_err(unisono_jobs::Error::from)?;
    }
    for (segment, why) in index.damaged() {
        out::note(&format!("{segment} is damaged, and nothing in it is found ({why})"));
    }
    Ok(index)
}

pub(super) fn contents(header: &Header) -> String {
    let counts: Vec<String> = header.modalities.iter().map(|(m, n)| format!("{n} {m}")).collect();
    format!("{} ({}) of width {}", style::count(header.count, "item"), counts.join(", "), header.dim)
}
