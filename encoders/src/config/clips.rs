//! What of a video tower can be built.

use super::{AudioRule, FramePooling, ModelConfig, PromptConfig, VideoConfig, within};
use crate::{Error, Result};

impl VideoConfig {
    /// Checks every size before anything is allocated.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub(crate) fn validate(&self, model: &ModelConfig) -> Result<()> {
        if model.image.is_none() {
            return Err(Error::config("video", "needs an image tower, which looks at its frames"));
        }
        within("video.frames", self.frames, 4096)?;
        match &self.pooling {
            FramePooling::Mean => {}
            FramePooling::Temporal { transformer } | FramePooling::Integration { transformer } => {
                transformer.validate("video.pooling.transformer")?;
                if transformer.messages {
                    return Err(Error::config(
                        "video.pooling.transformer.messages",
                        "belongs to an image tower",
                    ));
                }
            }
        }
        if let FramePooling::Integration { transformer } = &self.pooling
            && transformer.width != model.embed_dim
        {
            let (found, dim) = (transformer.width, model.embed_dim);
            return Err(Error::config(
                "video.pooling.transformer.width",
                format!("{found}, but integration works in the shared space of embed_dim {dim}"),
            ));
        }
        match self.audio {
            Some(_) if model.audio.is_none() => {
                return Err(Error::config("video.audio", "needs an audio tower, which listens to it"));
            }
            Some(AudioRule::Mean { weight }) if !(0.0..=1.0).contains(&weight) => {
                return Err(Error::config("video.audio.weight", format!("expected 0 to 1, found {weight}")));
            }
            Some(AudioRule::Token) if !matches!(self.pooling, FramePooling::Temporal { .. }) => {
                return Err(Error::config("video.audio", "token needs pooling.kind = \"temporal\""));
            }
            _ => {}
        }
        match &self.prompts {
            Some(prompts) => prompts.validate(model),
            None => Ok(()),
        }
    }
}

impl PromptConfig {
    pub(crate) fn validate(&self, model: &ModelConfig) -> Result<()> {
        within("video.prompts.depth", self.depth, 1024)?;
        within("video.prompts.heads", self.heads, 1 << 12)?;
        if model.embed_dim % self.heads != 0 {
            return Err(Error::config(
                "video.prompts.heads",
                format!("{} does not divide embed_dim {}", self.heads, model.embed_dim),
            ));
        }
        for (key, eps) in [("norm_eps", self.norm_eps), ("visual_norm_eps", self.visual_norm_eps)] {
            if !(eps > 0.0 && eps < 1.0) {
                return Err(Error::config(
                    format!("video.prompts.{key}"),
                    format!("expected 0 to 1, found {eps}"),
                ));
            }
        }
        Ok(())
    }
}
