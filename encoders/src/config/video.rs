//! How a clip becomes one vector.

use super::PromptConfig;
use serde::{Deserialize, Serialize};
use unisono_nn::config::TransformerConfig;

/// How a clip becomes one vector. A model with an image tower and without this table takes the default: the mean of 8 frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoConfig {
    /// Frames of a clip that are looked at, fewer only where it has fewer.
    #[serde(default = "eight")]
    pub frames: i64,
    /// Which ones.
    #[serde(default)]
    pub sampling: Sampling,
    /// From the frames' vectors to one.
    #[serde(default)]
    pub pooling: FramePooling,
    /// How the clip's audio joins; absent: it is not listened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioRule>,
    /// Texts look at a video before they are compared with it (X-CLIP); vectors of the shared space do not depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptConfig>,
}

fn eight() -> i64 {
    8
}

impl Default for VideoConfig {
    fn default() -> Self {
        let (sampling, pooling) = (Sampling::default(), FramePooling::default());
        Self { frames: eight(), sampling, pooling, audio: None, prompts: None }
    }
}

/// Which frames of a clip are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// The middles of equal parts.
    #[default]
    Middles,
}

/// From the vectors of a clip's frames to one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum FramePooling {
    /// The mean of the frames' unit vectors (CLIP4Clip's "meanP", Luo et al. 2021). The order of frames does not matter.
    #[default]
    Mean,
    /// A Transformer reads the frames' pooled vectors in their order, and what it says is added to each frame's unit vector before the
    /// mean ("seqTransf" there). Its last layer starts at zero: before training it is the mean.
    Temporal {
        /// Its blocks; they have a width of their own.
        transformer: TransformerConfig,
    },
    /// X-CLIP's multiframe integration (Ni et al. 2022): blocks over the projected vectors as they are, their output added, then the mean.
    Integration {
        /// Its blocks, as wide as the shared space.
        transformer: TransformerConfig,
    },
}

/// How a clip's audio joins its frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum AudioRule {
    /// The unit vector along `(1 − weight) · v + weight · s`, of the frames' unit vector v and the audio's unit vector s. A clip without
    /// audio keeps v.
    Mean {
        /// Share of the audio, 0 to 1.
        weight: f64,
    },
    /// The audio's pooled vector is one more token of the temporal Transformer: frames attend to it, it is not in the mean. Before
    /// training it changes nothing.
    Token,
}
