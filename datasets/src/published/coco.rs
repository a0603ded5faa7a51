//! COCO's captions (Chen et al. 2015), <https://cocodataset.org/#download>: `captions_train2017.json`, `captions_val2017.json`, or those of 2014,
//! as <https://cocodataset.org/#format-data> says:
//!
//! ```json
//! {"images": [{"id": 391895, "file_name": "000000391895.jpg"}], "annotations": [{"id": 770337, "image_id": 391895, "caption": "A man …"}]}
//! ```
//!
//! They lie in `annotations` or in the data set's own folder; images in `train2017`, `val2017` and the like beside that, or in `images`. The split is that of the
//! file's name. Captions are licensed CC BY 4.0; the images are Flickr's, each under terms of its own.

use super::files::{Parsed, Published, name};
use super::json;
use super::media::{folder, stem, within};
use super::packed::Packing;
use crate::plain::quoted;
use crate::{Error, Record, Result, Source};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PUBLISHED: Published = Published {
    set: "COCO's captions",
    names: "captions_train2017.json, captions_val2017.json, captions_train2014.json, captions_val2014.json",
    folders: &["", "annotations"],
    is: |name| subset(name).is_some(),
    head: &[],
};

/// The subset and the split of a file.
fn subset(name: &str) -> Option<(&'static str, &'static str)> {
    let subsets = [("train2017", "train"), ("val2017", "val"), ("train2014", "train"), ("val2014", "val")];
    let subset = name.strip_prefix("captions_")?.strip_suffix(".json")?;
    subsets.into_iter().find(|(name, _)| *name == subset)
}

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    caption: String,
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let files = PUBLISHED.find(paths)?;
    let year = |file: &Path| subset(name(file)).map(|(subset, _)| subset.ends_with("2014"));
    if let Some([a, b]) = files.array_windows().find(|[a, b]| year(a) != year(b)) {
        let message = format!(
            "expected files of one year, found {} too, which has the same images: name one",
            b.display()
        );
        return Err(Error::archive(a, message));
    }
    let first = files.first().cloned().unwrap_or_default();
    let root = media.map_or_else(|| PUBLISHED.root(&first), Path::to_path_buf);
    let mut packing = Packing::new(&first, &root)?;
    for path in &files {
        let Some((subset, split)) = subset(name(path)) else { continue };
        let file: File =
            json::read(path, &json::BUDGET, "COCO's form (\"images\", \"annotations\" with captions)")?;
        let images = format!("images/{subset}");
        let names = file.images.iter().map(|image| image.file_name.as_str());
        let folder = folder(&root, &[subset, &images, "images", ""], names);
        add(&mut packing, file, &folder, split).map_err(|m| Error::archive(path, m))?;
    }
    packing.source("expected images with captions, found none")
}

fn add(packing: &mut Packing, file: File, folder: &Path, split: &str) -> Parsed<()> {
    let mut captions: HashMap<u64, Vec<(u64, String)>> = HashMap::new();
    for annotation in file.annotations {
        captions.entry(annotation.image_id).or_default().push((annotation.id, annotation.caption));
    }
    for (i, image) in file.images.iter().enumerate() {
        let place = |m: String| format!("images[{i}]: {m}");
        let mut said = captions.remove(&image.id).unwrap_or_default();
        // In the order of their numbers: the first is what an evaluation asks for.
        said.sort_by_key(|(number, _)| *number);
        let file = within(&image.file_name).map_err(place)?;
        let record = Record {
            id: stem(file).to_owned(),
            text: said.into_iter().map(|(_, caption)| caption).collect(),
            image: Some(folder.join(file).into()),
            split: Some(split.into()),
            extra: [("image_id".to_owned(), image.id.into())].into_iter().collect(),
            ..Record::default()
        };
        packing.push(&record).map_err(place)?;
    }
    match captions.into_keys().min() {
        None => Ok(()),
        Some(id) => Err(format!(
            "an annotation is of image_id {}, which is not among the images: are the file's images complete?",
            quoted(&id.to_string())
        )),
    }
}
