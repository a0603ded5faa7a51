//! Clotho (Drossos et al. 2020), <https://zenodo.org/records/4783391>: `clotho_captions_development.csv`, `clotho_captions_validation.csv`,
//! `clotho_captions_evaluation.csv` with the columns `file_name`, `caption_1` … `caption_5`, and audio files in `development`, `validation`,
//! `evaluation` as the archives unpack, or in folders of the archives' names (`clotho_audio_development`).
//!
//! These are the splits `train`, `val`, `test`; ids have the published name before the file's. `clotho_metadata_*.csv` is not read. Captions are under the
//! licence of Tampere University for non-commercial use, audio files each under the one of Freesound that the metadata name.

use super::csv;
use super::files::{Parsed, Published, name};
use super::media::{folder, within};
use super::packed::Packing;
use crate::{Error, Record, Result, Source};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PUBLISHED: Published = Published {
    set: "Clotho",
    names: "clotho_captions_development.csv, clotho_captions_validation.csv, clotho_captions_evaluation.csv",
    folders: &["", "clotho_csv_files"],
    is: |name| subset(name).is_some(),
    head: &[],
};

const COLUMNS: [&str; 6] = ["file_name", "caption_1", "caption_2", "caption_3", "caption_4", "caption_5"];

/// The published name and the split of a file.
fn subset(name: &str) -> Option<(&'static str, &'static str)> {
    let subsets = [("development", "train"), ("validation", "val"), ("evaluation", "test")];
    let subset = name.strip_prefix("clotho_captions_")?.strip_suffix(".csv")?;
    subsets.into_iter().find(|(name, _)| *name == subset)
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let files = PUBLISHED.find(paths)?;
    let first = files.first().cloned().unwrap_or_default();
    let root = media.map_or_else(|| PUBLISHED.root(&first), Path::to_path_buf);
    let mut packing = Packing::new(&first, &root)?;
    for path in &files {
        let Some((subset, split)) = subset(name(path)) else { continue };
        let rows = csv::read(path, PUBLISHED.set, &COLUMNS)?;
        let archive = format!("clotho_audio_{subset}");
        let nested = format!("{archive}/{subset}");
        let audio = format!("clotho_audio_files/{subset}");
        let names = rows.iter().filter_map(|(_, row)| row.first()).map(String::as_str);
        let folder = folder(&root, &[subset, &archive, &nested, &audio, ""], names);
        for (line, row) in rows {
            let mut fields = row.into_iter();
            let file = fields.next().unwrap_or_default();
            let mut add = || -> Parsed<()> {
                packing.push(&Record {
                    id: format!("{subset}/{file}"),
                    text: fields.by_ref().collect(),
                    audio: vec![folder.join(within(&file)?).into()],
                    split: Some(split.into()),
                    ..Record::default()
                })
            };
            add().map_err(|message| Error::Manifest { path: path.clone(), line, message })?;
        }
    }
    packing.source("expected the captions of Clotho, found none")
}
