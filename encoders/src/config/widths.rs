//! What widths and sizes a configuration comes to.

use super::{
    AudioConfig, ClassifierConfig, ClassifierInput, ImageConfig, ModelConfig, Pooling, ProjectionConfig,
    ReadingConfig, Size, SpectrogramConfig, StemConfig, TextConfig, VideoConfig, VitConfig,
};
use crate::{Error, Modality, Result};

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

impl VitConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.transformer.width)
    }
}

impl ImageConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        match self {
            Self::Transformer(c) => c.out_width(),
            Self::EfficientNet(c) => c.out_width(),
        }
    }

    /// Width of its tokens.
    pub(crate) fn token_width(&self) -> i64 {
        match self {
            Self::Transformer(c) => c.transformer.width,
            Self::EfficientNet(c) => c.head,
        }
    }

    /// How its tokens become a vector.
    pub(crate) fn pooling(&self) -> &Pooling {
        match self {
            Self::Transformer(c) => &c.pooling,
            Self::EfficientNet(c) => &c.pooling,
        }
    }

    /// Size of the input images, in pixels.
    pub fn size(&self) -> Size {
        match self {
            Self::Transformer(c) => c.size,
            Self::EfficientNet(c) => c.size,
        }
    }

    /// Learned tokens before those of the image.
    pub fn prefix(&self) -> i64 {
        match self {
            Self::Transformer(c) => c.prefix,
            Self::EfficientNet(_) => 0,
        }
    }

    /// Height and width of a patch where images keep their aspect ratio; `None` for a tower that takes one size.
    pub fn flexible(&self) -> Option<[i64; 2]> {
        match self {
            Self::Transformer(VitConfig { flexible: true, stem: StemConfig::Patch { size, .. }, .. }) => {
                Some(*size)
            }
            _ => None,
        }
    }

    /// From the pooled vector to the shared space.
    pub fn projection(&self) -> ProjectionConfig {
        match self {
            Self::Transformer(c) => c.projection,
            Self::EfficientNet(c) => c.projection,
        }
    }
}

impl SpectrogramConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        let said = self.decoder.as_ref().map_or(0, |decoder| decoder.out_width());
        self.pooling.out_width(self.transformer.width).saturating_add(said)
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
            Modality::Image => self.image.as_ref().map(|c| (self.image_width(), c.projection())),
            Modality::Audio => self.audio.as_ref().map(|c| (c.out_width(), c.projection())),
            Modality::Video => None,
        }
    }

    /// Width of the image tower's pooled vector, with what is read of its classifier behind it; 0: no image tower.
    pub(crate) fn image_width(&self) -> i64 {
        let read = if self.reading.is_some() { self.embed_dim } else { 0 };
        self.image.as_ref().map_or(0, |c| c.out_width().saturating_add(read))
    }

    /// Width of the vector of what is written of an image or a recording, where the text tower reads it; 0: nobody does.
    pub fn reads(&self, modality: Modality) -> i64 {
        match (modality, &self.reading) {
            (Modality::Image, Some(_)) => return self.embed_dim,
            (Modality::Audio, _) => {}
            _ => return 0,
        }
        match &self.audio {
            Some(AudioConfig::Transformer(c)) => c.decoder.as_ref().map_or(0, |decoder| decoder.reads),
            _ => 0,
        }
    }

    /// Width of the text tower's tokens.
    pub(crate) fn text_width(&self) -> i64 {
        self.text.as_ref().map_or(0, |c| c.transformer.width)
    }

    /// Tokens of a tower that are no input's: a class token, registers.
    pub(crate) fn prefix(&self, modality: Modality) -> i64 {
        match (modality, &self.audio) {
            (Modality::Image, _) => self.image.as_ref().map_or(0, ImageConfig::prefix),
            (Modality::Audio, Some(AudioConfig::Transformer(c))) => c.prefix,
            _ => 0,
        }
    }

    /// How it watches videos: whatever sees images does.
    pub fn video_config(&self) -> Option<VideoConfig> {
        self.video.clone().or_else(|| self.image.as_ref().map(|_| VideoConfig::default()))
    }
}

impl ClassifierConfig {
    /// Width of what its linear layer takes.
    pub(crate) fn width(&self, model: &ModelConfig) -> Result<i64> {
        let Some((width, _)) = model.projection(self.modality) else {
            let message = format!("the model has no tower for {}", self.modality);
            return Err(Error::config("classifier.modality", message));
        };
        Ok(if self.input == ClassifierInput::FirstMean { 2 * width } else { width })
    }
}

impl ReadingConfig {
    /// Width of what the classifier takes: what the first of the tower's poolings gives.
    pub(crate) fn width(&self, model: &ModelConfig) -> i64 {
        let tokens = model.image.as_ref().map_or(0, |image| image.token_width());
        match self.classifier.input {
            ClassifierInput::Pooled => {
                let first = model.image.as_ref().and_then(|image| image.pooling().each().first());
                first.map_or(tokens, |pooling| pooling.out_width(tokens))
            }
            ClassifierInput::FirstMean => tokens.saturating_mul(2),
            ClassifierInput::First | ClassifierInput::Mean => tokens,
        }
    }
}
