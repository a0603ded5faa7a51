//! How random pairs score: what a cosine is worth depends on the model and on the two modalities, a chance does not.
//!
//! For a pair of modalities (query, item) the index keeps at which score so many of random pairs end. Between two of these the logarithm of the chance
//! is taken to fall in a straight line, as it does in the tail of a bell; behind the last it goes on as it fell before.

use serde::{Deserialize, Serialize};
use unisono_processors::Modality;

/// The shares of random pairs whose least score is kept, from all of them on.
const TAILS: [f64; 20] = [
    1.0, 0.98, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5,
    1e-5, 5e-6,
];
/// A share is kept where so many pairs stand for it.
const LEAST: f64 = 20.0;
/// No chance is said to be smaller: nothing was seen that could tell.
const SMALLEST: f64 = 1e-9;

/// How random pairs of two modalities score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Modality of the query.
    pub from: Modality,
    /// Modality of the items.
    pub to: Modality,
    /// Pairs that were looked at.
    pub pairs: usize,
    /// At which score the best share of them begins, by shares that fall: all, 0.98, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01 and so on to 5e-6, as
    /// far as the pairs reach.
    pub scores: Vec<f32>,
}

impl Chance {
    /// Of these scores of random pairs; none where they are too few to say anything, or not numbers.
    pub fn of(from: Modality, to: Modality, mut scores: Vec<f32>) -> Option<Self> {
        let pairs = scores.len();
        if (pairs as f64) < LEAST * 10.0 || scores.iter().any(|s| !s.is_finite()) {
            return None;
        }
        scores.sort_by(|a, b| b.total_cmp(a));
        let at = |tail: f64| {
            let n = tail * pairs as f64;
            (n >= LEAST).then(|| scores.get((n as usize).clamp(1, pairs) - 1).copied()).flatten()
        };
        Some(Self { from, to, pairs, scores: TAILS.iter().map_while(|tail| at(*tail)).collect() })
    }

    /// Which share of random pairs scores as high as `score`: 1e-4 is one in ten thousand.
    pub fn of_score(&self, score: f32) -> f64 {
        let score = f64::from(score);
        let known: Vec<(f64, f64)> = self.scores.iter().map(|s| f64::from(*s)).zip(TAILS).collect();
        let Some(next) = known.iter().position(|(s, _)| *s > score) else {
            return self.behind(&known, score);
        };
        let Some((before, low)) = next.checked_sub(1).and_then(|i| known.get(i)) else { return 1.0 };
        let (after, high) = known[next];
        let part = (score - before) / (after - before);
        (low.ln() + part * (high.ln() - low.ln())).exp()
    }

    /// Behind the last score that is known, as steeply as from a fifth of its share on to it.
    fn behind(&self, known: &[(f64, f64)], score: f64) -> f64 {
        let Some((last, share)) = known.last().copied() else { return 1.0 };
        let before = known.iter().rev().find(|(s, tail)| *tail >= share * 5.0 && *s < last);
        let Some((from, tail)) = before else { return share };
        let fall = (tail / share).ln() / (last - from);
        (share * (-(score - last) * fall).exp()).clamp(SMALLEST, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    /// Uniform in (0, 1).
    fn draw(rng: &mut ChaCha8Rng) -> f64 {
        (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0
    }

    /// Scores that fall off exponentially: the chance of `s` is exp(-s) in closed form.
    fn scores(seed: u64, n: usize) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| -draw(&mut rng).ln() as f32).collect()
    }

    #[test]
    fn a_chance_is_the_closed_form_within_what_so_many_pairs_tell() {
        let chance = Chance::of(Modality::Text, Modality::Image, scores(1, 200_000)).unwrap();
        assert_eq!(chance.scores.len(), 16);
        for share in [0.9f64, 0.3, 0.01, 1e-3, 2e-4, 1e-4, 1e-6] {
            let found = chance.of_score(-share.ln() as f32);
            // Three standard errors of a share of so many pairs; behind the last a fifth of its logarithm.
            let error = if share < 1e-4 { 3.0 } else { 1.0 + 3.5 / (share * 200_000.0).sqrt() };
            assert!(found < share * error && found > share / error, "{share} {found}");
        }
        assert_eq!(chance.of_score(-1.0), 1.0);
        assert_eq!(chance.of_score(1e9), SMALLEST);
    }

    #[test]
    fn it_never_rises_with_the_score() {
        let chance = Chance::of(Modality::Text, Modality::Text, scores(2, 5000)).unwrap();
        let found: Vec<f64> = (-10..200).map(|i| chance.of_score(i as f32 * 0.1)).collect();
        assert!(found.is_sorted_by(|a, b| a >= b), "{found:?}");
        // Many that score alike.
        let alike = Chance::of(Modality::Text, Modality::Text, vec![0.5; 1000]).unwrap();
        assert!(alike.of_score(0.4) == 1.0 && alike.of_score(0.6) <= 0.05);
        assert!(Chance::of(Modality::Text, Modality::Text, vec![0.5; 100]).is_none());
        assert!(Chance::of(Modality::Text, Modality::Text, vec![f32::NAN; 1000]).is_none());
    }

    /// Over new random pairs, a chance of at most p is said of a share p of them: within the interval of so many.
    #[test]
    fn what_is_said_is_right_over_a_thousand_random_queries() {
        let (dim, mut rng) = (32, ChaCha8Rng::seed_from_u64(3));
        let mut unit = || -> Vec<f32> {
            let mut v: Vec<f32> = (0..dim)
                .map(|_| {
                    ((-2.0 * draw(&mut rng).ln()).sqrt() * (std::f64::consts::TAU * draw(&mut rng)).cos())
                        as f32
                })
                .collect();
            let length = crate::similarity(&v, &v).sqrt();
            v.iter_mut().for_each(|x| *x /= length);
            v
        };
        let items: Vec<Vec<f32>> = (0..400).map(|_| unit()).collect();
        let seen: Vec<Vec<f32>> = (0..500).map(|_| unit()).collect();
        let pairs = seen.iter().flat_map(|q| items.iter().map(|i| crate::similarity(q, i)));
        let chance = Chance::of(Modality::Text, Modality::Image, pairs.collect()).unwrap();
        let asked: Vec<Vec<f32>> = (0..1000).map(|_| unit()).collect();
        let said: Vec<f64> = asked
            .iter()
            .flat_map(|q| items.iter().map(|i| chance.of_score(crate::similarity(q, i))))
            .collect();
        let n = said.len() as f64;
        for p in [0.5, 0.1, 0.01, 1e-3, 1e-4] {
            let share = said.iter().filter(|c| **c <= p).count() as f64 / n;
            // Both sides were drawn: the errors of two samples, of 200,000 and of 400,000 pairs, and items that are shared.
            let error = 4.0 * (p * (1.0 / 200_000.0 + 1.0 / n)).sqrt() + 0.03 * p;
            assert!((share - p).abs() < error, "{p}: {share} ± {error}");
        }
    }
}
