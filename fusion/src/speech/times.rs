//! The rules that times obey.

use crate::generate::Rule;

/// The rules that times obey.
#[derive(Debug)]
pub(super) struct Times {
    /// The id that says that there are none; the first time's is the next.
    pub none: i64,
    pub end: i64,
    pub prompt: usize,
    pub most_initial: Option<i64>,
}

impl Rule for Times {
    fn apply(&self, ids: &[i64], scores: &mut [f32]) {
        let never = f32::NEG_INFINITY;
        let begin = (self.none + 1).clamp(0, scores.len() as i64) as usize;
        let is_time = |id: &i64| *id > self.none;
        if let Some(none) = scores.get_mut(self.none as usize) {
            *none = never;
        }
        let new = ids.get(self.prompt..).unwrap_or(&[]);
        let last = new.last().is_some_and(is_time);
        let before = new.len() < 2 || is_time(&new[new.len() - 2]);
        // Times come in pairs, but for one before the end.
        if last && before {
            scores[begin..].fill(never);
        } else if last {
            let end = (self.end.max(0) as usize).min(scores.len());
            scores[..end].fill(never);
        }
        if let Some(time) = new.iter().rev().find(|id| is_time(id)) {
            // They never go back, and a segment has a length.
            let least = if last && !before { *time } else { time + 1 };
            let least = (least.max(0) as usize).clamp(begin, scores.len());
            scores[begin..least].fill(never);
        }
        if new.is_empty() {
            scores[..begin].fill(never);
            if let Some(most) = self.most_initial {
                let from = (begin + most.max(0) as usize + 1).min(scores.len());
                scores[from..].fill(never);
            }
        }
        // All times together more probable than any one word: a time.
        let (words, times) = scores.split_at_mut(begin);
        let most = |s: &[f32]| s.iter().copied().fold(never, f32::max);
        let (word, time) = (most(words), most(times));
        if time > never {
            let sum: f32 = times.iter().map(|s| (s - time).exp()).sum();
            if time + sum.ln() > word {
                words.fill(never);
            }
        }
    }
}
