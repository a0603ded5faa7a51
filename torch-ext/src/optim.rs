//! Optimizer steps and gradient norms over whole parameter lists: one operator call for a list, none for each tensor.

mod adamw;
mod lamb;
mod lion;
mod lists;
mod muon;
#[cfg(test)]
mod numbers;

pub use adamw::{AdamW, fused_adamw_step};
pub use lamb::{Lamb, lamb_step};
pub use lion::{Lion, lion_step};
pub use lists::{add_scalar_, global_norm, lerp_, mul_scalar_, norms};
pub use muon::{Muon, MuonScale, muon_step, newton_schulz};
