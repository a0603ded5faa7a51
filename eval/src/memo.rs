//! What a model made of items, for the protocols after that which asked first.

use crate::Result;
use crate::items::Item;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tch::Tensor;
use unisono_encoders::{Modality, Model, to_vec};

/// What a model made of an item.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    /// `[D]`.
    pub vector: Vec<f32>,
    /// Of an audio file.
    pub seconds: Option<f64>,
}

/// Numbers that are remembered at most: a gigabyte of them.
const MOST: usize = 1 << 28;

/// What a model made of items, by what they are: it is made once for all that ask for it.
///
/// Either vectors of one model whose weights stand still, for several protocols over the same items; or what the towers made that stand still in a training,
/// whose projections do not: these are run anew, the towers are not.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    known: Arc<Mutex<Known>>,
    /// Towers of which pooled vectors are remembered, and nothing of the others; `None`: vectors of all.
    towers: Option<BTreeSet<Modality>>,
}

#[derive(Debug, Default)]
struct Known {
    made: HashMap<Vec<u8>, Made>,
    /// Numbers of all vectors.
    numbers: usize,
}

impl Memo {
    /// Of a model that changes, but for these towers.
    pub fn of_towers(towers: BTreeSet<Modality>) -> Self {
        Self { towers: Some(towers), ..Self::default() }
    }

    /// Whether anything is remembered of a modality's items.
    pub(crate) fn takes(&self, modality: Modality) -> bool {
        self.towers.as_ref().is_none_or(|towers| towers.contains(&modality))
    }

    /// Whether that is pooled vectors.
    pub(crate) fn is_of_towers(&self) -> bool {
        self.towers.is_some()
    }

    fn key(item: &Item, modality: Modality) -> Vec<u8> {
        let mut key = item.medium(modality).key();
        key.push(modality as u8);
        key
    }

    /// What is remembered of items.
    pub(crate) fn of(&self, items: &[Item], modality: Modality) -> Vec<Option<Made>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        items.iter().map(|item| known.made.get(&Self::key(item, modality)).cloned()).collect()
    }

    /// Remembers an item, while there is room.
    pub(crate) fn keep(&self, item: &Item, modality: Modality, made: &Made) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.numbers + made.vector.len() <= MOST {
            known.numbers += made.vector.len();
            known.made.insert(Self::key(item, modality), made.clone());
        }
    }
}

/// Pooled vectors in the places of `made` become those of the shared space, `batch` at a time.
///
/// # Errors
/// libtorch's.
pub(crate) fn project(
    made: &mut [Option<Made>],
    model: &Model,
    modality: Modality,
    batch: usize,
) -> Result<()> {
    let mut all: Vec<&mut Made> = made.iter_mut().flatten().collect();
    for part in all.chunks_mut(batch.max(1)) {
        let flat: Vec<f32> = part.iter().flat_map(|made| made.vector.iter().copied()).collect();
        let rows = i64::try_from(part.len()).unwrap_or(i64::MAX);
        let pooled = Tensor::f_from_slice(&flat).and_then(|flat| flat.f_view([rows, -1]));
        let pooled = pooled.and_then(|pooled| pooled.f_to_device(model.device()));
        let pooled = pooled.map_err(unisono_encoders::Error::from)?;
        let vectors = to_vec(&tch::no_grad(|| model.embed_pooled(modality, &pooled, true))?)?;
        let dim = vectors.len() / part.len().max(1);
        for (made, vector) in part.iter_mut().zip(vectors.chunks(dim.max(1))) {
            made.vector = vector.to_vec();
        }
    }
    Ok(())
}
