//! ESC-50 (Piczak 2015), <https://github.com/karolpiczak/ESC-50>: `meta/esc50.csv` with the columns `filename`, `fold`, `target`, `category`,
//! `esc10`, `src_file`, `take`, and audio files in `audio` beside `meta`.
//!
//! The label is the category, its words are the caption (`crackling_fire`: "crackling fire"). Splits are the five folds (`fold1` … `fold5`) of
//! the published cross-validation; clips cut from one recording (`src_file`) are a group, and of one fold. Licence: CC BY-NC 3.0.

use super::csv;
use super::files::{Parsed, Published};
use super::media::{folder, stem, within};
use super::packed::Packing;
use crate::plain::quoted;
use crate::{Error, Record, Result, Source};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PUBLISHED: Published = Published {
    set: "ESC-50",
    names: "meta/esc50.csv",
    folders: &["", "meta"],
    is: |name| name == "esc50.csv",
    head: &[],
};

const COLUMNS: [&str; 6] = ["filename", "fold", "target", "category", "esc10", "src_file"];

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let path = PUBLISHED.one(paths)?;
    let rows = csv::read(&path, PUBLISHED.set, &COLUMNS)?;
    let root = media.map_or_else(|| PUBLISHED.root(&path), Path::to_path_buf);
    let names = rows.iter().filter_map(|(_, row)| row.first()).map(String::as_str);
    let folder = folder(&root, &["audio", ""], names);
    let mut packing = Packing::new(&path, &folder)?;
    for (line, row) in rows {
        let mut add = || -> Parsed<()> {
            let [file, fold, target, category, esc10, source] = &row[..] else { return Ok(()) };
            let target: u8 = target.parse().map_err(|_| wrong("target", "a class's number", target))?;
            if !["1", "2", "3", "4", "5"].contains(&fold.as_str()) {
                return Err(wrong("fold", "1 to 5", fold));
            }
            if category.is_empty() {
                return Err(wrong("category", "the name of a class", category));
            }
            let file = within(file)?;
            let extra: [(&str, Value); 2] =
                [("target", target.into()), ("esc10", esc10.eq_ignore_ascii_case("true").into())];
            packing.push(&Record {
                id: stem(file).to_owned(),
                text: vec![category.replace('_', " ")],
                audio: vec![folder.join(file).into()],
                label: Some(category.clone()),
                group: Some(source.clone()).filter(|source| !source.is_empty()),
                split: Some(format!("fold{fold}")),
                extra: extra.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
                ..Record::default()
            })
        };
        add().map_err(|message| Error::Manifest { path: path.clone(), line, message })?;
    }
    packing.source("expected the clips of ESC-50, found none")
}

fn wrong(column: &str, expected: &str, found: &str) -> String {
    format!("{column}: expected {expected}, found {}", quoted(found))
}
