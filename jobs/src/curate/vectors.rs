//! Vectors of a source's records, on the disk while they are made: an interrupted command goes on there.

use crate::inputs::list_record;
use crate::{
    EmbedOptions, Embedder, Error, Flow, Item, Job, Listing, Modality, Progress, Result, Skip, Stored,
    embed_to,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use unisono_datasets::Source;

/// What embeds, and how.
#[derive(Debug, Clone, Copy)]
pub struct Embedding<'a> {
    /// The model.
    pub embedder: &'a Embedder,
    /// How it works.
    pub options: &'a EmbedOptions,
    /// An earlier run's work is dropped.
    pub fresh: bool,
}

/// The file of vectors whose [work](crate::partial) lies beside a result until it is there.
pub fn work_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".npy");
    name.into()
}

/// Embeds what records have of these modalities; the rows come record by record, in the source's order ([`by_record`]). They lie [beside](work_path) `out`.
///
/// # Errors
/// A modality that the model lacks or no record has; as [`embed_to`].
pub(super) fn embedded(
    source: &dyn Source,
    wanted: &BTreeSet<Modality>,
    embedding: &Embedding,
    out: &Path,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Stored> {
    let Embedding { embedder, options, fresh } = embedding;
    let wanted: Vec<Modality> = wanted.iter().copied().collect();
    wanted.iter().try_for_each(|modality| embedder.require(*modality))?;
    let mut listing = Listing::default();
    for index in 0..source.len() {
        match source.record(index) {
            Ok(record) => list_record(&record, &wanted, false, &mut listing),
            Err(e) => listing.skipped.push(Skip { id: format!("record {index}"), reason: e.to_string() }),
        }
    }
    if let Some(missing) = wanted.iter().find(|modality| !listing.items.counts().contains_key(modality)) {
        let path = source.path().display();
        return Err(Error::Input(format!("{path}: no record has any {missing}")));
    }
    let rows = work_path(out);
    let job = Job { out: &rows, fresh: *fresh };
    embed_to(embedder, listing, options, &job, resumed, progress)
}

/// What a record has, and the row of each.
pub(super) type Rows = Vec<(Item, Vec<f32>)>;

/// Gives all rows of each record to `take`, by its number in the source.
///
/// # Errors
/// Those of `take`; the rows cannot be read.
pub(super) fn by_record(
    source: &dyn Source,
    stored: &mut Stored,
    take: &mut dyn FnMut(usize, Rows) -> Result<()>,
) -> Result<()> {
    let mut next = 0;
    let mut now: Option<(usize, Rows)> = None;
    stored.rows(&mut |item, row| {
        let row = (item.clone(), row.to_vec());
        if let Some((_, rows)) =
            now.as_mut().filter(|(_, rows)| rows.last().is_some_and(|(other, _)| other.id == item.id))
        {
            rows.push(row);
            return Ok(());
        }
        // Items stand in the order of their records.
        while next < source.len() && !source.id(next).is_ok_and(|id| *id == item.id) {
            next += 1;
        }
        now.replace((next, vec![row])).map_or(Ok(()), |(record, rows)| take(record, rows))
    })?;
    now.map_or(Ok(()), |(record, rows)| take(record, rows))
}
