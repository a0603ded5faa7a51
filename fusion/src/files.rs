//! The fusion part of this project's model directories: `fusion.json` and `fusion.safetensors` beside the towers' files.

use crate::Result;
use crate::config::FusionConfig;
use crate::model::{FusionModel, Imported};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Tensor};
use unisono_encoders::Model;
use unisono_files::write_json;
use unisono_nn::config::within;
use unisono_nn::tensors;
use unisono_nn::weights::Weights;
use unisono_processors::read_json;
use unisono_processors::{Prompt, TextProcessor, TextRules};

const CONFIG: &str = "fusion.json";
const WEIGHTS: &str = "fusion.safetensors";
/// The version of the two files. A reader refuses another.
const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format_version: u32,
    fusion: FusionConfig,
    /// For towers without a text tower, whose tokenizer is the fusion part's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<TextFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFile {
    /// Tokens kept of a text.
    context_length: usize,
    /// What happens to a text besides its tokenizer.
    #[serde(default)]
    rules: TextRules,
}

const TOKENIZER: &str = "tokenizer.json";

/// There is a fusion part in `dir`.
pub fn has(dir: &Path) -> bool {
    dir.join(CONFIG).exists()
}

impl FusionModel {
    /// Writes towers and fusion part to `dir`, which is made when missing.
    ///
    /// # Errors
    /// No space, no permission.
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.towers().save(dir)?;
        if self.towers().compares_texts() {
            return Ok(());
        }
        let own = self.towers().processors().text.is_none();
        let text = match self.text() {
            Ok(text) if own => {
                unisono_files::write(&dir.join(TOKENIZER), text.to_json()?)?;
                Some(TextFile { context_length: text.context_length(), rules: text.rules() })
            }
            _ => None,
        };
        let file = File { format_version: FORMAT_VERSION, fusion: self.config().clone(), text };
        write_json(&dir.join(CONFIG), &file)?;
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
    let told = |e: &dyn std::fmt::Display| unisono_encoders::Error::format(&path, e.to_string());
    file.fusion.validate().map_err(|e| told(&e))?;
    if let Some(text) = &file.text {
        let stack = file.fusion.decoder.as_ref().or(file.fusion.encoder.as_ref());
        let (longest, vocab) = stack.map_or((0, 0), |c| (c.context_length, c.vocab_size));
        within("text.context_length", i64::try_from(text.context_length).unwrap_or(i64::MAX), longest)
            .map_err(crate::Error::from)
            .and_then(|()| Ok(text.rules.validate("text.rules", vocab)?))
            .map_err(|e| told(&e))?;
    }
    let towers = Model::load(dir, device)?;
    let text = match &file.text {
        Some(text) => {
            let stack = file.fusion.decoder.as_ref().or(file.fusion.encoder.as_ref());
            let vocab = stack.map_or(0, |c| c.vocab_size);
            let own = TextProcessor::load(&dir.join(TOKENIZER), text.context_length, vocab)?;
            Some(own.with_rules(text.rules))
        }
        // A prompt is for embeddings.
        None => towers.processors().text.clone().map(|text| text.with_prompt(Prompt::default())),
    };
    let weights = Weights::open_file(&dir.join(WEIGHTS))?;
    let model = FusionModel::blank(file.fusion, towers, text, weights.room())?;
    let report = weights.fill(model.params())?;
    Ok(Imported { family: "unisono".into(), model, report })
}
