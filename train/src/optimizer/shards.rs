//! ZeRO's first stage (Rajbhandari et al. 2020): each rank remembers the past of some parameters and steps these; then all ranks have them. What is remembered is
//! divided by the number of ranks; the steps are those of an optimizer that is whole.

use super::{Optimizer, Slot};
use crate::Result;
use crate::world::World;
use std::cmp::Reverse;
use tch::Tensor;

impl Optimizer {
    /// Leaves to the other ranks what is theirs: of about as many numbers each.
    pub(crate) fn shard(&mut self, world: &World) {
        if world.is_alone() {
            return;
        }
        let sizes: Vec<usize> = self.slots.iter().map(|slot| slot.param.numel()).collect();
        self.owners = (owners(&sizes, world.size()), world.rank());
        let (owners, rank) = &self.owners;
        for (slot, owner) in self.slots.iter_mut().zip(owners) {
            if owner != rank {
                slot.state = Vec::new();
            }
        }
    }

    /// Whether this rank steps a slot.
    pub(super) fn owns(&self, slot: usize) -> bool {
        let (owners, rank) = &self.owners;
        owners.get(slot).is_none_or(|owner| owner == rank)
    }

    /// Hands the parameters that this rank has stepped to the others, and takes theirs.
    ///
    /// # Errors
    /// A rank that does not answer.
    pub(crate) fn spread(&self, world: &World) -> Result<()> {
        if self.owners.0.is_empty() {
            return Ok(());
        }
        world.share(&self.params(), &self.owners.0)
    }

    /// The [`state`](Self::state) of all ranks, on the leader; every rank takes part. Nobody holds more than one parameter's that is not its own.
    ///
    /// # Errors
    /// A rank that does not answer.
    pub(crate) fn whole_state(&self, world: &World) -> Result<Vec<(String, Tensor)>> {
        if self.owners.0.is_empty() {
            return Ok(self.state());
        }
        let mut whole = Vec::new();
        for (slot, owner) in self.slots.iter().zip(&self.owners.0) {
            // Room for what another rank has.
            let room = if slot.state.is_empty() {
                Some(Slot::new(slot.name.clone(), slot.param.shallow_clone(), slot.kind)?)
            } else {
                None
            };
            for (kind, tensor) in &room.as_ref().unwrap_or(slot).state {
                world.broadcast(tensor, *owner)?;
                if world.leads() {
                    whole.push((format!("{kind}.{}", slot.name), tensor.f_to_device(tch::Device::Cpu)?));
                }
            }
        }
        Ok(whole)
    }
}

/// The rank of each of these sizes: the largest first, each to whom has least.
fn owners(sizes: &[usize], ranks: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| Reverse(sizes.get(*i).copied()));
    let (mut loads, mut owners) = (vec![0usize; ranks.max(1)], vec![0; sizes.len()]);
    for i in order {
        let least = (0..loads.len()).min_by_key(|rank| loads.get(*rank).copied()).unwrap_or(0);
        if let (Some(load), Some(owner), Some(size)) = (loads.get_mut(least), owners.get_mut(i), sizes.get(i))
        {
            *load += size;
            *owner = least;
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rank_has_about_as_much() {
        assert_eq!(owners(&[5, 1, 4, 2, 2], 2), [0, 1, 1, 1, 0]);
        assert_eq!(owners(&[3, 3], 4), [0, 1]);
        assert_eq!(owners(&[3, 3], 1), [0, 0]);
        assert!(owners(&[], 2).is_empty());
    }
}
