//! What widths and sizes a configuration comes to.

use super::{
    AudioConfig, ImageConfig, ModelConfig, Pooling, ProjectionConfig, SpectrogramConfig, TextConfig,
    VideoConfig,
};
use crate::Modality;

impl Pooling {
    /// Width of the pooled vector of tokens of this width.
    pub fn out_width(&self, tokens: i64) -> i64 {
        match self {
            Self::Queries { width, .. } => *width,
            Self::Concat(all) => all.iter().map(|each| each.out_width(tokens)).fold(0, i64::saturating_add),
            _ => tokens,
        }
    }
}

impl TextConfig {
    /// Width of the pooled vector, as the modules after the pooling leave it.
    pub fn out_width(&self) -> i64 {
        let pooled = self.pooling.out_width(self.transformer.width);
        self.modules.iter().fold(pooled, |width, module| module.out_width(width))
    }
}

impl ImageConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.transformer.width)
    }
}

impl SpectrogramConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.transformer.width)
    }
}

impl AudioConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        match self {
            Self::Transformer(c) => c.out_width(),
            Self::Htsat(c) => c.out_width(),
        }
    }

    /// Most frames of an audio file, and its mel bands.
    pub fn most(&self) -> [i64; 2] {
        match self {
            Self::Transformer(c) => [c.max_frames, c.mels],
            Self::Htsat(c) => [c.frames(), c.mels],
        }
    }

    /// From the pooled vector to the shared space.
    pub fn projection(&self) -> ProjectionConfig {
        match self {
            Self::Transformer(c) => c.projection,
            Self::Htsat(c) => c.projection,
        }
    }
}

impl ModelConfig {
    /// Width of the pooled vector of a tower, and what projects it; `None` without such a tower, and for videos, whose vectors are in
    /// the shared space.
    pub fn projection(&self, modality: Modality) -> Option<(i64, ProjectionConfig)> {
        match modality {
            Modality::Text => self.text.as_ref().map(|c| (c.out_width(), c.projection)),
            Modality::Image => self.image.as_ref().map(|c| (c.out_width(), c.projection)),
            Modality::Audio => self.audio.as_ref().map(|c| (c.out_width(), c.projection())),
            Modality::Video => None,
        }
    }

    /// How it watches videos: whatever sees images does.
    pub fn video_config(&self) -> Option<VideoConfig> {
        self.video.clone().or_else(|| self.image.as_ref().map(|_| VideoConfig::default()))
    }
}
