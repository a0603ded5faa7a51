//! Where a batch is cut into micro-batches: by samples, or by the tokens that the towers make of them.

use crate::data::Sample;
use std::ops::Range;
use unisono_encoders::config::{AudioConfig, ImageConfig, StemConfig};
use unisono_encoders::{Modality, Model};

/// `micro` samples each, the last one what is left.
pub(super) fn even(samples: usize, micro: usize) -> Vec<Range<usize>> {
    let micro = micro.max(1);
    (0..samples).step_by(micro).map(|first| first..(first + micro).min(samples)).collect()
}

/// As many samples in their order as have at most `most` tokens together, and at least one each.
pub(super) fn by_tokens(tokens: impl Iterator<Item = usize>, most: usize) -> Vec<Range<usize>> {
    let (mut cuts, mut first, mut sum, mut end) = (Vec::new(), 0, 0usize, 0);
    for (row, own) in tokens.enumerate() {
        if row > first && sum.saturating_add(own) > most {
            cuts.push(first..row);
            (first, sum) = (row, 0);
        }
        sum = sum.saturating_add(own);
        end = row + 1;
    }
    if end > first {
        cuts.push(first..end);
    }
    cuts
}

/// Tokens that a sample is to the blocks of the towers that run: of texts as they are read, of images patches and what stands before them, of audio
/// frames of the stem. A tower that has no such blocks counts a medium as one; vectors that are kept count nothing.
pub(super) fn tokens(model: &Model, sample: &Sample) -> usize {
    let (config, runs) = (model.config(), |m| !sample.pooled.contains_key(&m));
    let grid = |stem: &StemConfig, sides: [usize; 2]| {
        let [a, b] = stem.grid(sides.map(|side| i64::try_from(side).unwrap_or(i64::MAX)));
        [a, b].map(|n| usize::try_from(n).unwrap_or(0))
    };
    let text = sample.read().filter(|_| runs(Modality::Text)).map_or(0, <[i64]>::len);
    let square = |width: u32, height: u32| match &config.image {
        Some(ImageConfig::Transformer(c)) => {
            let [h, w] = grid(&c.stem, [height as usize, width as usize]);
            usize::try_from(c.prefix).unwrap_or(0).saturating_add(h.saturating_mul(w))
        }
        _ => 1,
    };
    let heard = |mel: &Vec<f32>| match &config.audio {
        Some(AudioConfig::Transformer(c)) => {
            let bands = usize::try_from(c.mels).unwrap_or(1).max(1);
            let [frames, rows] = grid(&c.stem, [mel.len() / bands, bands]);
            if c.grid { frames.saturating_mul(rows) } else { frames }
        }
        _ => 1,
    };
    let images: usize = sample.squares.iter().map(|s| square(s.width(), s.height())).sum();
    let audio: usize = sample.mel.iter().chain(&sample.track).map(heard).sum();
    text + images + audio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_no_part_is_empty() {
        assert_eq!(even(7, 3), [0..3, 3..6, 6..7]);
        assert_eq!(even(2, 0), [0..1, 1..2]);
        assert!(even(0, 4).is_empty());
        let cut = |tokens: &[usize], most| by_tokens(tokens.iter().copied(), most);
        assert_eq!(cut(&[3, 3, 3, 9, 1, 1, 20, 1], 6), [0..2, 2..3, 3..4, 4..6, 6..7, 7..8]);
        // What fits to the last token stays together, and what counts nothing goes along.
        assert_eq!(cut(&[2, 4, 0, 0], 6).as_slice(), std::slice::from_ref(&(0..4)));
        assert_eq!(cut(&[usize::MAX, usize::MAX], 6), [0..1, 1..2]);
        assert!(cut(&[], 6).is_empty());
    }
}
