//! The network over a film of any length: windows of 100 frames, 50 apart, of which each answers for its middle.

use crate::{FRAME, HEIGHT, TransNet, WIDTH};
use tch::Tensor;
use unisono_nn::{Error, Result};

/// Frames that the network sees at once.
const WINDOW: usize = 100;
/// Frames between windows, and answers that one gives.
const STEP: usize = 50;
/// Frames of a window before its first answer.
const BEFORE: usize = (WINDOW - STEP) / 2;

/// What the network thinks of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    /// Probability that it is the one at which a shot ends: the reference cuts where this is above a half.
    pub single: f32,
    /// Probability that it is one of a transition's frames.
    pub many_hot: f32,
}

/// Takes frames as they are decoded and gives the boundaries in the same order, as the reference's `predict_frames` does for all at once:
/// before the first frame and after the last the same one is repeated.
#[derive(Debug)]
pub struct TransNetStream<'a> {
    net: &'a TransNet,
    batch: usize,
    /// Frames from the first that a coming window needs.
    frames: Vec<u8>,
    taken: usize,
    given: usize,
}

impl<'a> TransNetStream<'a> {
    /// `batch` windows go through the network at once: 1 answers soonest, more keep many cores or a GPU busy.
    pub fn new(net: &'a TransNet, batch: usize) -> Self {
        Self { net, batch: batch.max(1), frames: Vec::new(), taken: 0, given: 0 }
    }

    /// Takes the next frame, 48×27 pixels, rows from the top, red, green and blue by turns. Gives what has become known: nothing, or the
    /// boundaries of a number of frames.
    ///
    /// # Errors
    /// A frame of another size; libtorch's.
    pub fn push(&mut self, frame: &[u8]) -> Result<Vec<Boundary>> {
        if frame.len() != FRAME {
            return Err(Error::Input(format!(
                "expected a frame of {FRAME} bytes ({WIDTH}x{HEIGHT} pixels, 3 bytes each), found {}",
                frame.len()
            )));
        }
        if self.taken == 0 {
            self.frames.extend(frame.repeat(BEFORE));
        }
        self.frames.extend_from_slice(frame);
        self.taken += 1;
        if self.frames.len() < (WINDOW + (self.batch - 1) * STEP) * FRAME {
            return Ok(Vec::new());
        }
        self.run(self.batch)
    }

    /// The boundaries of the frames that are left.
    ///
    /// # Errors
    /// libtorch's.
    pub fn finish(mut self) -> Result<Vec<Boundary>> {
        let windows = (self.taken - self.given).div_ceil(STEP);
        let Some(last) = self.frames.len().checked_sub(FRAME).filter(|_| windows > 0) else {
            return Ok(Vec::new());
        };
        let last = self.frames[last..].to_vec();
        while self.frames.len() < (WINDOW + (windows - 1) * STEP) * FRAME {
            self.frames.extend_from_slice(&last);
        }
        let mut out = self.run(windows)?;
        // The last window also answers for what it was filled up with.
        out.truncate(self.taken - (self.given - windows * STEP));
        Ok(out)
    }

    /// Answers of the next `windows` windows, whose frames are there.
    fn run(&mut self, windows: usize) -> Result<Vec<Boundary>> {
        let mut bytes = Vec::with_capacity(windows * WINDOW * FRAME);
        for window in 0..windows {
            bytes.extend_from_slice(&self.frames[window * STEP * FRAME..][..WINDOW * FRAME]);
        }
        let shape = [windows, WINDOW, HEIGHT, WIDTH, 3].map(|n| n as i64);
        let frames = Tensor::f_from_slice(&bytes)?.f_view(shape)?;
        let (single, many_hot) = self.net.forward_part(&frames, BEFORE as i64, STEP as i64)?;
        let values = |logits: &Tensor| -> Result<Vec<f32>> {
            let p = logits.f_sigmoid()?.f_to_device(tch::Device::Cpu)?.f_reshape([-1])?;
            Ok(Vec::<f32>::try_from(&p)?)
        };
        let pairs = values(&single)?.into_iter().zip(values(&many_hot)?);
        self.frames.drain(..windows * STEP * FRAME);
        self.given += windows * STEP;
        Ok(pairs.map(|(single, many_hot)| Boundary { single, many_hot }).collect())
    }
}
