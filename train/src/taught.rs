//! Teachers' vectors beside the data: what `unisono data teach` made of a share's source, for a distillation to follow.

use crate::recipe::Recipe;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use unisono_datasets::vectors::{Expected, VectorFile};
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
pub(crate) struct Taught(BTreeMap<(usize, Modality), VectorFile>);

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
            let list = folder.join(LIST);
            let wrong = |message: String| Err(Error::setting(format!("data.{}.teacher", data.name), message));
            if !list.exists() {
                let folder = folder.display();
                return wrong(format!(
                    "{} is not there: write it with unisono data teach … --out {folder}",
                    list.display()
                ));
            }
            let listed: BTreeMap<Modality, Listed> = read_json(&list, &Budget::CONFIG)?;
            for (modality, of) in listed {
                if !(data.uses(modality) && has(model, modality)) {
                    continue;
                }
                // A list may be anybody's: it names files of its own folder and no others.
                if Path::new(&of.file).file_name() != Some(of.file.as_ref()) {
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
                taught.0.insert((share, modality), file);
            }
            taught.try_some(share, folder, sampler)?;
        }
        Ok(taught)
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
        let (Some(file), Some(part)) = (self.0.get(&(share, modality)), part) else { return Ok(None) };
        let row = file.find(&record.id, modality.name(), part)?;
        row.map(|row| Ok((modality, file.row(row)?.into_owned()))).transpose()
    }

    /// Refuses a folder that knows none of the records that are looked for: it is of other data.
    fn try_some(&self, share: usize, folder: &Path, sampler: &Sampler) -> Result<()> {
        let Some(records) = sampler.shares().get(share).map(|share| &share.records) else { return Ok(()) };
        let tried = TRIED.min(records.len());
        for at in 0..tried {
            let Ok(record) = records.record(at * records.len() / tried) else { continue };
            for modality in Modality::ALL {
                if let Some(file) = self.0.get(&(share, modality))
                    && file.find(&record.id, modality.name(), 0)?.is_some()
                {
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

/// Whether the model makes vectors of a modality.
fn has(model: &Model, modality: Modality) -> bool {
    match modality {
        Modality::Video => model.config().video.is_some(),
        other => model.modalities().contains(&other),
    }
}
