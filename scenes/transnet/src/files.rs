//! The network's folder.

use crate::config::TransNetConfig;
use crate::import::import;
use crate::net::TransNet;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Tensor};
use unisono_files::Budget;
use unisono_nn::weights::Weights;
use unisono_nn::{Error, Result, tensors};

const MODEL_TYPE: &str = "transnetv2";
const FORMAT_VERSION: u32 = 1;
const CONFIG: &str = "config.json";
/// The file that a folder of this network is complete with: it is written last.
pub const WEIGHTS: &str = "model.safetensors";
/// The name that the reference's weights have in a folder.
pub const ARCHIVE: &str = "pytorch_model.bin";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    model_type: String,
    format_version: u32,
    model: TransNetConfig,
}

impl TransNet {
    /// Reads the network in `dir`: what [`save`](Self::save) wrote there, else the reference's archive ([`import`]).
    ///
    /// # Errors
    /// A missing or broken file, another network's, weights that do not fit.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        let path = dir.join(CONFIG);
        if !path.exists() && dir.join(ARCHIVE).exists() {
            return import(dir, device);
        }
        let value: serde_json::Value = unisono_files::read_json(&path, &Budget::CONFIG)?;
        let found = value.get("model_type").and_then(serde_json::Value::as_str).unwrap_or("none");
        let version = value.get("format_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if found != MODEL_TYPE || version != u64::from(FORMAT_VERSION) {
            return Err(Error::format(
                &path,
                format!(
                    "expected model_type {MODEL_TYPE:?} of format version {FORMAT_VERSION}, found {found:?} of {version}"
                ),
            ));
        }
        let file: ConfigFile =
            serde_json::from_value(value).map_err(|e| Error::format(&path, e.to_string()))?;
        let weights = Weights::open_file(&dir.join(WEIGHTS))?;
        Self::build(file.model, device, &weights, |params| weights.fill(params))
    }

    /// Writes the network to `dir`, which is made when missing; the weights come last.
    ///
    /// # Errors
    /// No space, no permission.
    pub fn save(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let config = ConfigFile {
            model_type: MODEL_TYPE.into(),
            format_version: FORMAT_VERSION,
            model: self.config.clone(),
        };
        unisono_files::write_json(&dir.join(CONFIG), &config)?;
        let all: Vec<(String, Tensor)> =
            self.params.iter().map(|(n, p)| (n.to_owned(), p.tensor.shallow_clone())).collect();
        tensors::write(&dir.join(WEIGHTS), &all, HashMap::from([("format".to_owned(), "pt".to_owned())]))
    }
}
