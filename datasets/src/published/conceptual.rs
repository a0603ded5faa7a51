//! Conceptual Captions (Sharma et al. 2018), <https://ai.google.com/research/ConceptualCaptions/download>, and Conceptual 12M (Changpinyo et al.
//! 2021), <https://github.com/google-research-datasets/conceptual-12m>: `Train_GCC-training.tsv` and `Validation_GCC-1.1.0-Validation.tsv` (a caption, a tab, an
//! image's address), `cc12m.tsv` (the address first), without names in the first row or with `caption` and `url`, as img2dataset wants them.
//!
//! Images are not published with them. They are read as two programs leave them, below `training`, `validation` or `cc12m` beside the file, or the file's folder:
//!
//! - img2dataset with `--output_format files` and its ten thousand (or another power of ten) rows a folder: `00012/000120034.jpg` is row 120034 counted from 0. The address in
//!   the `.json` beside some of them is compared with the row's: a folder that was made of another list is refused. What img2dataset wrote is a source without
//!   the list, too: of type `folder`, or `webdataset` where it wrote shards.
//! - `download_data.py` of <https://github.com/igorbrigadir/DownloadConceptualCaptions>: `120034_2564971897` or `2564971897`, without ending, the row and the CRC-32 of the
//!   address.
//!
//! No other names are known to be in use; a table (`file`, `caption`) takes any. Rows without an image are passed over. A record's id is
//! `training/120034`, `extra.url` its address. Rows are read by position; 4 bytes are held for each image. Conceptual Captions may be used for any
//! purpose with acknowledgement of Google as its licence asks; the images are under terms of their own.

use super::files::{Published, name};
use super::noted::Noted;
use super::numbered::Numbered;
use crate::folder::Joined;
use crate::lines::{Form, Lined};
use crate::plain::{quoted, utf8};
use crate::{Error, Record, Result, Source};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Budget;

pub(super) const PUBLISHED: Published = Published {
    set: "Conceptual Captions",
    names: "Train_GCC-training.tsv, Validation_GCC-1.1.0-Validation.tsv, cc12m.tsv",
    folders: &[""],
    is: |name| subset(name).is_some(),
    head: &[],
};

/// Images whose addresses are compared.
const COMPARED: usize = 8;

/// The name and the split of a file.
fn subset(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "Train_GCC-training.tsv" => Some(("training", "train")),
        "Validation_GCC-1.1.0-Validation.tsv" => Some(("validation", "val")),
        "cc12m.tsv" => Some(("cc12m", "train")),
        _ => None,
    }
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let files = PUBLISHED.find(paths)?;
    let first = files.first().cloned().unwrap_or_default();
    let mut parts: Vec<Arc<dyn Source>> = Vec::new();
    for path in &files {
        let Some((subset, split)) = subset(name(path)) else { continue };
        let root = media.map_or_else(|| PUBLISHED.root(path), Path::to_path_buf);
        let own = root.join(subset);
        let root = if own.is_dir() { own } else { root };
        let (header, url) = head(path)?;
        let images = Numbered::of(&root)?;
        let rows = Rows { subset, split, header, url, images: images.clone() };
        let lined = Lined::open(path, rows)?;
        if images.written_beside() {
            compare(&lined, &root)?;
        }
        let (path, root) = (path.display(), root.display());
        let note = format!("{path}: {} rows have their image in {root}; others are passed over", lined.len());
        parts.push(Arc::new(Noted::new(lined, note)));
    }
    Ok(Joined::of(&first, parts))
}

/// Whether the first row holds names, and which column is the address.
fn head(path: &Path) -> Result<(bool, usize)> {
    let mut line = Vec::new();
    let mut file = BufReader::new(unisono_files::open(path)?).take(Budget::LINE.bytes);
    file.read_until(b'\n', &mut line).map_err(Error::io(path, "read"))?;
    let bad = |message: String| Error::Manifest { path: path.into(), line: 1, message };
    let text = utf8(&line).map_err(bad)?.trim_end();
    let fields: Vec<&str> = text.split('\t').collect();
    match fields[..] {
        ["caption", "url"] => Ok((true, 1)),
        ["url", "caption"] => Ok((true, 0)),
        [_, url] if address(url) => Ok((false, 1)),
        [url, _] if address(url) => Ok((false, 0)),
        _ => Err(bad(format!(
            "expected a caption and an image's address with a tab between them, found {}",
            quoted(text)
        ))),
    }
}

fn address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Compares the addresses that img2dataset wrote beside some images with those of their rows.
fn compare(source: &dyn Source, root: &Path) -> Result<()> {
    let last = source.len().saturating_sub(1);
    for i in 0..COMPARED {
        // A row that is broken is told when it is asked for.
        let Ok(record) = source.record(last * i / (COMPARED - 1)) else { continue };
        let Some(image) = record.image.as_ref().and_then(|image| image.path()) else { continue };
        let beside = image.with_extension("json");
        let written: serde_json::Value = unisono_files::read_json(&beside, &Budget::LINE)?;
        if written.get("url") != record.extra.get("url") {
            let message = format!(
                "expected the address of {} in {}: {} was made of another list, or with a number of rows a folder that is no power of ten; read it as a folder",
                record.id,
                source.path().display(),
                root.display()
            );
            return Err(Error::archive(&beside, message));
        }
    }
    Ok(())
}

/// The rows of a file.
#[derive(Debug)]
struct Rows {
    subset: &'static str,
    split: &'static str,
    header: bool,
    /// The column of the address.
    url: usize,
    images: Numbered,
}

impl Form for Rows {
    fn identity(&self) -> String {
        format!("conceptual captions 1 {} {}", self.subset, self.images.sum())
    }

    fn end(&self, bytes: &[u8], last: bool) -> std::result::Result<Option<usize>, String> {
        let end = bytes.iter().position(|b| *b == b'\n').map(|at| at + 1);
        Ok(end.or(last.then_some(bytes.len())))
    }

    fn record(&self, bytes: &[u8], line: u64) -> std::result::Result<Option<Record>, String> {
        let text = utf8(bytes)?.trim_end_matches(['\r', '\n']);
        let Some(row) = line.checked_sub(1 + u64::from(self.header)) else { return Ok(None) };
        if text.is_empty() {
            return Ok(None);
        }
        let fields: Vec<&str> = text.split('\t').collect();
        let [first, second] = fields[..] else {
            return Err(format!(
                "expected a caption and an address with a tab between them, found {} fields",
                fields.len()
            ));
        };
        let (caption, url) = if self.url == 1 { (first, second) } else { (second, first) };
        if !address(url) {
            return Err(format!("expected an image's address, found {}", quoted(url)));
        }
        let Some(image) = self.images.file(row, url) else { return Ok(None) };
        Ok(Some(Record {
            id: format!("{}/{row}", self.subset),
            text: Some(caption.to_owned()).filter(|text| !text.trim().is_empty()).into_iter().collect(),
            image: Some(image.into()),
            split: Some(self.split.into()),
            extra: [("url".to_owned(), url.into())].into_iter().collect(),
            ..Record::default()
        }))
    }

    fn ids(&self) -> bool {
        // A row's number is no other's.
        false
    }

    fn none(&self) -> String {
        format!(
            "expected images of its rows in {}, found none: name their folder by media",
            self.images.root().display()
        )
    }
}
