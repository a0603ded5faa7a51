//! The feed-forward part of a block.

use crate::config::TransformerConfig;
use crate::{Activation, Linear, Pass, Precision, Result, Scope};
use tch::Tensor;

/// Two linear layers with an activation between, the first one gated where the configuration says so.
#[derive(Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    gated: bool,
}

impl Mlp {
    /// `out_std` is the standard deviation of the second layer's first weights.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &TransformerConfig, out_std: f64) -> Result<Self> {
        let first = if c.gated { 2 * c.hidden() } else { c.hidden() };
        let std = (2.0 * c.width as f64).powf(-0.5);
        Ok(Self {
            fc1: Linear::adaptable(&scope.child("fc1"), c.width, &[("fc1", first)], c.bias, std)?,
            fc2: Linear::adaptable(&scope.child("fc2"), c.hidden(), &[("fc2", c.width)], c.bias, out_std)?,
            activation: c.activation,
            gated: c.gated,
        })
    }

    /// Packs both layers for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.fc1.prepare(precision)?;
        self.fc2.prepare(precision)
    }

    /// Prepares both layers as [`Linear::prepare_beside`] does.
    ///
    /// # Errors
    /// libtorch's.
    pub fn prepare_beside(&mut self, precision: Precision) -> Result<()> {
        self.fc1.prepare_beside(precision)?;
        self.fc2.prepare_beside(precision)
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.forward_onto(x, None, pass)
    }

    /// [`forward`](Self::forward) with `onto` of its shape added.
    pub(crate) fn forward_onto(&self, x: &Tensor, onto: Option<&Tensor>, pass: &Pass) -> Result<Tensor> {
        if self.gated {
            let hidden = self.fc1.forward_inner(x, None, pass)?;
            let halves = hidden.f_chunk(2, -1)?;
            if let [gate, value] = halves.as_slice() {
                return self.fc2.forward_onto(&self.activation.forward(gate)?.f_mul(value)?, onto, pass);
            }
        }
        self.fc1.forward_pair(&self.fc2, x, self.activation, onto, pass)
    }
}
