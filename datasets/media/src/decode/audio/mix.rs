//! Many channels to one, as the samples come: a decoder's blocks end anywhere.

/// The mean of the channels.
#[derive(Debug)]
pub(crate) struct Mix {
    channels: usize,
    /// The beginning of a frame whose end has not come.
    begun: Vec<f32>,
    samples: Vec<f32>,
}

impl Mix {
    /// For so many channels; at least one.
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels: channels.max(1), begun: Vec::new(), samples: Vec::new() }
    }

    /// Takes interleaved samples.
    pub(crate) fn push(&mut self, mut interleaved: &[f32]) {
        if self.channels == 1 {
            return self.samples.extend_from_slice(interleaved);
        }
        if !self.begun.is_empty() {
            let missing = (self.channels - self.begun.len()).min(interleaved.len());
            let (head, rest) = interleaved.split_at(missing);
            self.begun.extend_from_slice(head);
            if self.begun.len() < self.channels {
                return;
            }
            self.samples.push(mean(&self.begun));
            self.begun.clear();
            interleaved = rest;
        }
        let frames = interleaved.chunks_exact(self.channels);
        self.begun.extend_from_slice(frames.remainder());
        self.samples.extend(frames.map(mean));
    }

    /// Takes silence of so many frames.
    pub(crate) fn silence(&mut self, frames: usize) {
        self.samples.resize(self.samples.len() + frames, 0.0);
    }

    /// Whole frames so far.
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The one channel; a frame without its end is left out.
    pub(crate) fn finish(self) -> Vec<f32> {
        self.samples
    }
}

fn mean(frame: &[f32]) -> f32 {
    frame.iter().sum::<f32>() * (1.0 / frame.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_may_end_inside_a_frame() {
        let samples: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let whole: Vec<f32> = samples.chunks_exact(3).map(|f| (f[0] + f[1] + f[2]) * (1.0 / 3.0)).collect();
        for block in 1..=20 {
            let mut mix = Mix::new(3);
            samples.chunks(block).for_each(|part| mix.push(part));
            assert_eq!(mix.len(), 6);
            assert_eq!(mix.finish(), whole, "{block}");
        }
        let mut mix = Mix::new(0);
        mix.push(&[1.0]);
        mix.silence(2);
        assert_eq!(mix.finish(), [1.0, 0.0, 0.0]);
    }
}
