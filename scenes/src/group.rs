//! Shots into scenes: clustering bounded in time (Yeung and Yeo 1996). Shots that look alike and are near each other join; a scene ends
//! where no cluster reaches across.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How shots become scenes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSettings {
    /// Clusters join while the mean cosine between their shots is at least this. 1.1 leaves every shot a scene of its own.
    pub similarity: f32,
    /// Seconds from the end of one shot to the start of another beyond which they never join.
    pub window: f64,
    /// Scenes shorter than this many seconds join the neighbour that is more like them; 0 keeps them.
    pub min_seconds: f64,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self { similarity: 0.8, window: 30.0, min_seconds: 0.0 }
    }
}

impl GroupSettings {
    /// # Errors
    /// A number that is none, or below 0.
    pub fn validate(&self) -> Result<()> {
        if !(-1.0..=2.0).contains(&self.similarity) {
            return Err(Error::setting(
                "group.similarity",
                "a cosine, -1 to 1 (or more: no joining)",
                self.similarity,
            ));
        }
        for (name, value) in [("group.window", self.window), ("group.min_seconds", self.min_seconds)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::setting(name, "seconds, 0 or more", value));
            }
        }
        Ok(())
    }
}

/// A shot as it is clustered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShotView<'a> {
    /// Seconds.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    /// A vector of length 1; `None`: nothing is known of it, and it joins nothing.
    pub vector: Option<&'a [f32]>,
}

/// Shots that have joined.
struct Cluster {
    first: usize,
    last: usize,
    count: f64,
    /// Of its shots' vectors: the mean of all cosines between two clusters is a product of sums.
    sum: Vec<f64>,
}

impl Cluster {
    fn mean_cosine(&self, other: &Self) -> f64 {
        let product: f64 = self.sum.iter().zip(&other.sum).map(|(a, b)| a * b).sum();
        product / (self.count * other.count)
    }

    fn take(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
    }
}

/// Scenes as ranges of shots, one after another without a gap. Ties fall to the earlier pair, so equal inputs give equal scenes.
///
/// Average linkage: the two clusters with the greatest mean cosine between their shots join, as long as it reaches `similarity` and some
/// shot of the one is within `window` of some shot of the other. Work is `O(n w)` for each join, for `w` shots in a window.
pub fn group(shots: &[ShotView], settings: &GroupSettings) -> Vec<(usize, usize)> {
    let mut clusters: Vec<Option<Cluster>> = (0..shots.len())
        .map(|i| {
            shots[i].vector.map(|v| Cluster {
                first: i,
                last: i,
                count: 1.0,
                sum: v.iter().map(|x| f64::from(*x)).collect(),
            })
        })
        .collect();
    // Mean cosines of clusters near each other, under both.
    let mut near: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); shots.len()];
    for a in 0..shots.len() {
        for b in a + 1..shots.len() {
            if shots[b].start - shots[a].end > settings.window {
                break;
            }
            if let (Some(x), Some(y)) = (&clusters[a], &clusters[b]) {
                let cosine = x.mean_cosine(y);
                near[a].insert(b, cosine);
                near[b].insert(a, cosine);
            }
        }
    }
    loop {
        let mut best: Option<(f64, usize, usize)> = None;
        for (a, others) in near.iter().enumerate() {
            for (b, cosine) in others.range(a + 1..) {
                if *cosine >= f64::from(settings.similarity) && best.is_none_or(|(most, ..)| *cosine > most) {
                    best = Some((*cosine, a, *b));
                }
            }
        }
        let Some((_, a, b)) = best else { break };
        let of_b = std::mem::take(&mut near[b]);
        near[a].extend(of_b);
        near[a].retain(|c, _| *c != a && *c != b);
        if let (Some(moved), Some(mine)) = (clusters[b].take(), &mut clusters[a]) {
            mine.take(&moved);
        }
        let others: Vec<usize> = near[a].keys().copied().collect();
        for c in others {
            near[c].remove(&b);
            if let (Some(x), Some(y)) = (&clusters[a], &clusters[c]) {
                let cosine = x.mean_cosine(y);
                near[a].insert(c, cosine);
                near[c].insert(a, cosine);
            }
        }
    }
    // A cluster spans from its first to its last shot; what overlaps is one scene.
    let mut reach: Vec<usize> = (0..shots.len()).collect();
    for cluster in clusters.iter().flatten() {
        reach[cluster.first] = cluster.last.max(reach[cluster.first]);
    }
    let mut scenes = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (i, last) in reach.iter().enumerate() {
        if i > end {
            scenes.push((start, i));
            start = i;
        }
        end = end.max(*last);
    }
    if !shots.is_empty() {
        scenes.push((start, shots.len()));
    }
    absorb(shots, scenes, settings)
}

