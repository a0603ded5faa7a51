//! What a recipe says of a tower that comes from a checkpoint.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use unisono_encoders::config::{Pooling, ProjectionConfig, within};
use unisono_encoders::{AudioWindow, Modality, ModelConfig};

/// `[tower.text]`, `[tower.image]` or `[tower.audio]`: a tower of a checkpoint, in the shared space of `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerConfig {
    /// Whose it is: a run, a model directory, a public checkpoint's folder. Its other towers stay behind.
    pub from: PathBuf,
    /// The new way from its pooled vector to the shared space; absent: one linear layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<ProjectionConfig>,
    /// Its own projection stays, and leads into the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_projection: bool,
    /// How its tokens become the vector that the projection leads on from: one of `mean`, `max`, `first`, `last`, `attention`, …, or several, whose
    /// vectors stand one behind the other; empty: as in its checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pooling: Vec<Pooling>,
    /// Of an audio tower like Whisper's: `auto` cuts the silence that fills a window behind a short sound, in training and wherever the model is used;
    /// the pooling is over what is left.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window: AudioWindow,
    /// Of an audio tower with a decoder behind it, like Whisper's: `translate` writes what is heard in English, `transcribe` in the language that is
    /// spoken, and mean and maximum of the decoder's states stand behind the pooled vector. The tower is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<SpeechTask>,
    /// The text tower, frozen, reads what is written of a medium: what an audio tower's decoder writes, or the labels of an image tower's classifier, each
    /// times its probability ([`ReadingConfig`](unisono_encoders::config::ReadingConfig)). The vector stands behind the pooled one, and is added to what the
    /// projection gives, times a learned factor. Nothing of the tower but its projection is trained.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reads: bool,
    /// Nothing of it is trained but a new projection: its features are computed once and kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frozen: bool,
    /// Of a frozen tower under an augmentation: how many changed copies of each medium are seen and kept.
    #[serde(default = "four", skip_serializing_if = "is_four")]
    pub views: u32,
}

/// What a decoder behind an audio tower writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpeechTask {
    /// In the language that is spoken.
    Transcribe,
    /// In English.
    Translate,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn four() -> u32 {
    4
}

fn is_four(views: &u32) -> bool {
    *views == four()
}

impl TowerConfig {
    /// The new projection; `None`: its own stays.
    pub(crate) fn projection(&self) -> Option<ProjectionConfig> {
        (!self.keep_projection).then(|| self.projection.unwrap_or_default())
    }

    /// The new pooling; `None`: its own stays.
    pub(crate) fn pooling(&self) -> Option<Pooling> {
        match self.pooling.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(Pooling::Concat(several.to_vec())),
        }
    }
}

/// Checks the towers that are borrowed, and the new ones beside them.
pub(super) fn check(towers: &BTreeMap<Modality, TowerConfig>, model: &ModelConfig) -> Result<()> {
    within("embed_dim", model.embed_dim, 1 << 16).map_err(unisono_encoders::Error::from)?;
    for (modality, tower) in towers {
        let wrong = |key: &str, message: &str| Err(Error::setting(format!("tower.{modality}{key}"), message));
        let there = match modality {
            Modality::Text => model.text.is_some(),
            Modality::Image => model.image.is_some(),
            Modality::Audio => model.audio.is_some(),
            Modality::Video => {
                return wrong("", "videos are seen by the image tower; how is said in [model.video]");
            }
        };
        if there {
            return wrong("", "[model] has a new tower of this modality: leave one of the two out");
        }
        if tower.keep_projection && tower.projection.is_some() {
            return wrong(".projection", "keep_projection keeps its own: leave one of the two out");
        }
        if tower.keep_projection && !tower.pooling.is_empty() {
            return wrong(".pooling", "keep_projection leads on from its own: leave one of the two out");
        }
        let learned = |p: &Pooling| matches!(p, Pooling::Attention | Pooling::Map | Pooling::Queries { .. });
        if tower.frozen && tower.pooling.iter().any(learned) {
            return wrong(
                ".pooling",
                "a frozen tower learns no pooling: expected mean, max, first or last, or frozen = false",
            );
        }
        if !tower.window.is_whole() && *modality != Modality::Audio {
            return wrong(".window", "windows are of audio files: leave it out");
        }
        if tower.decoder.is_some() && (*modality != Modality::Audio || !tower.frozen) {
            return wrong(
                ".decoder",
                "writes what a frozen audio tower hears: expected it in [tower.audio], with frozen = true",
            );
        }
        let norm = matches!(tower.projection, Some(ProjectionConfig::Mlp { norm: true, .. }));
        if norm && !tower.frozen {
            return wrong(
                ".projection.norm",
                "is over the features of a frozen tower: expected frozen = true",
            );
        }
        if tower.reads {
            let text = towers.get(&Modality::Text).filter(|text| text.frozen);
            let still =
                text.is_some_and(|t| t.keep_projection || t.projection == Some(ProjectionConfig::None));
            let written = match modality {
                Modality::Image => tower.frozen,
                _ => tower.decoder.is_some(),
            };
            if !written || !still {
                return wrong(
                    ".reads",
                    "reads what is written with a text tower that stays as it is: expected a decoder, or a frozen image tower, and [tower.text] with frozen = true and projection = { kind = \"none\" } or keep_projection = true",
                );
            }
            if *modality == Modality::Image && !tower.projection.is_some_and(|p| p != ProjectionConfig::None)
            {
                return wrong(".reads", "is added to what a new projection gives: expected a projection");
            }
        }
        if !(1..=1024).contains(&tower.views) {
            return wrong(".views", &format!("expected 1 to 1024, found {}", tower.views));
        }
    }
    if model.text.is_some() || model.image.is_some() || model.audio.is_some() {
        model.validate()?;
    }
    Ok(())
}
