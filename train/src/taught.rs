//! Teachers' vectors beside the data: what `unisono data teach` made of a share's source, for a distillation to follow.

use crate::recipe::{DataConfig, Recipe};
use crate::{Error, Result};
use rand::Rng;
use rand::seq::IndexedRandom;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use unisono_datasets::vectors::{Expected, VectorFile, View, view_path};
use unisono_datasets::{Record, Sampler};
use unisono_encoders::{Modality, Model};
use unisono_files::{Budget, read_json};
use unisono_processors::Medium;

/// What lists the vectors of a teacher's folder, by modality.
const LIST: &str = "teacher.json";

/// Records of each share that are looked for among a teacher's vectors.
const TRIED: usize = 32;

/// What is told of a modality there; the rest is for who wrote it.
#[derive(Debug, Deserialize)]
struct Listed {
    file: String,
    dim: usize,
}

/// The vectors of the shares' teachers. Shared by threads.
#[derive(Debug, Default)]
pub(crate) struct Taught {
    files: BTreeMap<(usize, Modality), VectorFile>,
    /// Of images in views, by share, in the views' order.
    views: BTreeMap<usize, Vec<(View, VectorFile)>>,
}

impl Taught {
    /// Opens them: the rows have the sums that were written for them, all are of one teacher, and of some records of each share there are vectors.
    ///
    /// # Errors
    /// A folder that is none of that, with what to do.
    pub(crate) fn open(recipe: &Recipe, model: &Model, sampler: &Sampler) -> Result<Self> {
        let mut taught = Self::default();
        let mut first: Option<(String, String)> = None;
        for (share, data) in recipe.data.iter().enumerate() {
            let Some(folder) = &data.teacher else { continue };
            let wrong = |message: String| Err(Error::setting(format!("data.{}.teacher", data.name), message));
            let mut views = BTreeMap::new();
            for (name, of) in list(data, folder)? {
                let Some((modality, view)) = told(&name) else {
                    let list = folder.join(LIST);
                    let message = "expected modalities, and views as image-view-1, found";
                    return wrong(format!("{}: {message} {name:?}", list.display()));
                };
                let looked_at = view.is_none() || data.teacher_views;
                if !(looked_at && data.uses(modality) && has(model, modality)) {
                    continue;
                }
                // A list may be anybody's: it names files of its own folder and no others.
                if Path::new(&of.file).file_name() != Some(of.file.as_ref()) {
                    let list = folder.join(LIST);
                    return wrong(format!("{}: expected a file's name, found {:?}", list.display(), of.file));
                }
                let path = folder.join(&of.file);
                let file = VectorFile::open(&path, &Expected { model: None, dim: Some(of.dim) })?;
                file.verify()?;
                let who = file.origin().map(|origin| origin.model.clone()).unwrap_or_default();
                match &first {
                    Some((other, at)) if *other != who => {
                        return wrong(format!(
                            "{} is of the model {who}, {at} of {other}: a run follows one teacher",
                            path.display()
                        ));
                    }
                    _ => first = Some((who, path.display().to_string())),
                }
                match (view, View::beside(&path)?) {
                    (None, _) => drop(taught.files.insert((share, modality), file)),
                    (Some(number), Some(made)) => drop(views.insert(number, (made, file))),
                    (Some(_), None) => {
                        let path = view_path(&path);
                        return wrong(format!(
                            "{} is not there: nothing says what is seen in this view; teach it again with --fresh",
                            path.display()
                        ));
                    }
                }
            }
            if data.teacher_views && views.is_empty() {
                let folder = folder.display();
                return wrong(format!(
                    "{folder} has no views of images: add them with unisono data teach … --modality image --views 8 --out {folder}, or leave teacher_views out"
                ));
            }
            taught.views.insert(share, views.into_values().collect());
            taught.try_some(share, folder, sampler)?;
        }
        Ok(taught)
    }

