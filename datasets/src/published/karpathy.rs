//! Karpathy and Fei-Fei's splits of COCO, Flickr8k and Flickr30k (2015), <https://cs.stanford.edu/people/karpathy/deepimagesent/>:
//! `dataset_coco.json`, `dataset_flickr8k.json` or `dataset_flickr30k.json`, as the archives there have them:
//!
//! ```json
//! {"images": [{"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg", "imgid": 0, "split": "test", "cocoid": 391895,
//!              "sentences": [{"raw": "A man with a red helmet …", "tokens": ["a", "man"], "sentid": 770337}]}], "dataset": "coco"}
//! ```
//!
//! COCO's images (2014) lie in `train2014` and `val2014` beside the file or in `images`; Flickr8k's in `Flicker8k_Dataset`, Flickr30k's in
//! `flickr30k-images`, or of both in `Images`, `images` or beside the file. The split `restval` is `train`, as is usual; `karpathy_split`
//! keeps its name. The pages name no licence for the splits; captions and images have those of their data sets (COCO's captions: CC BY 4.0).

use super::files::{Parsed, Published, name};
use super::json;
use super::media::{folder, stem, within};
use super::packed::Packing;
use crate::plain::quoted;
use crate::{Error, Record, Result, Source};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PUBLISHED: Published = Published {
    set: "Karpathy's splits",
    names: "dataset_coco.json, dataset_flickr8k.json, dataset_flickr30k.json",
    folders: &[""],
    is: |name| matches!(name, "dataset_coco.json" | "dataset_flickr8k.json" | "dataset_flickr30k.json"),
    head: &[],
};

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    dataset: String,
}

#[derive(Deserialize)]
struct Image {
    filepath: Option<String>,
    filename: String,
    imgid: u64,
    cocoid: Option<u64>,
    split: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

impl Image {
    fn place(&self) -> String {
        match self.filepath.as_deref().filter(|folder| !folder.is_empty()) {
            Some(folder) => format!("{folder}/{}", self.filename),
            None => self.filename.clone(),
        }
    }
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let path = PUBLISHED.one(paths)?;
    let file: File = json::read(&path, &json::BUDGET, "Karpathy's form (\"images\" with \"sentences\")")?;
    let folders: &[&str] = match file.dataset.as_str() {
        "coco" => &["", "images"],
        "flickr8k" => &["Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "images", ""],
        _ => &["flickr30k-images", "flickr30k_images", "Images", "images", ""],
    };
    if name(&path) != format!("dataset_{}.json", file.dataset) {
        let found = quoted(&file.dataset);
        return Err(Error::archive(&path, format!("expected the data set of its name, found {found} in it")));
    }
    let root = media.map_or_else(|| PUBLISHED.root(&path), Path::to_path_buf);
    let places: Vec<String> = file.images.iter().take(64).map(Image::place).collect();
    let folder = folder(&root, folders, places.iter().map(String::as_str));
    let mut packing = Packing::new(&path, &folder)?;
    for (i, image) in file.images.into_iter().enumerate() {
        let mut add = || -> Parsed<()> {
            let place = image.place();
            let mut extra = serde_json::Map::new();
            extra.insert("imgid".into(), image.imgid.into());
            extra.extend(image.cocoid.map(|id| ("cocoid".to_owned(), id.into())));
            let rest = image.split == "restval";
            extra.extend(rest.then(|| ("karpathy_split".to_owned(), image.split.as_str().into())));
            packing.push(&Record {
                id: stem(within(&image.filename)?).to_owned(),
                text: image.sentences.iter().map(|sentence| sentence.raw.clone()).collect(),
                image: Some(folder.join(within(&place)?).into()),
                split: Some(if rest { "train".into() } else { image.split.clone() }),
                extra,
                ..Record::default()
            })
        };
        add().map_err(|m| Error::archive(&path, format!("images[{i}]: {m}")))?;
    }
    packing.source("expected images with sentences, found none")
}
