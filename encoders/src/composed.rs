//! Towers of several models in one space.

use crate::config::{AudioConfig, ImageConfig, ModelConfig, ProjectionConfig};
use crate::{Error, Modality, Model, Processors, Result};
use std::collections::BTreeMap;
use tch::Device;
use unisono_nn::Scope;

/// A tower that comes from another model.
#[derive(Debug)]
pub struct Borrowed {
    /// Whose it is. Its other towers stay behind.
    pub model: Model,
    /// The new way from its pooled vector to the shared space; `None`: its own, which then leads there.
    pub projection: Option<ProjectionConfig>,
}

impl Model {
    /// The towers of `config` and `processors`, which are new, and those `from` other models with their processors, in the shared space of
    /// `config`: new weights are a function of (`seed`, their names), the others are what they were. Classifiers, video tables and the sizes that
    /// a borrowed space may be cut to stay behind.
    ///
    /// # Errors
    /// A tower that the other model lacks or that is there twice, an own projection into a space of another width, impossible sizes.
    pub fn composed(
        mut config: ModelConfig,
        mut processors: Processors,
        from: &BTreeMap<Modality, Borrowed>,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        for (modality, borrowed) in from {
            borrowed.lend(*modality, &mut config, &mut processors)?;
        }
        let model = Self::build(config, processors, Scope::root(seed, device), device)?;
        tch::no_grad(|| {
            for (modality, borrowed) in from {
                let (tower, projection) = (format!("{modality}."), format!("{modality}.projection."));
                let new = |name: &str| borrowed.projection.is_some() && name.starts_with(&projection);
                let own = model.params().iter().filter(|(name, _)| name.starts_with(&tower) && !new(name));
                for (name, param) in own {
                    let old = borrowed.model.params().get(name);
                    let old = old.ok_or_else(|| {
                        Error::config(name, "is not among the weights of the model that it comes from")
                    })?;
                    param.tensor.shallow_clone().f_copy_(&old.tensor)?;
                }
            }
            Ok(model)
        })
    }
}

impl Borrowed {
    /// Puts the tower's configuration and processor among those of the new model.
    fn lend(&self, modality: Modality, to: &mut ModelConfig, with: &mut Processors) -> Result<()> {
        let (config, processors) = (self.model.config(), self.model.processors());
        let lacks = || self.model.no_tower(modality);
        let there = match modality {
            Modality::Text => to.text.is_some(),
            Modality::Image => to.image.is_some(),
            Modality::Audio => to.audio.is_some(),
            Modality::Video => {
                return Err(Error::Input("videos are seen by the image tower: borrow that".into()));
            }
        };
        if there {
            let message = "expected one tower of a modality, found a new one and a borrowed one";
            return Err(Error::config(modality.name(), message));
        }
        if self.projection.is_none() && config.embed_dim != to.embed_dim {
            return Err(Error::config(
                format!("{modality}.projection"),
                format!(
                    "its own leads into a space of width {}, the shared one has {}",
                    config.embed_dim, to.embed_dim
                ),
            ));
        }
        match modality {
            Modality::Text => {
                let mut text = config.text.clone().ok_or_else(lacks)?;
                text.projection = self.projection.unwrap_or(text.projection);
                (to.text, with.text) = (Some(text), processors.text.clone());
            }
            Modality::Image => {
                let mut image = config.image.clone().ok_or_else(lacks)?;
                let projection = match &mut image {
                    ImageConfig::Transformer(c) => &mut c.projection,
                    ImageConfig::EfficientNet(c) => &mut c.projection,
                };
                *projection = self.projection.unwrap_or(*projection);
                (to.image, with.image) = (Some(image), processors.image.clone());
            }
            Modality::Audio => {
                let mut audio = config.audio.clone().ok_or_else(lacks)?;
                let projection = match &mut audio {
                    AudioConfig::Transformer(c) => &mut c.projection,
                    AudioConfig::Htsat(c) => &mut c.projection,
                };
                *projection = self.projection.unwrap_or(*projection);
                (to.audio, with.audio) = (Some(audio), processors.audio.clone());
            }
            Modality::Video => {}
        }
        Ok(())
    }
}