/// Scenes that are too short join the neighbour whose nearest shot is more like theirs; the shortest first.
fn absorb(
    shots: &[ShotView],
    mut scenes: Vec<(usize, usize)>,
    settings: &GroupSettings,
) -> Vec<(usize, usize)> {
    let length = |(a, b): (usize, usize)| shots[b - 1].end - shots[a].start;
    let like = |a: usize, b: usize| match (shots[a].vector, shots[b].vector) {
        (Some(a), Some(b)) => a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>(),
        _ => 0.0,
    };
    while scenes.len() > 1 {
        let shortest = scenes.iter().enumerate().min_by(|a, b| length(*a.1).total_cmp(&length(*b.1)));
        let Some((i, scene)) = shortest else { break };
        if length(*scene) >= settings.min_seconds {
            break;
        }
        let before = i.checked_sub(1).map(|_| like(scene.0 - 1, scene.0));
        let after = scenes.get(i + 1).map(|next| like(scene.1 - 1, next.0));
        let at = if before >= after { i - 1 } else { i };
        scenes[at].1 = scenes[at + 1].1;
        scenes.remove(at + 1);
    }
    scenes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn views<'a>(vectors: &'a [Option<Vec<f32>>], seconds: f64) -> Vec<ShotView<'a>> {
        let at = |i: usize| i as f64 * seconds;
        let view = |(i, v): (usize, &'a Option<Vec<f32>>)| ShotView {
            start: at(i),
            end: at(i + 1),
            vector: v.as_deref(),
        };
        vectors.iter().enumerate().map(view).collect()
    }

    fn vectors(text: &str) -> Vec<Option<Vec<f32>>> {
        let axis = |c: char| match c {
            'a' => Some(vec![1.0, 0.0, 0.0]),
            'b' => Some(vec![0.0, 1.0, 0.0]),
            'c' => Some(vec![0.0, 0.0, 1.0]),
            _ => None,
        };
        text.chars().map(axis).collect()
    }

    fn scenes(text: &str, window: f64, min_seconds: f64) -> Vec<String> {
        let settings = GroupSettings { window, min_seconds, ..GroupSettings::default() };
        let vectors = vectors(text);
        group(&views(&vectors, 4.0), &settings).iter().map(|(a, b)| text[*a..*b].to_owned()).collect()
    }

    #[test]
    fn what_alternates_is_one_scene_and_what_is_far_is_another() {
        assert_eq!(scenes("abababcc", 30.0, 0.0), ["ababab", "cc"]);
        assert_eq!(scenes("aabbcc", 30.0, 0.0), ["aa", "bb", "cc"]);
        // The second dialogue is too late to be the first one's.
        assert_eq!(scenes("aaccccccccccaa", 30.0, 0.0), ["aa", "cccccccccc", "aa"]);
        assert_eq!(scenes("aaccccccccccaa", 60.0, 0.0), ["aaccccccccccaa"]);
        // A shot of which nothing is known stands alone, unless others reach across it.
        assert_eq!(scenes("a.b", 30.0, 0.0), ["a", ".", "b"]);
        assert_eq!(scenes("a.a", 30.0, 0.0), ["a.a"]);
        assert_eq!(scenes("", 30.0, 0.0), [""; 0]);
        assert_eq!(scenes("aaabcc", 30.0, 6.0), ["aaab", "cc"]);
    }

    #[test]
    fn settings_are_checked() {
        let bad = GroupSettings { window: f64::NAN, ..GroupSettings::default() };
        assert_eq!(
            bad.validate().unwrap_err().to_string(),
            "group.window: expected seconds, 0 or more, found NaN"
        );
        GroupSettings::default().validate().unwrap();
    }

    proptest! {
        #[test]
        fn scenes_cover_all_shots_once(text in "[abc.]{0,40}", window in 0.0f64..100.0, least in 0.0f64..20.0) {
            let settings = GroupSettings { window, min_seconds: least, ..GroupSettings::default() };
            let vectors = vectors(&text);
            let found = group(&views(&vectors, 4.0), &settings);
            let mut next = 0;
            for (a, b) in &found {
                prop_assert!(*a == next && b > a);
                next = *b;
            }
            prop_assert_eq!(next, text.len());
        }
    }
}
