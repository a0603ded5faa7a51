//! A teacher's vectors, stored beside the data.

use crate::inputs::list_record;
use crate::output::{self, Format};
use crate::pipeline::fingerprint;
use crate::{EmbedOptions, Embedder, Error, Flow, Job, Listing, Modality, Progress, Result, Skip, embed_to};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_datasets::Source;
use unisono_datasets::augment::{Crop, ImageAugment};
use unisono_datasets::vectors::{Expected, VectorFile, View};
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
    /// Views of images besides the images as they are.
    pub views: Option<&'a Views>,
    /// What is there is made anew.
    pub fresh: bool,
}

/// Views of each image: changed as a training changes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Views {
    /// How many.
    pub count: u32,
    /// Another number draws others.
    pub seed: u64,
    /// What is drawn.
    pub augment: ImageAugment,
}

impl Views {
    /// Random resized crops as `torchvision` draws them, which is what most teachers and students see; nothing else is changed.
    pub fn crops(count: u32) -> Self {
        let crop = Crop { scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] };
        Self { count, seed: 0, augment: ImageAugment { crop, ..ImageAugment::default() } }
    }
}

/// What is there of one modality, or of one view of it.
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
    /// What it holds: `text`, `image`, `image-view-1`, …
    pub vectors: BTreeMap<String, Vectors>,
    /// What was there already.
    pub kept: Vec<String>,
    /// What cannot be read or embedded, each with its reason.
    pub skipped: Vec<Skip>,
}

/// Embeds what a source's records have, a file of vectors for each modality in the folder `out`, and one for each view of images. A file that is whole, of
/// this model and these data, stays; one that was stopped is taken up again.
///
/// # Errors
/// A modality that the model lacks, or none of the model's in the data; views, and no images; as [`embed_to`].
pub fn teach(
    source: &dyn Source,
    embedder: &mut Embedder,
    options: &TeachOptions,
    out: &Path,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Taught> {
    let has = embedder.model().embeds();
    let wanted = if options.modalities.is_empty() { has } else { options.modalities.to_vec() };
    wanted.iter().try_for_each(|modality| embedder.require(*modality))?;
    if options.views.is_some() && !wanted.contains(&Modality::Image) {
        return Err(Error::Input("views are of images, and none are embedded".into()));
    }
    let identity = embedder.identity().transpose()?.unwrap_or_default();
    let list = out.join(LIST);
    let vectors: BTreeMap<String, Vectors> = match read_json(&list, &Budget::CONFIG) {
        Ok(vectors) => vectors,
        Err(_) if options.fresh || !list.exists() => BTreeMap::new(),
        Err(e) => return Err(e.into()),
    };
    let taught = Taught { out: out.to_owned(), vectors, kept: Vec::new(), skipped: Vec::new() };
    let mut lesson = Lesson { options, list, identity, taught };
    let mut found = false;
    for modality in wanted.iter().copied() {
        let listing = list_modality(source, modality);
        if listing.items.is_empty() {
            lesson.taught.skipped.extend(listing.skipped);
            continue;
        }
        found = true;
        let views = options.views.filter(|_| modality == Modality::Image);
        let last = views.map_or(0, |views| views.count);
        for number in 0..=last {
            let view = views.filter(|_| number > 0);
            embedder.set_view(view.map(|views| (number.into(), views.seed, &views.augment)))?;
            let name = if number == 0 { modality.to_string() } else { format!("{modality}-view-{number}") };
            let made = lesson.one(&name, listing.clone(), embedder, resumed, progress);
            embedder.set_view(None)?;
            made?;
        }
    }
    if !found {
        let wanted = wanted.iter().map(|m| m.name()).collect::<Vec<_>>().join(" or ");
        return Err(Error::Input(format!("{}: no record has any {wanted}", source.path().display())));
    }
    Ok(lesson.taught)
}

/// What is being taught.
struct Lesson<'a> {
    options: &'a TeachOptions<'a>,
    list: PathBuf,
    identity: String,
    taught: Taught,
}

impl Lesson<'_> {
    /// One file of vectors, unless it is there.
    fn one(
        &mut self,
        name: &str,
        listing: Listing,
        embedder: &Embedder,
        resumed: &mut dyn FnMut(usize),
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<()> {
        let Self { options, list, identity, taught } = self;
        let file = format!("{name}.{}", options.format.ending());
        let path = taught.out.join(&file);
        let _held = output::claim(&path)?;
        let work = work(&listing, identity, embedder, options.how.batch);
        let expected = Expected { model: Some(identity), dim: Some(embedder.dim()) };
        let there = taught.vectors.get(name).filter(|there| there.work == work && there.file == file);
        if !options.fresh
            && there.is_some()
            && VectorFile::open(&path, &expected).is_ok()
            && View::beside(&path).is_ok_and(|view| view.as_ref() == embedder.view())
        {
            taught.kept.push(name.to_owned());
            return Ok(());
        }
        // What is replaced is not there meanwhile.
        if taught.vectors.remove(name).is_some() {
            write_json(list, &taught.vectors)?;
        }
        let job = Job { out: &path, fresh: options.fresh };
        let stored = embed_to(embedder, listing, options.how, &job, resumed, progress)?;
        if let Some(view) = embedder.view() {
            view.write_beside(&path)?;
        }
        let written = stored.place()?;
        taught.skipped.extend(written.skipped);
        let vectors = Vectors { file, count: written.count, dim: written.dim, work };
        taught.vectors.insert(name.to_owned(), vectors);
        Ok(write_json(list, &taught.vectors)?)
    }
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
