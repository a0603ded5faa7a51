//! What is given beside the data. Vectors that stand in for media: what `unisono embed` made of a source by the checkpoint of a frozen tower. And teachers'
//! vectors, and mined negatives.

use crate::features::modality;
use crate::mined::Mined;
use crate::recipe::Recipe;
use crate::taught::Taught;
use crate::told::Told;
use crate::{Error, Result, checkpoint};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_datasets::vectors::{Expected, VectorFile};
use unisono_datasets::{Record, Sampler};
use unisono_encoders::{Modality, Model, to_vec};
use unisono_processors::Medium;

/// Records of each file whose media are looked at again.
const TRIED: usize = 4;

/// What is given beside a recipe's shares. Shared by threads.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// In place of media.
    vectors: BTreeMap<(usize, Modality), VectorFile>,
    /// To be followed.
    pub(crate) taught: Taught,
    /// To be told apart from.
    pub(crate) mined: Mined,
    /// In another language.
    pub(crate) told: Told,
}

impl Given {
    /// Opens them: each is of its tower's checkpoint and of its width, its rows have the sum that was written for them, and those of a few records
    /// are what `model` makes of their media, where these can be decoded.
    ///
    /// # Errors
    /// A file that is none of that, with what to do.
    pub(crate) fn open(recipe: &Recipe, model: &Model, sampler: &Sampler) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (share, data) in recipe.data.iter().enumerate() {
            for (modality, path) in &data.vectors {
                let Some(tower) = recipe.tower.get(modality) else { continue };
                let identity = unisono_encoders::identity(&checkpoint::model_dir(&tower.from))?;
                let width = model.config().projection(*modality).map_or(0, |(width, _)| width);
                let expected = Expected { model: Some(&identity), dim: usize::try_from(width).ok() };
                let file = VectorFile::open(path, &expected)?;
                file.verify()?;
                files.insert((share, *modality), file);
            }
        }
        let (taught, mined) = (Taught::open(recipe, model, sampler)?, Mined::open(recipe, sampler)?);
        let given = Self { vectors: files, taught, mined, told: Told::open(recipe, sampler)? };
        given.try_some(model, sampler)?;
        Ok(given)
    }

    /// What the rows of every file of vectors add up to, by its path.
    pub(crate) fn sums(&self) -> BTreeMap<PathBuf, String> {
        let own = self.vectors.values().filter_map(|f| Some((f.path(), f.origin()?.sum.as_str())));
        let all = own.chain(self.taught.sums());
        all.map(|(path, sum)| (path.to_owned(), sum.to_owned())).collect()
    }

    /// The vector in place of a medium of a share's record; `None`: the share has none of its modality.
    ///
    /// # Errors
    /// The file has none of this medium, or cannot be read.
    pub(crate) fn row(&self, share: usize, record: &Record, medium: &Medium) -> Result<Option<Vec<f32>>> {
        let modality = modality(medium);
        let Some(file) = self.vectors.get(&(share, modality)) else { return Ok(None) };
        let part = match medium {
            Medium::Text(text) => record.text.iter().position(|t| t == text),
            Medium::Audio(blob) => record.audio.iter().position(|a| a == *blob),
            _ => Some(0),
        };
        let row = part.map(|part| file.find(&record.id, modality.name(), part)).transpose()?.flatten();
        let Some(row) = row else {
            let message = format!("has no vector of the {modality} of {}", record.id);
            return Err(Error::setting(file.path().display().to_string(), message));
        };
        Ok(Some(file.row(row)?.into_owned()))
    }

    /// Compares some rows with what the towers make of the media now.
    fn try_some(&self, model: &Model, sampler: &Sampler) -> Result<()> {
        let contract = model.contract();
        for ((share, modality), file) in &self.vectors {
            let Some(records) = sampler.shares().get(*share).map(|share| &share.records) else { continue };
            for at in 0..TRIED.min(records.len()) {
                let Ok(record) = records.record(at * (records.len() / TRIED).max(1) % records.len()) else {
                    continue;
                };
                let medium = match modality {
                    Modality::Text => record.text.first().map(|text| Medium::Text(text)),
                    Modality::Audio => record.audio.first().map(Medium::Audio),
                    _ => record.image.as_ref().map(Medium::Image),
                };
                // Where the media are not there any more, the vectors are taken at their word.
                let Some(Ok(prepared)) = medium.map(|medium| contract.prepare(medium)) else { continue };
                let Some(row) =
                    medium.map(|medium| self.row(*share, &record, &medium)).transpose()?.flatten()
                else {
                    continue;
                };
                alike(file.path(), &record.id, &row, &to_vec(&model.pooled([&prepared])?)?)?;
            }
        }
        Ok(())
    }
}

/// Refuses a row that is not what the tower makes: another direction, or another length.
fn alike(path: &Path, id: &str, row: &[f32], made: &[f32]) -> Result<()> {
    let length = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
    let [found, expected] = [row, made].map(|of| length(&mut of.iter().map(|x| f64::from(*x))));
    let apart = length(&mut row.iter().zip(made).map(|(a, b)| f64::from(*a) - f64::from(*b))) / expected;
    let wrong = |message: String| Err(Error::setting(path.display().to_string(), message));
    if !(0.98..=1.02).contains(&(found / expected)) {
        return wrong(format!(
            "the vector of {id} has the length {found:.3}, the tower gives {expected:.3}: embed again with --no-normalize"
        ));
    }
    // Bytes as weights (int8) move a vector by some 7 %.
    if apart > 0.1 {
        return wrong(format!(
            "the vector of {id} is not what the tower makes of it (they are {apart:.2} of its length apart): the medium has changed, or the tower's own projection is behind it"
        ));
    }
    Ok(())
}
