//! Drawing a token: a function of the seed, the text and the step alone, never of the batch.

use crate::config::Generation;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The token drawn from `scores` (changed: what cannot be drawn is −∞ afterwards).
pub(super) fn draw(options: &Generation, text: u64, step: u64, scores: &mut [f32]) -> i64 {
    let temperature = options.temperature as f32;
    scores.iter_mut().for_each(|s| *s /= temperature);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Best first; equals by their ids, so that the order is one.
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let best = order.first().map_or(0.0, |i| scores[*i]);
    let weights: Vec<f64> = order.iter().map(|i| f64::from(scores[*i] - best).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut kept = weights.len();
    if options.top_p < 1.0 {
        let mut sum = 0.0;
        for (i, w) in weights.iter().enumerate() {
            // A token stays when those before it have less than the wanted probability.
            if sum / total >= options.top_p {
                kept = i;
                break;
            }
            sum += w;
        }
    }
    let kept = kept.max(1).min(weights.len());
    let mass: f64 = weights[..kept].iter().sum();
    let mut key = [0u8; 32];
    for (at, value) in [options.seed, text, step].into_iter().enumerate() {
        key[at * 8..at * 8 + 8].copy_from_slice(&value.to_le_bytes());
    }
    key[24..].copy_from_slice(b"generate");
    let mut rest = ChaCha8Rng::from_seed(key).random::<f64>() * mass;
    for (i, w) in order.iter().zip(&weights[..kept]) {
        rest -= w;
        if rest < 0.0 {
            return *i as i64;
        }
    }
    order.get(kept.saturating_sub(1)).map_or(0, |i| *i as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(options: &Generation, scores: &[f32]) -> Vec<usize> {
        let mut counts = vec![0; scores.len()];
        for step in 0..4000 {
            counts[draw(options, 7, step, &mut scores.to_vec()) as usize] += 1;
        }
        counts
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let p = [0.5f32, 0.3, 0.15, 0.05];
        let scores = p.map(f32::ln);
        let base = Generation { temperature: 1.0, ..Generation::default() };
        for (found, want) in counts(&base, &scores).iter().zip(p) {
            assert!((*found as f32 / 4000.0 - want).abs() < 0.03, "{found} {want}");
        }
        assert!(counts(&Generation { top_k: 2, ..base.clone() }, &scores)[2..].iter().all(|n| *n == 0));
        // 0.5 is less than 0.6, so the second stays, and with it 0.8 are reached.
        let c = counts(&Generation { top_p: 0.6, ..base.clone() }, &scores);
        assert!(c[1] > 1000 && c[2] + c[3] == 0, "{c:?}");
        let cold = counts(&Generation { temperature: 0.05, ..base.clone() }, &scores);
        assert!(cold[0] > 3990);
        assert_eq!(counts(&base, &scores), counts(&base, &scores));
        let forbidden = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, 0.0];
        let c = counts(&base, &forbidden);
        assert!(c[0] + c[2] == 0 && c[1] > 1800, "{c:?}");
    }
}
