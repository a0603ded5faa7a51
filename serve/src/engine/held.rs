//! The model of an engine.

use crate::refusal::{Answer, Refusal};
use tch::{Device, Tensor};
use unisono_encoders::{Model, Params, Precision, to_vec};
use unisono_jobs::understand::Understander;
use unisono_jobs::{Embedder, Error, Result};
use unisono_processors::Prepared;

/// A model that embeds, or one that says something of what it sees and hears.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each model, and it is moved once")]
pub enum Held {
    /// It embeds.
    Embedder(Embedder),
    /// It captions, answers, matches or transcribes; it may embed, too.
    Understander(Understander),
}

impl Held {
    /// Its towers.
    pub fn towers(&self) -> &Model {
        match self {
            Self::Embedder(embedder) => embedder.model(),
            Self::Understander(model) => model.model().towers(),
        }
    }

    /// Bytes of its weights: in single precision, and besides as they are multiplied on CPUs.
    pub(crate) fn bytes(&self) -> u64 {
        let towers = self.towers();
        let packed = match towers.precision() {
            Precision::Fp32 if towers.device() == Device::Cpu => 4,
            Precision::Fp32 => 0,
            Precision::Bf16 => 2,
            Precision::Int8 => 1,
        };
        let count = |params: &Params| params.iter().map(|(_, of)| of.tensor.numel() as u64).sum::<u64>();
        let above = match self {
            Self::Embedder(_) => 0,
            Self::Understander(model) => count(model.model().params()),
        };
        (count(towers.params()) + above) * (4 + packed)
    }

    /// The part that embeds.
    ///
    /// # Errors
    /// It was loaded for what it says.
    pub(crate) fn embedder(&self) -> Result<&Embedder> {
        match self {
            Self::Embedder(embedder) => Ok(embedder),
            Self::Understander(_) => Err(Error::Input("this model does not classify; it understands".into())),
        }
    }

    /// The part that understands.
    ///
    /// # Errors
    /// It only embeds.
    pub(crate) fn understander(&self) -> Result<&Understander> {
        match self {
            Self::Understander(model) => Ok(model),
            Self::Embedder(_) => {
                Err(Error::Input("this model embeds, and says nothing of what it sees".into()))
            }
        }
    }

    /// Inputs → unit vectors, of `dims` numbers where it says so.
    pub(crate) fn vectors(&mut self, inputs: &[&Prepared], dims: Option<i64>) -> Answer<Vec<Vec<f32>>> {
        let before = self.towers().dims();
        let wanted = dims.unwrap_or(before);
        if wanted != before {
            match self {
                Self::Embedder(embedder) => embedder.model_mut().set_dims(wanted).map_err(Error::from)?,
                Self::Understander(_) => {
                    let message = format!("this model's embeddings have {before}, and are not cut");
                    return Err(Refusal::field("dimensions", message));
                }
            }
        }
        let made = self.towers().embed(inputs.iter().copied(), true);
        if let (true, Self::Embedder(embedder)) = (wanted != before, self) {
            embedder.model_mut().set_dims(before).map_err(Error::from)?;
        }
        rows(&made.map_err(Error::from)?)
    }
}

fn rows(vectors: &Tensor) -> Answer<Vec<Vec<f32>>> {
    let width = vectors.size().last().copied().and_then(|w| usize::try_from(w).ok()).unwrap_or(0).max(1);
    let values = to_vec(vectors).map_err(Error::from)?;
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Refusal::broken("the model's embeddings are not finite: its weights are broken"));
    }
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}
