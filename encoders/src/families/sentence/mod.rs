//! Sentence encoders in the layout of sentence-transformers: a list of modules, the first of which reads texts.
//!
//! - **files**: `modules.json`; a module's own lie in the folder that it names, those of the first one mostly beside it
//! - **first**: Transformer (BERT, DistilBERT, RoBERTa, XLM-R, MPNet), CLIPModel, StaticEmbedding; a Router at its place leads to one for each role
//! - **pooling**: every mode, several one after another, with a prompt's tokens or without them (`pooling.rs`)
//! - **after it**: Dense, LayerNorm, Normalize, a Router between lists of them; Dropout is of training (`after.rs`)
//! - **prompts and sizes**: `config_sentence_transformers.json`; sizes to cut to from the model card besides (`model.rs`)
//! - **processor**: the encoder's tokenizer, its settings (`sentence_bert_config.json` and its older names) and what they ask of it (`settings.rs`)
//! - **map**: the encoder's, and a line a module
//! - **largest golden difference**: at most 1e-5, which its golden test holds it to; measured 9.5e-7

mod after;
mod file;
mod model;
mod pooling;
mod read;
mod router;
mod settings;
#[cfg(test)]
mod tests;
mod words;

pub(super) use file::{MODULES, NAME, is, with};
pub(super) use read::read;
pub use read::{folders, has_routes};
pub(super) use settings::{limit, tokenizers_limit};
