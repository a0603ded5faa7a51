//! Checkpoints of other libraries as Unisono models, a page a family: the family is read from the checkpoint's own configuration, the towers are
//! configured from it, and an import map (`maps/*.map`) says which tensor goes where.

mod ast;
mod bert;
mod blip;
mod borrowed;
mod chinese_clip;
mod clap;
mod classifier;
mod clip;
mod common;
mod dinov2;
mod distilbert;
mod dual_encoder;
mod efficientnet;
mod faster_whisper;
mod imported;
mod kin;
mod load;
mod mpnet;
mod open_clip;
mod reranker;
mod sentence;
mod siglip;
mod source;
mod timm;
mod vit;
mod whisper;
mod xclip;

pub use faster_whisper::FasterWhisper;
pub use imported::{Imported, load, load_as, load_with, names};
pub use load::{family, numbers_of_a_pair};
pub use sentence::{folders, has_routes};
pub use source::{KEYS, activation};
