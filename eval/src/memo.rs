//! What a model made of items, for the protocols after that which asked first.

use crate::items::Item;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use unisono_encoders::Modality;

/// What a model made of an item.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    /// `[D]`.
    pub vector: Vec<f32>,
    /// Of an audio file.
    pub seconds: Option<f64>,
}

/// Vectors of one model, by what they are of: several protocols over the same items embed them once. It is for one model, whose weights stand still,
/// and takes four bytes a number.
#[derive(Debug, Clone, Default)]
pub struct Memo(Arc<Mutex<HashMap<Vec<u8>, Made>>>);

impl Memo {
    fn key(item: &Item, modality: Modality) -> Vec<u8> {
        let mut key = item.medium(modality).key();
        key.push(modality as u8);
        key
    }

    /// What is remembered of items.
    pub(crate) fn of(&self, items: &[Item], modality: Modality) -> Vec<Option<Made>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.iter().map(|item| known.get(&Self::key(item, modality)).cloned()).collect()
    }

    /// Remembers an item.
    pub(crate) fn keep(&self, item: &Item, modality: Modality, made: &Made) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(Self::key(item, modality), made.clone());
    }
}
