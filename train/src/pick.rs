//! Which caption of a record is drawn.

use crate::recipe::{CaptionConfig, CaptionRule};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use unisono_datasets::{Record, words};

/// One caption of a record, as `config` says.
pub(crate) fn caption(r: &Record, config: &CaptionConfig, epoch: u64, rng: &mut impl Rng) -> String {
    let Some((name, others)) = r.text.split_first() else { return String::new() };
    let count = r.text.len() as u64;
    let picked = match config.rule {
        CaptionRule::Name => None,
        CaptionRule::First => Some(0),
        CaptionRule::Random => Some(rng.random_range(0..r.text.len())),
        // Records begin at different captions: an epoch has not the first ones only.
        CaptionRule::All => Some((hash(&r.id) % count).wrapping_add(epoch % count) as usize % r.text.len()),
        CaptionRule::Weighted => Some(weighted(&config.weights, r.text.len(), rng)),
    };
    if let Some(caption) = picked.and_then(|i| r.text.get(i)) {
        return caption.clone();
    }
    if others.is_empty() || rng.random::<f64>() < config.first {
        return name.clone();
    }
    let other = &others[rng.random_range(0..others.len())];
    if config.parts == 0 { other.clone() } else { some_parts(other, name, config, rng) }
}

/// Another caption of a record than the one that was drawn, each with the same probability; `None` where it has no other.
pub(crate) fn another(r: &Record, config: &CaptionConfig, drawn: &str, rng: &mut impl Rng) -> Option<String> {
    let mut others: Vec<(usize, &String)> = r.text.iter().enumerate().collect();
    others.retain(|(_, text)| words::folded(text) != words::folded(drawn));
    let (at, other) = others.choose(rng)?;
    let name = r.text.first().filter(|_| config.parts > 0 && *at > 0);
    Some(name.map_or_else(|| (*other).clone(), |name| some_parts(other, name, config, rng)))
}

/// Some of the parts of a caption between commas, in random order, the name before them now and then.
fn some_parts(other: &str, name: &str, config: &CaptionConfig, rng: &mut impl Rng) -> String {
    let mut parts: Vec<&str> = other.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
    parts.shuffle(rng);
    parts.truncate(rng.random_range(1..=config.parts));
    if rng.random::<f64>() < config.with_name {
        parts.insert(0, name);
    }
    parts.join(" ")
}

/// One of `count` by weights, the last of which is that of all that follow.
fn weighted(weights: &[f64], count: usize, rng: &mut impl Rng) -> usize {
    let weight = |i: usize| weights.get(i).or(weights.last()).copied().unwrap_or(1.0);
    let mut at = rng.random::<f64>() * (0..count).map(weight).sum::<f64>();
    for i in 0..count {
        at -= weight(i);
        if at < 0.0 {
            return i;
        }
    }
    // Of captions that are fewer than the weights before the first positive one.
    count.saturating_sub(1)
}

/// FNV-1a: identity within a batch, stable across runs and platforms.
pub(crate) fn hash(s: &str) -> u64 {
    s.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}
