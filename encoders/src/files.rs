//! Model directories: `config.json`, `model.safetensors`, `tokenizer.json`, `preprocessor_config.json`.

use crate::config::{AudioConfig, ModelConfig, within};
use crate::{Error, LoadReport, Model, Processors, Result, adapters};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use tch::{Device, Tensor};
use unisono_nn::tensors;
use unisono_nn::weights::Weights;
use unisono_processors::{ImageProcessor, LogMel, MelConfig, Prompts, TextProcessor, TextRules};

/// The version of the directory's layout. A reader refuses another.
pub const FORMAT_VERSION: u32 = 1;
/// `model_type` in `config.json`.
pub const MODEL_TYPE: &str = "unisono";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
/// Of the decoder behind an audio tower.
const SPEECH: &str = "speech_tokenizer.json";
const PREPROCESSOR: &str = "preprocessor_config.json";

#[derive(Debug, Serialize, Deserialize)]
struct ConfigFile {
    model_type: String,
    format_version: u32,
    model: ModelConfig,
}

/// The contract beside the weights: everything that changes an embedding and is not a weight.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<TextContract>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<ImageProcessor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio: Option<MelConfig>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextContract {
    /// Tokens kept; the last one of a cut text stays its end token.
    context_length: usize,
    /// Rows of the embedding that the tokenizer may use.
    tokens: usize,
    /// What happens to a text besides its tokenizer.
    #[serde(default, skip_serializing_if = "is_default")]
    rules: TextRules,
    /// What the model was trained to see before texts.
    #[serde(default, skip_serializing_if = "is_default")]
    prompts: Prompts,
}

impl TextContract {
    fn validate(&self, context_length: i64, vocab_size: i64) -> Result<()> {
        within(
            "text.context_length",
            i64::try_from(self.context_length).unwrap_or(i64::MAX),
            context_length,
        )?;
        self.prompts.validate("text.prompts")?;
        Ok(self.rules.validate("text.rules", vocab_size)?)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Model {
    /// Writes the model to `dir`, which is made when missing. Every file is whole under its name or not there; the weights come last.
    ///
    /// # Errors
    /// No space, no permission.
    pub fn save(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let p = self.processors();
        let text = match (&p.text, &self.config().text) {
            (Some(processor), Some(config)) => {
                unisono_files::write(&dir.join(TOKENIZER), processor.to_json()?)?;
                let tokens = processor.tokenizer().get_vocab_size(true);
                Some(TextContract {
                    context_length: processor.context_length().min(config.context_length as usize),
                    tokens,
                    rules: processor.rules(),
                    prompts: processor.prompts().clone(),
                })
            }
            _ => None,
        };
        if let (Some(processor), 1..) = (&p.speech, self.config().reads(crate::Modality::Audio)) {
            unisono_files::write(&dir.join(SPEECH), processor.to_json()?)?;
        }
        let audio = p.audio.as_ref().map(|a| a.config().clone());
        unisono_files::write_json(
            &dir.join(PREPROCESSOR),
            &Contract { text, image: p.image.clone(), audio },
        )?;
        let config = ConfigFile {
            model_type: MODEL_TYPE.into(),
            format_version: FORMAT_VERSION,
            model: self.config().clone(),
        };
        unisono_files::write_json(&dir.join(CONFIG), &config)?;
        adapters::write(self, dir)?;
        let all: Vec<(String, Tensor)> =
            self.params().iter().map(|(n, p)| (n.to_owned(), p.tensor.shallow_clone())).collect();
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(tensors::write(&dir.join(WEIGHTS), &all, metadata)?)
    }

    /// Reads a model directory of this project.
    pub(crate) fn load_own(dir: &Path, device: Device) -> Result<(Self, LoadReport)> {
        let path = dir.join(CONFIG);
        let config: ConfigFile = read_config(&path)?;
        let contract_path = dir.join(PREPROCESSOR);
        let contract: Contract = unisono_processors::read_json(&contract_path)?;
        let told = |path: &Path| {
            let path = path.to_owned();
            move |reason: String| Error::format(&path, reason)
        };
        config.model.validate().map_err(|e| e.to_string()).map_err(told(&path))?;
        if let Some(image) = &contract.image {
            image.validate().map_err(|e| e.to_string()).map_err(told(&contract_path))?;
        }
        if let Some(audio) = &contract.audio {
            audio.validate().map_err(|e| e.to_string()).map_err(told(&contract_path))?;
        }
        let mut processors = Processors { image: contract.image, ..Processors::default() };
        if let (Some(text), Some(c)) = (&contract.text, &config.model.text) {
            text.validate(c.context_length, c.vocab_size)
                .map_err(|e| e.to_string())
                .map_err(told(&contract_path))?;
            let path = dir.join(TOKENIZER);
            let processor = TextProcessor::load(&path, text.context_length, c.vocab_size)?;
            let found = processor.tokenizer().get_vocab_size(true);
            if found != text.tokens {
                return Err(Error::format(
                    &path,
                    format!(
                        "{found} tokens, the model was trained with {}: not this model's tokenizer",
                        text.tokens
                    ),
                ));
            }
            processors.text = Some(processor.with_rules(text.rules).with_prompts(text.prompts.clone()));
        }
        processors.audio = contract.audio.map(LogMel::new).transpose()?;
        if let Some(AudioConfig::Transformer(c)) = &config.model.audio
            && let Some(decoder) = c.decoder.as_ref().filter(|decoder| decoder.reads > 0)
        {
            let most = usize::try_from(decoder.most).unwrap_or(1);
            processors.speech = Some(TextProcessor::load(&dir.join(SPEECH), most, decoder.vocab_size)?);
        }
        let weights = Weights::open_file(&dir.join(WEIGHTS))?;
        let model = Self::blank(config.model, processors, device, weights.room())?;
        let report = weights.fill(model.params())?;
        Ok((model, report))
    }
}

fn read_config(path: &Path) -> Result<ConfigFile> {
    let value: serde_json::Value = unisono_processors::read_json(path)?;
    let found = value.get("model_type").and_then(serde_json::Value::as_str).unwrap_or("none");
    if found != MODEL_TYPE {
        return Err(Error::format(
            path,
            format!("model_type is {found:?}, this version reads {MODEL_TYPE:?}"),
        ));
    }
    let version = value.get("format_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(FORMAT_VERSION) {
        return Err(Error::format(
            path,
            format!(
                "format version {version}, this build reads {FORMAT_VERSION}; use the Unisono version that wrote it"
            ),
        ));
    }
    serde_json::from_value(value).map_err(|e| Error::format(path, e.to_string()))
}
