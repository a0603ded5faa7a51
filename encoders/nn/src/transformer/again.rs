//! A block that is run again in the backward pass: whatever has a gradient goes in as a tensor, everything else is kept.

use crate::block::{Block, Given};
use crate::{Checkpoint, KeyValues, Mask, Pass, Result, Rotation};
use tch::Tensor;

/// [`Block::forward`], of which no graph is kept.
pub(super) fn forward(block: &Checkpoint<Block>, x: &Tensor, given: Given, pass: &Pass) -> Result<Tensor> {
    let Given { mask, rotation, frames, memory, cache: _ } = given;
    let rotation = rotation.map(Rotation::shallow_clone);
    let causal = matches!(mask, Mask::Causal);
    // A mask may be a learned bias, and a memory is what a tower has learned to see.
    let others = [
        mask.parts().0,
        memory.map(|(kv, _)| &kv.keys),
        memory.map(|(kv, _)| &kv.values),
        memory.and_then(|(_, seen)| seen),
    ];
    let there = others.map(|t| t.is_some());
    let tensors: Vec<&Tensor> = std::iter::once(x).chain(others.into_iter().flatten()).collect();
    block.forward(&tensors, pass, move |block, tensors, pass| {
        let mut tensors = tensors.iter().map(Tensor::shallow_clone);
        let x = tensors.next().unwrap_or_default();
        let [pairs, keys, values, seen] = there.map(|there| if there { tensors.next() } else { None });
        let mask = match pairs {
            Some(pairs) => Mask::Pairs(pairs),
            None if causal => Mask::Causal,
            None => Mask::None,
        };
        let kv = keys.zip(values).map(|(keys, values)| KeyValues { keys, values });
        let memory = kv.as_ref().map(|kv| (kv, seen.as_ref()));
        block.forward(
            x,
            Given { mask: &mask, rotation: rotation.as_ref(), frames, memory, cache: None },
            pass,
        )
    })
}
