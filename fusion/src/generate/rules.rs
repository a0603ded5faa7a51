//! What a text's tokens so far do to the scores of its next one. Order and arithmetic are those of transformers' processors.

use crate::config::Generation;
use std::fmt::Debug;

/// A rule of a model's own, after all the others.
pub trait Rule: Debug {
    /// Changes the scores `[V]` of the token that follows `ids`, the prompt's included.
    fn apply(&self, ids: &[i64], scores: &mut [f32]);
}

const NEVER: f32 = f32::NEG_INFINITY;

fn forbid(scores: &mut [f32], id: i64) {
    if let Some(score) = usize::try_from(id).ok().and_then(|i| scores.get_mut(i)) {
        *score = NEVER;
    }
}

/// Applies every rule of `options` to the scores of the token that follows `ids`, of which the first `prompt` are the prompt's.
pub(super) fn apply(
    options: &Generation,
    rule: Option<&dyn Rule>,
    ids: &[i64],
    prompt: usize,
    scores: &mut [f32],
) {
    if options.repetition_penalty != 1.0 {
        let penalty = options.repetition_penalty as f32;
        let mut seen = ids.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(score) = usize::try_from(id).ok().and_then(|i| scores.get_mut(i)) {
                *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
            }
        }
    }
    let n = options.no_repeat_ngram;
    if n > 0 && ids.len() + 1 >= n {
        let begins = &ids[ids.len() + 1 - n..];
        for window in ids.windows(n).filter(|w| w[..n - 1] == *begins) {
            forbid(scores, window[n - 1]);
        }
    }
    if ids.len() < options.min_length {
        options.end.iter().for_each(|end| forbid(scores, *end));
    }
    let only = |scores: &mut [f32], id: i64| {
        scores.fill(NEVER);
        if let Some(score) = usize::try_from(id).ok().and_then(|i| scores.get_mut(i)) {
            *score = 0.0;
        }
    };
    if let Some(begin) = options.forced_begin
        && ids.len() == prompt
    {
        only(scores, begin);
    }
    if let Some(end) = options.forced_end
        && ids.len() + 1 == options.max_length
    {
        only(scores, end);
    }
    options.suppress.iter().for_each(|id| forbid(scores, *id));
    if ids.len() == prompt {
        options.begin_suppress.iter().for_each(|id| forbid(scores, *id));
    }
    if let Some(rule) = rule {
        rule.apply(ids, scores);
    }
}

/// No rule changes a score.
pub(super) fn idle(options: &Generation, rule: Option<&dyn Rule>) -> bool {
    rule.is_none()
        && options.repetition_penalty == 1.0
        && options.no_repeat_ngram == 0
        && options.min_length == 0
        && options.forced_begin.is_none()
        && options.forced_end.is_none()
        && options.suppress.is_empty()
        && options.begin_suppress.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(options: &Generation, ids: &[i64], prompt: usize) -> Vec<f32> {
        let mut scores = vec![1.0, -1.0, 2.0, 3.0, -2.0];
        apply(options, None, ids, prompt, &mut scores);
        scores
    }

    #[test]
    fn penalties_and_bans() {
        let base = Generation { end: vec![4], ..Generation::default() };
        let o = Generation { repetition_penalty: 2.0, ..base.clone() };
        assert_eq!(scores(&o, &[1, 3, 3], 1), [1.0, -2.0, 2.0, 1.5, -2.0]);
        let o = Generation { no_repeat_ngram: 2, ..base.clone() };
        assert_eq!(scores(&o, &[2, 0, 2, 3, 2], 1), [NEVER, -1.0, 2.0, NEVER, -2.0]);
        // One token of each kind at most.
        let o = Generation { no_repeat_ngram: 1, ..base.clone() };
        assert_eq!(scores(&o, &[2, 0], 1), [NEVER, -1.0, NEVER, 3.0, -2.0]);
        let o = Generation { min_length: 3, ..base.clone() };
        assert_eq!(scores(&o, &[2, 0], 1)[4], NEVER);
        assert_eq!(scores(&o, &[2, 0, 1], 1)[4], -2.0);
        let o = Generation { forced_end: Some(4), max_length: 3, ..base.clone() };
        assert_eq!(scores(&o, &[2, 0], 1), [NEVER, NEVER, NEVER, NEVER, 0.0]);
        let o = Generation { suppress: vec![3, 99], begin_suppress: vec![2], ..base };
        assert_eq!(scores(&o, &[1], 1), [1.0, -1.0, NEVER, NEVER, -2.0]);
        assert_eq!(scores(&o, &[1, 0], 1)[2], 2.0);
    }
}
