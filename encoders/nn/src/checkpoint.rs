//! Layers that can be run again in the backward pass.

use crate::{Draws, Pass, Result, Scope};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tch::Tensor;

/// A layer with the list of its parameters, whose activations need not be kept ([`Pass::checkpoint`]).
#[derive(Debug)]
pub struct Checkpoint<L> {
    /// A graph holds it until the backward pass, which for a GPU runs on a thread of libtorch's.
    layer: Arc<Mutex<L>>,
    params: Vec<Tensor>,
}

impl<L: Send + 'static> Checkpoint<L> {
    /// What `build` makes of `scope`, and the parameters that it defines there.
    ///
    /// # Errors
    /// `build`'s.
    pub fn new<E>(scope: &Scope, build: impl FnOnce(&Scope) -> Result<L, E>) -> Result<Self, E> {
        let layer = Arc::new(Mutex::new(build(scope)?));
        Ok(Self { layer, params: scope.params() })
    }

    /// The layer.
    pub fn layer(&self) -> MutexGuard<'_, L> {
        locked(&self.layer)
    }

    /// `run` with the layer and `given`, now, and again in the backward pass: see [`unisono_torch_ext::checkpoint`]. `run`
    /// sees of the model nothing but the layer and `given`, and of the pass its mode, its draws and what it computes in.
    ///
    /// # Errors
    /// `run`'s, or libtorch's.
    pub fn forward(
        &self,
        given: &[&Tensor],
        pass: &Pass,
        run: impl Fn(&L, &[Tensor], &Pass) -> Result<Tensor> + Send + 'static,
    ) -> Result<Tensor> {
        let (layer, Pass { mode, compute, .. }) = (self.layer.clone(), *pass);
        let draws = pass.draws.map(|draws| (draws.seed, draws.rows.to_vec()));
        unisono_torch_ext::checkpoint(given, &self.params, move |given| {
            let draws = draws.as_ref().map(|(seed, rows)| Draws { seed: *seed, rows });
            run(&locked(&layer), given, &Pass { mode, compute, draws, ..Pass::EVAL })
        })
    }
}

/// No layer is left half-changed by a panic: what is locked is only read, or packed anew.
fn locked<L>(layer: &Mutex<L>) -> MutexGuard<'_, L> {
    layer.lock().unwrap_or_else(PoisonError::into_inner)
}
