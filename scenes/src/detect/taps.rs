//! Where OpenCV's bilinear resizing of bytes looks, along one axis.

/// Along one axis: for each output pixel two source pixels, and their weights in units of 1/2048.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    pub first: Vec<u32>,
    pub second: Vec<u32>,
    /// Of the first and of the second.
    pub weights: [Vec<i16>; 2],
}

impl Axis {
    /// Pixels' middles are laid over each other; positions are rounded to single precision, weights to 1/2048, as in OpenCV.
    pub(super) fn linear(from: usize, to: usize) -> Self {
        let scale = 1.0 / (to as f64 / from as f64);
        Self::new(from, to, |i| {
            let place = ((i as f64 + 0.5) * scale - 0.5) as f32;
            (place.floor() as i64, place - place.floor())
        })
    }

    /// What OpenCV does in place of averaging where an axis is made longer.
    pub(super) fn area_up(from: usize, to: usize) -> Self {
        let inverse = to as f64 / from as f64;
        let scale = 1.0 / inverse;
        Self::new(from, to, |i| {
            let first = (i as f64 * scale).floor();
            let part = ((i as f64 + 1.0) - (first + 1.0) * inverse) as f32;
            (first as i64, if part <= 0.0 { 0.0 } else { part - part.floor() })
        })
    }

    fn new(from: usize, to: usize, place: impl Fn(usize) -> (i64, f32)) -> Self {
        let mut axis = Self { first: Vec::new(), second: Vec::new(), weights: Default::default() };
        for i in 0..to {
            let (first, part) = place(i);
            let last = from as i64 - 1;
            let part = if first < 0 || first >= last { 0.0 } else { part };
            let first = first.clamp(0, last);
            let weight = |w: f32| (w * 2048.0).round_ties_even() as i16;
            let weights = [weight(1.0 - part), weight(part)];
            axis.first.push(first as u32);
            // A pixel that does not count is not looked at.
            axis.second.push(if weights[1] == 0 { first } else { first + 1 } as u32);
            for (all, weight) in axis.weights.iter_mut().zip(weights) {
                all.push(weight);
            }
        }
        axis
    }

    /// Each output pixel is one source pixel.
    pub(super) fn plain(&self) -> bool {
        self.weights[1].iter().all(|w| *w == 0)
    }

    /// The weights of one output pixel.
    pub(super) fn at(&self, i: usize) -> [i16; 2] {
        [self.weights[0][i], self.weights[1][i]]
    }
}

/// A row between two, each of whose pixels was multiplied by 128.
#[inline(always)]
pub(super) fn between(above: &[u16], below: &[u16], weights: [i16; 2], into: &mut [u8]) {
    let (a, b) = (u32::from(weights[0] as u16), u32::from(weights[1] as u16));
    let n = into.len().min(above.len()).min(below.len());
    let (above, below, into) = (&above[..n], &below[..n], &mut into[..n]);
    for i in 0..n {
        let sum = ((u32::from(above[i]) * a) >> 16) as u16 + ((u32::from(below[i]) * b) >> 16) as u16;
        into[i] = ((sum + 2) >> 2) as u8;
    }
}

/// Pixels of a row between the first and the second ones, times 128.
#[inline(always)]
pub(super) fn mix(first: &[u8], second: &[u8], weights: &[Vec<i16>; 2], into: &mut [u16]) {
    let n = into.len();
    let (first, second, into) = (&first[..n], &second[..n], &mut into[..n]);
    let (a, b) = (&weights[0][..n], &weights[1][..n]);
    for i in 0..n {
        let sum = i32::from(first[i]) * i32::from(a[i]) + i32::from(second[i]) * i32::from(b[i]);
        into[i] = (sum >> 4) as u16;
    }
}
