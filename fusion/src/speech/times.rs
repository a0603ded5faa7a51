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

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: f32 = f32::NEG_INFINITY;
    /// Words are 0 to 4, the end is 5, 6 says that there are no times, times are 7 to 12.
    const TIMES: Times = Times { none: 6, end: 5, prompt: 2, most_initial: Some(3) };

    /// Which ids may follow `new` when all are as probable.
    fn allowed(times: &Times, new: &[i64], scores: [f32; 13]) -> Vec<usize> {
        let (ids, mut scores) = ([&[90, 91][..], new].concat(), scores);
        times.apply(&ids, &mut scores);
        (0..13).filter(|i| scores[*i] > NEVER).collect()
    }

    /// Words far more probable than times: the rule about all times together does not decide.
    fn wordy() -> [f32; 13] {
        std::array::from_fn(|i| if i < 7 { 5.0 } else { -5.0 })
    }

    #[test]
    fn a_window_begins_with_a_time_that_is_not_late() {
        assert_eq!(allowed(&TIMES, &[], wordy()), [7, 8, 9, 10]);
        let any = Times { most_initial: None, ..TIMES };
        assert_eq!(allowed(&any, &[], wordy()), [7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn times_come_in_pairs_and_never_go_back() {
        // After the first time: words, or the end.
        assert_eq!(allowed(&TIMES, &[8], wordy()), [0, 1, 2, 3, 4, 5]);
        // In a segment: words, the end, or a time after its beginning.
        assert_eq!(allowed(&TIMES, &[8, 1], wordy()), [0, 1, 2, 3, 4, 5, 9, 10, 11, 12]);
        // After a segment's last time: the next one's first, which may be the same, or the end.
        assert_eq!(allowed(&TIMES, &[8, 1, 10], wordy()), [5, 10, 11, 12]);
        // After a pair: words again.
        assert_eq!(allowed(&TIMES, &[8, 1, 10, 10], wordy()), [0, 1, 2, 3, 4, 5]);
        assert_eq!(allowed(&TIMES, &[8, 1, 10, 10, 2], wordy()), [0, 1, 2, 3, 4, 5, 11, 12]);
        assert_eq!(allowed(&TIMES, &[8, 1, 12, 12, 2], wordy()), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn times_that_outweigh_every_word_are_taken() {
        let mut scores = [0.0f32; 13];
        // Each time by itself is less probable than the best word, the four that are left together are more.
        scores[0] = 1.0;
        assert_eq!(allowed(&TIMES, &[8, 1], scores), [9, 10, 11, 12]);
        scores[0] = 2.0;
        assert_eq!(allowed(&TIMES, &[8, 1], scores), [0, 1, 2, 3, 4, 5, 9, 10, 11, 12]);
    }

    #[test]
    fn ids_of_another_vocabulary_do_no_harm() {
        for times in [
            Times { none: 40, ..TIMES },
            Times { none: -9, ..TIMES },
            Times { end: 99, ..TIMES },
            Times { end: -1, ..TIMES },
            Times { prompt: 99, ..TIMES },
            Times { most_initial: Some(1 << 40), ..TIMES },
        ] {
            for new in [&[][..], &[8], &[8, 1, 500], &[-4, 1 << 40]] {
                let _ = allowed(&times, new, wordy());
            }
        }
    }
}
