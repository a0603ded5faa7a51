//! How much of a batch inputs are.

use crate::Batching;
use unisono_processors::Prepared;

/// What goes through the same tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Image,
    Audio,
    Video,
}

impl Kind {
    pub(crate) fn of(prepared: &Prepared) -> Self {
        match prepared {
            Prepared::Text(_) => Self::Text,
            Prepared::Image(_) => Self::Image,
            Prepared::Audio(..) => Self::Audio,
            Prepared::Video(_) => Self::Video,
        }
    }
}

/// How many inputs, how long the longest text is, and how many pixels and numbers there are besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    items: usize,
    longest: usize,
    numbers: usize,
}

impl Load {
    /// With one more.
    pub(crate) fn with(self, prepared: &Prepared) -> Self {
        let pixels = |image: &image::RgbImage| image.width() as usize * image.height() as usize;
        let (tokens, items, numbers) = match prepared {
            Prepared::Text(ids) => (ids.len(), 1, 0),
            Prepared::Image(of) => (0, 1, pixels(of)),
            Prepared::Audio(mel, _) => (0, 1, mel.len()),
            // A batch is as many images, whether they stand alone or in clips.
            Prepared::Video(clip) => (0, clip.frames.len(), clip.frames.iter().map(pixels).sum()),
        };
        Self { items: self.items + items, longest: self.longest.max(tokens), numbers: self.numbers + numbers }
    }

    /// With all of these.
    pub(crate) fn with_all<'a>(self, all: impl IntoIterator<Item = &'a Prepared>) -> Self {
        all.into_iter().fold(self, Self::with)
    }

    /// Whether it is more than a batch holds.
    pub(crate) fn exceeds(&self, most: &Batching) -> bool {
        self.items > most.items
            || self.items.saturating_mul(self.longest) > most.tokens
            || self.numbers > most.pixels
    }

    /// Whether nothing more has room.
    pub(crate) fn fills(&self, most: &Batching) -> bool {
        self.items >= most.items
    }
}

/// The inputs, `order` says in which order, in parts that each are a batch; one that is more than a batch is a part by itself.
pub(crate) fn parts(inputs: &[&Prepared], order: &[usize], most: &Batching) -> Vec<Vec<usize>> {
    let (mut parts, mut part, mut load) = (Vec::new(), Vec::new(), Load::default());
    for i in order {
        let with = load.with(inputs[*i]);
        if with.exceeds(most) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            load = Load::default();
        }
        load = load.with(inputs[*i]);
        part.push(*i);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn texts_by_padded_tokens_and_images_by_pixels() {
        let most = Batching { items: 4, tokens: 20, pixels: 100, ..Batching::default() };
        let text = |n: usize| Prepared::Text(vec![1; n]);
        let texts = [text(10), text(3), text(2), text(9), text(30)];
        let inputs: Vec<&Prepared> = texts.iter().collect();
        // Padded to the longest: three of ten are thirty.
        assert_eq!(parts(&inputs, &[0, 1, 2, 3, 4], &most), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(parts(&inputs, &[1, 2], &most), [[1, 2]]);
        let images: Vec<Prepared> = (0..5).map(|_| Prepared::Image(RgbImage::new(8, 6))).collect();
        let inputs: Vec<&Prepared> = images.iter().collect();
        assert_eq!(parts(&inputs, &[0, 1, 2, 3, 4], &most), [vec![0, 1], vec![2, 3], vec![4]]);
        assert!(parts(&inputs, &[], &most).is_empty());
    }
}
