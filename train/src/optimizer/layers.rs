//! How far a parameter stands from what is behind its tower's blocks: for layer-wise decay, and for training the last blocks alone.

use std::collections::{BTreeMap, BTreeSet};

/// A stage and a block of it; towers without stages have one.
type Block = (u64, u64);

/// What comes before the first block. Everything else outside of blocks (norms, pooling, projections, heads) is behind the last.
const BEFORE: [&str; 9] =
    ["stem", "stem_norm", "bands", "embed", "embedding", "position", "prefix", "class", "input_norm"];

/// The blocks of a model's towers, by what stands before `blocks` or `stages` in their parameters' names.
#[derive(Debug, Default)]
pub(super) struct Layers(BTreeMap<String, Vec<Block>>);

impl Layers {
    /// From the names of all parameters.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut found: BTreeMap<String, BTreeSet<Block>> = BTreeMap::new();
        for (stack, block) in names.filter_map(place) {
            found.entry(stack.to_owned()).or_default().insert(block);
        }
        // A stage's own parts beside its blocks (a merge) are of its last block.
        let blocks = |all: BTreeSet<Block>| all.into_iter().filter(|b| b.1 != u64::MAX).collect();
        Self(found.into_iter().map(|(stack, all)| (stack, blocks(all))).collect())
    }

    /// 0 behind the blocks, 1 in the last block, and so on; in front of the first block of N it is N + 1. `None`: its tower has no blocks.
    pub(super) fn distance(&self, name: &str) -> Option<u64> {
        if let Some((stack, block)) = place(name) {
            let blocks = self.0.get(stack)?;
            let at = blocks.partition_point(|b| *b <= block).max(1);
            return Some((blocks.len() - at) as u64 + 1);
        }
        let below = |stack: &str| {
            if stack.is_empty() { Some(name) } else { name.strip_prefix(stack)?.strip_prefix('.') }
        };
        let of = self.0.iter().filter_map(|(stack, blocks)| Some((stack.len(), below(stack)?, blocks.len())));
        let (_, rest, depth) = of.max_by_key(|(length, ..)| *length)?;
        let first = rest.split('.').next().unwrap_or(rest);
        Some(if BEFORE.contains(&first) { depth as u64 + 1 } else { 0 })
    }
}

/// The stack and the block that a name is of: `image.stages.2.blocks.1.norm.weight` is of `image`, (2, 1).
fn place(name: &str) -> Option<(&str, Block)> {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |at: usize| parts.get(at).and_then(|part| part.parse::<u64>().ok());
    let (at, stages) = (0..parts.len()).find_map(|i| match parts.get(i) {
        Some(&"stages") if number(i + 1).is_some() => Some((i, true)),
        Some(&"blocks") if number(i + 1).is_some() => Some((i, false)),
        _ => None,
    })?;
    let length = parts.iter().take(at).map(|part| part.len() + 1).sum::<usize>();
    let stack = name.get(..length.saturating_sub(1))?;
    let block = match stages {
        false => (0, number(at + 1)?),
        true if parts.get(at + 2) == Some(&"blocks") => (number(at + 1)?, number(at + 3)?),
        true => (number(at + 1)?, u64::MAX),
    };
    Some((stack, block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transformer_counts_from_its_end() {
        let names = [
            "image.stem.weight",
            "image.position.weight",
            "image.blocks.0.mlp.fc1.weight",
            "image.blocks.1.mlp.fc1.weight",
            "image.blocks.10.mlp.fc1.weight",
            "image.norm.weight",
            "image.projection.weight",
            "logit_scale.text_image",
            "text.embedding.weight",
            "text.class",
            "text.blocks.0.norm.weight",
            "fusion.decoder.embedding.weight",
            "fusion.decoder.blocks.0.norm.weight",
            "fusion.kind",
        ];
        let layers = Layers::of(names.into_iter());
        let found: Vec<Option<u64>> = names.iter().map(|n| layers.distance(n)).collect();
        let some = |n| Some(n);
        let expected = [
            some(4),
            some(4),
            some(3),
            some(2),
            some(1),
            some(0),
            some(0),
            None,
            some(2),
            some(2),
            some(1),
            some(2),
            some(1),
            None,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn stages_count_through() {
        let names = [
            "audio.stem.weight",
            "audio.stages.0.blocks.0.norm.weight",
            "audio.stages.0.blocks.1.norm.weight",
            "audio.stages.0.merge.reduce.weight",
            "audio.stages.1.blocks.0.norm.weight",
            "audio.head.weight",
        ];
        let layers = Layers::of(names.into_iter());
        let found: Vec<u64> = names.iter().map(|n| layers.distance(n).unwrap()).collect();
        assert_eq!(found, [4, 3, 2, 2, 1, 0]);
        let bare = Layers::of(["blocks.0.w", "stem.w"].into_iter());
        assert_eq!((bare.distance("stem.w"), bare.distance("norm.w")), (Some(2), Some(0)));
    }
}
