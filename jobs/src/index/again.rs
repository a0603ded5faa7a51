//! The items of an index, to be embedded again.

use super::{Header, Index};
use crate::{Error, Items, Listing, Modality, Result};
use std::path::Path;

/// What the index in a folder holds, as inputs of a model that embeds these modalities.
pub(super) fn listing(folder: &Path, embeds: &[Modality]) -> Result<(Listing, Header)> {
    let index = Index::open(folder)?;
    if let Some((modality, count)) = index.header().modalities.iter().find(|(m, _)| !embeds.contains(m)) {
        let message = format!("it holds {count} of modality {modality}, which the new model does not embed");
        return Err(Error::format(folder, message));
    }
    let items: Items = index.rows().filter_map(|row| index.item(row)).collect();
    Ok((Listing { items, ..Listing::default() }, index.header().clone()))
}
