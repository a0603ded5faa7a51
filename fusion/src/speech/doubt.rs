//! Texts that are not to be trusted.

use super::Transcription;
use super::segments::compression;

/// Why a window's text is bad.
pub(super) struct Doubts {
    /// It repeats itself: its ids become much smaller when they are compressed.
    pub repeats: bool,
    /// Its tokens are not likely.
    pub unsure: bool,
}

impl Doubts {
    /// Of a text of these ids, drawn from a vocabulary of so many, with this score.
    pub fn of(ids: &[i64], vocab: i64, score: f64, o: &Transcription) -> Self {
        Self {
            repeats: o.compression_ratio.is_some_and(|most| compression(ids, vocab) > most),
            unsure: o.log_probability.is_some_and(|least| score < least),
        }
    }
}

/// Whether the text of a window that was cut says that the window should have been heard whole. A decoder whose memory is not quite that
/// of its training may go round in circles: a few words over and over are too few to be told by how they compress, or it does not come to an
/// end. Looked at whatever `o` asks of whole windows. Ids from `times` on are times, which go on while words do not.
pub(super) fn of_a_cut(
    ids: &[i64],
    times: i64,
    ended: bool,
    vocab: i64,
    score: f64,
    o: &Transcription,
) -> bool {
    let usual = Transcription::new(o.generation.clone());
    let limits = Transcription {
        compression_ratio: o.compression_ratio.or(usual.compression_ratio),
        log_probability: o.log_probability.or(usual.log_probability),
        ..usual
    };
    let doubts = Doubts::of(ids, vocab, score, &limits);
    // Who asks for short texts gets such as do not end.
    let endless = !ended && o.most.is_none();
    let words: Vec<i64> = ids.iter().copied().filter(|id| *id < times).collect();
    doubts.repeats || doubts.unsure || endless || in_circles(&words)
}

/// Whether one or two ids stand three times in a row, or more of them twice.
fn in_circles(ids: &[i64]) -> bool {
    (1..=ids.len() / 2).any(|n| {
        let times = if n < 3 { 3 } else { 2 };
        ids.windows(n * times).any(|w| w[n..] == w[..w.len() - n])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Generation;

    #[test]
    fn what_stands_in_a_row_goes_in_circles() {
        for (ids, want) in [
            (&[][..], false),
            (&[1, 2, 3, 4, 5], false),
            (&[1, 1, 2, 2], false),
            (&[7, 1, 1, 1, 7], true),
            (&[1, 2, 1, 2], false),
            (&[1, 2, 1, 2, 1, 2, 9], true),
            (&[9, 1, 2, 3, 1, 2, 3], true),
            (&[1, 2, 3, 9, 1, 2, 3], false),
        ] {
            assert_eq!(in_circles(ids), want, "{ids:?}");
        }
    }

    #[test]
    fn a_cut_window_is_doubted_whatever_is_asked_of_whole_ones() {
        let bold = Transcription {
            compression_ratio: None,
            log_probability: None,
            ..Transcription::new(Generation::default())
        };
        let ids: Vec<i64> = (0..40).map(|i| i * 7919 % 50_000).collect();
        let whole = Doubts::of(&[7; 200], 50_000, -9.0, &bold);
        assert!(!whole.repeats && !whole.unsure);
        let of_a_cut = |ids: &[i64], ended, score, o: &Transcription| {
            super::of_a_cut(ids, 50_000, ended, 50_000, score, o)
        };
        assert!(!of_a_cut(&ids, true, -0.3, &bold));
        assert!(of_a_cut(&ids, true, -1.1, &bold));
        assert!(of_a_cut(&[7; 200], true, -0.3, &bold));
        assert!(of_a_cut(&ids, false, -0.3, &bold));
        assert!(!of_a_cut(&ids, false, -0.3, &Transcription { most: Some(40), ..bold.clone() }));
        // The same word at one time after another.
        let spoken: Vec<i64> = (0..4).flat_map(|i| [50_010 + i, 7, 8, 50_011 + i]).collect();
        assert!(of_a_cut(&spoken, true, -0.3, &bold));
        // Stricter wishes hold for both.
        let strict = Transcription { log_probability: Some(-0.2), ..bold };
        assert!(of_a_cut(&ids, true, -0.3, &strict) && Doubts::of(&ids, 50_000, -0.3, &strict).unsure);
    }
}