    /// What the rows of each file add up to: a run that goes on follows the same.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&Path, &str)> {
        let files = self.files.values().chain(self.views.values().flatten().map(|(_, file)| file));
        files.filter_map(|file| Some((file.path(), file.origin()?.sum.as_str())))
    }

    /// One of the views of a share's record, drawn, with the vector of its image in it; `None`: the share's images are seen in no views, or there is no vector.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn view(
        &self,
        share: usize,
        record: &Record,
        rng: &mut impl Rng,
    ) -> Result<Option<(&View, Vec<f32>)>> {
        let Some((view, file)) = self.views.get(&share).and_then(|views| views.choose(rng)) else {
            return Ok(None);
        };
        let row = file.find(&record.id, Modality::Image.name(), 0)?;
        row.map(|row| Ok((view, file.row(row)?.into_owned()))).transpose()
    }

    /// The vector of a medium of a share's record, and the modality that it is of; `None`: there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn row(
        &self,
        share: usize,
        record: &Record,
        medium: &Medium,
    ) -> Result<Option<(Modality, Vec<f32>)>> {
        let (modality, part) = match medium {
            Medium::Text(text) => (Modality::Text, record.text.iter().position(|t| t == text)),
            Medium::Audio(blob) => (Modality::Audio, record.audio.iter().position(|a| a == *blob)),
            Medium::Image(_) => (Modality::Image, Some(0)),
            Medium::Video(..) | Medium::Frames(..) => (Modality::Video, Some(0)),
            Medium::Track(..) => return Ok(None),
        };
        let (Some(file), Some(part)) = (self.files.get(&(share, modality)), part) else { return Ok(None) };
        let row = file.find(&record.id, modality.name(), part)?;
        row.map(|row| Ok((modality, file.row(row)?.into_owned()))).transpose()
    }

    /// Refuses a folder that knows none of the records that are looked for: it is of other data.
    fn try_some(&self, share: usize, folder: &Path, sampler: &Sampler) -> Result<()> {
        let Some(records) = sampler.shares().get(share).map(|share| &share.records) else { return Ok(()) };
        let tried = TRIED.min(records.len());
        for at in 0..tried {
            let Ok(record) = records.record(at * records.len() / tried) else { continue };
            let plain = Modality::ALL.into_iter().filter_map(|m| Some((m, self.files.get(&(share, m))?)));
            let views = self.views.get(&share).into_iter().flatten().map(|(_, file)| (Modality::Image, file));
            for (modality, file) in plain.chain(views) {
                if file.find(&record.id, modality.name(), 0)?.is_some() {
                    return Ok(());
                }
            }
        }
        let message = format!(
            "has no vector of any of {tried} records that were looked for: of other data, or of other modalities"
        );
        Err(Error::setting(folder.display().to_string(), message))
    }
}

/// The widths of the teacher's vectors, by modality; where its folders differ, of the first that has them.
///
/// # Errors
/// A folder without its list.
pub(crate) fn widths(recipe: &Recipe, model: &Model) -> Result<BTreeMap<Modality, i64>> {
    let mut widths = BTreeMap::new();
    for data in &recipe.data {
        let Some(folder) = &data.teacher else { continue };
        for (name, of) in list(data, folder)? {
            if let Some((modality, _)) = told(&name).filter(|(m, _)| data.uses(*m) && has(model, *m)) {
                widths.entry(modality).or_insert(i64::try_from(of.dim).unwrap_or(i64::MAX));
            }
        }
    }
    Ok(widths)
}

/// What a teacher's folder has, by names.
fn list(data: &DataConfig, folder: &Path) -> Result<BTreeMap<String, Listed>> {
    let list = folder.join(LIST);
    if !list.exists() {
        let (list, folder) = (list.display(), folder.display());
        let message = format!("{list} is not there: write it with unisono data teach … --out {folder}");
        return Err(Error::setting(format!("data.{}.teacher", data.name), message));
    }
    Ok(read_json(&list, &Budget::CONFIG)?)
}

/// What is meant by a name: a modality, or a view of images by its number.
fn told(name: &str) -> Option<(Modality, Option<u32>)> {
    match name.strip_prefix("image-view-") {
        Some(number) => Some((Modality::Image, Some(number.parse().ok()?))),
        None => Some((Modality::ALL.into_iter().find(|m| m.name() == name)?, None)),
    }
}

/// Whether the model makes vectors of a modality.
fn has(model: &Model, modality: Modality) -> bool {
    match modality {
        Modality::Video => model.config().video.is_some(),
        other => model.modalities().contains(&other),
    }
}

#[cfg(test)]
#[path = "tests/taught.rs"]
mod tests;
