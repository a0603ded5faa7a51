//! A teacher's vectors, stored beside the data.

use crate::inputs::list_record;
use crate::output::{self, Format};
use crate::pipeline::fingerprint;
use crate::{EmbedOptions, Embedder, Error, Flow, Job, Listing, Modality, Progress, Result, Skip, embed_to};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_datasets::Source;
use unisono_datasets::vectors::{Expected, VectorFile};
use unisono_files::{Budget, Sum, read_json, write_json};

/// What a folder of a teacher's vectors holds, by modality.
const LIST: &str = "teacher.json";

/// How a teacher works.
#[derive(Debug, Clone, Copy)]
pub struct TeachOptions<'a> {
    /// How files are embedded.
    pub how: &'a EmbedOptions,
    /// The form of the vectors.
    pub format: Format,
    /// Only these; empty: all that the model and the data have.
    pub modalities: &'a [Modality],
    /// What is there is made anew.
    pub fresh: bool,
}

/// What is there of one modality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vectors {
    /// The file in the folder, which [`VectorFile`] reads.
    pub file: String,
    /// Rows N.
    pub count: usize,
    /// Width D.
    pub dim: usize,
    /// Which model and what work it was.
    pub work: String,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Taught {
    /// The folder.
    pub out: PathBuf,
    /// What it holds.
    pub vectors: BTreeMap<Modality, Vectors>,
    /// Modalities that were there already.
    pub kept: Vec<Modality>,
    /// What cannot be read or embedded, each with its reason.
    pub skipped: Vec<Skip>,
}

/// Embeds what a source's records have, a file of vectors for each modality in the folder `out`. A file that is whole, of this model and these data, stays;
/// one that was stopped is taken up again.
///
/// # Errors
/// A modality that the model lacks, or none of the model's in the data; as [`embed_to`].
pub fn teach(
    source: &dyn Source,
    embedder: &Embedder,
    options: &TeachOptions,
    out: &Path,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Taught> {
    let has = embedder.model().embeds();
    let wanted = if options.modalities.is_empty() { &has } else { options.modalities };
    wanted.iter().try_for_each(|modality| embedder.require(*modality))?;
    let identity = embedder.identity().transpose()?.unwrap_or_default();
    let list = out.join(LIST);
    let mut vectors: BTreeMap<Modality, Vectors> = match read_json(&list, &Budget::CONFIG) {
        Ok(vectors) => vectors,
        Err(_) if options.fresh || !list.exists() => BTreeMap::new(),
        Err(e) => return Err(e.into()),
    };
    let (mut kept, mut skipped) = (Vec::new(), Vec::new());
    for modality in wanted.iter().copied() {
        let listing = list_modality(source, modality);
        if listing.items.is_empty() {
            skipped.extend(listing.skipped);
            continue;
        }
        let file = format!("{modality}.{}", options.format.ending());
        let path = out.join(&file);
        let _held = output::claim(&path)?;
        let work = work(&listing, &identity, embedder, options.how.batch);
        if !options.fresh
            && vectors.get(&modality).is_some_and(|there| {
                *there == Vectors { work: work.clone(), file: file.clone(), ..there.clone() }
            })
            && VectorFile::open(&path, &Expected { model: Some(&identity), dim: Some(embedder.dim()) })
                .is_ok()
        {
            kept.push(modality);
            continue;
        }
        // What is replaced is not there meanwhile.
        if vectors.remove(&modality).is_some() {
            write_json(&list, &vectors)?;
        }
        let job = Job { out: &path, fresh: options.fresh };
        let written = embed_to(embedder, listing, options.how, &job, resumed, progress)?.place()?;
        skipped.extend(written.skipped);
        vectors.insert(modality, Vectors { file, count: written.count, dim: written.dim, work });
        write_json(&list, &vectors)?;
    }
    if !wanted.iter().any(|modality| vectors.contains_key(modality)) {
        let wanted = wanted.iter().map(|m| m.name()).collect::<Vec<_>>().join(" or ");
        return Err(Error::Input(format!("{}: no record has any {wanted}", source.path().display())));
    }
    Ok(Taught { out: out.to_owned(), vectors, kept, skipped })
}

fn list_modality(source: &dyn Source, modality: Modality) -> Listing {
    let mut listing = Listing::default();
    for index in 0..source.len() {
        match source.record(index) {
            Ok(record) => list_record(&record, &[modality], false, &mut listing),
            Err(e) => listing.skipped.push(Skip { id: format!("record {index}"), reason: e.to_string() }),
        }
    }
    listing
}

/// Everything that changes a row, and the lengths and times of the files.
fn work(listing: &Listing, identity: &str, embedder: &Embedder, batch: usize) -> String {
    let mut sum = Sum::default();
    sum.part(fingerprint(&listing.items, &format!("{identity} {}", embedder.settings()), batch).as_bytes());
    listing.items.iter().for_each(|item| sum.part(item.stamp().as_bytes()));
    sum.letters()
}
