//! The fusion part of this project's model directories: `fusion.json` and `fusion.safetensors` beside the towers' files.

use crate::config::FusionConfig;
use crate::model::{FusionModel, Imported};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Tensor};
use unisono_encoders::files::{read_json, write_json};
use unisono_encoders::{LoadReport, Model, tensors};

const CONFIG: &str = "fusion.json";
const WEIGHTS: &str = "fusion.safetensors";
/// The version of the two files. A reader refuses another.
const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format_version: u32,
    fusion: FusionConfig,
}

/// There is a fusion part in `dir`.
pub fn has(dir: &Path) -> bool {
    dir.join(CONFIG).is_file()
}

impl FusionModel {
    /// Writes towers and fusion part to `dir`, which is made when missing.
    ///
    /// # Errors
    /// No space, no permission.
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.towers().save(dir)?;
        write_json(
            &dir.join(CONFIG),
            &File { format_version: FORMAT_VERSION, fusion: self.config().clone() },
        )?;
        let all: Vec<(String, Tensor)> =
            self.params().iter().map(|(n, p)| (n.to_owned(), p.tensor.shallow_clone())).collect();
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(tensors::write(&dir.join(WEIGHTS), &all, metadata)?)
    }
}

pub(crate) fn load(dir: &Path, device: Device) -> Result<Imported> {
    let path = dir.join(CONFIG);
    let file: File = read_json(&path)?;
    if file.format_version != FORMAT_VERSION {
        return Err(unisono_encoders::Error::format(
            &path,
            format!("format_version {}: this version reads {FORMAT_VERSION}", file.format_version),
        )
        .into());
    }
    let towers = Model::load(dir, device)?;
    let text = towers.processors().text.clone();
    let model = FusionModel::blank(file.fusion, towers, text)?;
    let path = dir.join(WEIGHTS);
    let (source, _) = tensors::read(&path)?;
    model
        .params()
        .copy_from(&source)
        .map_err(|report| Error::from(unisono_encoders::Error::Weights { path, report: Box::new(report) }))?;
    let report = LoadReport { loaded: source.len(), ..LoadReport::default() };
    Ok(Imported { family: "unisono".into(), model, report })
}
