//! The sums of a dilated cell: for every filter and frame, over channels and three frames that lie a dilation apart. Frames are the
//! vectors' lanes, so a dilation is an offset.

/// Zeros before the first and after the last frame: as far as the largest dilation reaches.
pub(crate) const HALO: usize = 8;
/// Frames are computed in eights.
pub(crate) const LANES: usize = 8;
/// Filters that share a load of frames.
pub(crate) const ROWS: usize = 4;
/// Channels whose frames stay in the first cache while all filters use them.
const CHUNK: usize = 128;

/// How far apart the frames of a branch lie.
pub(crate) const DILATIONS: [usize; 4] = [1, 2, 4, 8];

/// One product's sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Channels K of the input.
    pub channels: usize,
    /// Filters F of each of the four branches, a multiple of [`ROWS`].
    pub filters: usize,
    /// Frames, a multiple of [`LANES`].
    pub frames: usize,
}

impl Sizes {
    /// From one channel to the next in the input.
    pub fn row(&self) -> usize {
        self.frames + 2 * HALO
    }

    /// Weights of one product.
    pub fn weights(&self) -> usize {
        4 * self.filters * 3 * self.channels
    }

    /// Where the weight of a branch's filter, tap and channel lies: `[chunk, branch, F / 4, tap, channel, 4]`.
    pub fn place(&self, branch: usize, filter: usize, tap: usize, channel: usize) -> usize {
        let start = channel / CHUNK * CHUNK;
        let length = CHUNK.min(self.channels - start);
        let group = branch * (self.filters / ROWS) + filter / ROWS;
        start * 12 * self.filters + ((group * 3 + tap) * length + channel - start) * ROWS + filter % ROWS
    }
}

/// The vectors that a processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vectors {
    /// 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Vectors {
    /// The widest of this processor; `None`: no kernel here is fast on it.
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Some(Self::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                return Some(Self::Avx2);
            }
        }
        None
    }
}

/// `input` `[K, HALO + frames + HALO]`, `weights` as [`Sizes::place`] says → `out` `[4 F, frames]`.
///
/// # Safety
/// The processor has `vectors`.
pub(crate) unsafe fn multiply(
    vectors: Vectors,
    sizes: &Sizes,
    input: &[f32],
    weights: &[f32],
    out: &mut [f32],
) {
    let Sizes { channels, filters, frames } = *sizes;
    let row = sizes.row();
    for start in (0..channels).step_by(CHUNK) {
        let length = CHUNK.min(channels - start);
        let mut block =
            Block { input: &[], row, step: 0, weights: &[], channels: length, frames, add: start > 0 };
        let weights = &weights[start * 12 * filters..];
        let mut at = 0;
        while at < frames {
            let wide: usize = match vectors {
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => x86::wide256(frames - at),
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => x86::wide512(frames - at),
            };
            for (branch, dilation) in DILATIONS.iter().enumerate() {
                block.step = *dilation;
                block.input = &input[start * row + at + HALO - dilation..];
                for group in 0..filters / ROWS {
                    let group = branch * (filters / ROWS) + group;
                    block.weights = &weights[group * 3 * length * ROWS..];
                    let out = &mut out[group * ROWS * frames + at..];
                    // SAFETY: the caller's.
                    unsafe {
                        match vectors {
                            #[cfg(target_arch = "x86_64")]
                            Vectors::Avx2 => x86::block256(&block, wide, out),
                            #[cfg(target_arch = "x86_64")]
                            Vectors::Avx512 => x86::block512(&block, wide, out),
                        }
                    }
                }
            }
            at += wide * LANES;
        }
    }
}

/// Four filters over some frames.
struct Block<'a> {
    /// From the first frame's first tap on.
    input: &'a [f32],
    row: usize,
    /// Frames between taps.
    step: usize,
    /// `[3, channels, 4]`.
    weights: &'a [f32],
    channels: usize,
    frames: usize,
    /// To what is there.
    add: bool,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, LANES, ROWS};
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    /// Eights of frames that the next block takes: three, four filters of which fill twelve of sixteen registers; no single one is left.
    pub(crate) fn wide256(frames: usize) -> usize {
        match frames / LANES {
            4 => 2,
            n => n.min(3),
        }
    }

    /// The same for thirty-two registers twice as long.
    pub(crate) fn wide512(frames: usize) -> usize {
        (frames / LANES).min(14)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn block256(b: &Block, wide: usize, out: &mut [f32]) {
        match wide {
            1 => half::<1>(b, out),
            2 => half::<2>(b, out),
            _ => half::<3>(b, out),
        }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(crate) fn block512(b: &Block, wide: usize, out: &mut [f32]) {
        match wide {
            1 => half::<1>(b, out),
            2 => whole::<1, false>(b, out),
            3 => whole::<1, true>(b, out),
            4 => whole::<2, false>(b, out),
            5 => whole::<2, true>(b, out),
            6 => whole::<3, false>(b, out),
            7 => whole::<3, true>(b, out),
            8 => whole::<4, false>(b, out),
            9 => whole::<4, true>(b, out),
            10 => whole::<5, false>(b, out),
            11 => whole::<5, true>(b, out),
            12 => whole::<6, false>(b, out),
            13 => whole::<6, true>(b, out),
            _ => whole::<7, false>(b, out),
        }
    }

    /// Cut to what `n` frames read and write: the bounds are checked here, once.
    fn bounds<'a>(b: &'a Block, n: usize, out: &'a mut [f32]) -> (&'a [f32], &'a [f32], &'a mut [f32]) {
        let input = &b.input[..(b.channels - 1) * b.row + 2 * b.step + n];
        (input, &b.weights[..3 * b.channels * ROWS], &mut out[..(ROWS - 1) * b.frames + n])
    }

    #[target_feature(enable = "avx2,fma")]
    fn half<const N: usize>(b: &Block, out: &mut [f32]) {
        let (input, weights, out) = bounds(b, N * LANES, out);
        // SAFETY: every address lies within the slices that `bounds` cut.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); N]; ROWS];
            if b.add {
                for (r, row) in sums.iter_mut().enumerate() {
                    for (n, sum) in row.iter_mut().enumerate() {
                        *sum = _mm256_loadu_ps(out.as_ptr().add(r * b.frames + n * LANES));
                    }
                }
            }
            let mut weight = weights.as_ptr();
            for tap in 0..3 {
                let mut at = input.as_ptr().add(tap * b.step);
                for _ in 0..b.channels {
                    let x: [_; N] = std::array::from_fn(|n| _mm256_loadu_ps(at.add(n * LANES)));
                    for (r, row) in sums.iter_mut().enumerate() {
                        let w = _mm256_set1_ps(*weight.add(r));
                        for (sum, x) in row.iter_mut().zip(x) {
                            *sum = _mm256_fmadd_ps(w, x, *sum);
                        }
                    }
                    at = at.wrapping_add(b.row);
                    weight = weight.add(ROWS);
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (n, sum) in row.iter().enumerate() {
                    _mm256_storeu_ps(out.as_mut_ptr().add(r * b.frames + n * LANES), *sum);
                }
            }
        }
    }

    /// `N` vectors of sixteen and, with `MORE`, one of eight.
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn whole<const N: usize, const MORE: bool>(b: &Block, out: &mut [f32]) {
        const L: usize = 2 * LANES;
        let (input, weights, out) = bounds(b, N * L + if MORE { LANES } else { 0 }, out);
        // SAFETY: every address lies within the slices that `bounds` cut.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); N]; ROWS];
            let mut last = [_mm256_setzero_ps(); ROWS];
            if b.add {
                for r in 0..ROWS {
                    let from = out.as_ptr().add(r * b.frames);
                    for (n, sum) in sums[r].iter_mut().enumerate() {
                        *sum = _mm512_loadu_ps(from.add(n * L));
                    }
                    if MORE {
                        last[r] = _mm256_loadu_ps(from.add(N * L));
                    }
                }
            }
            let mut weight = weights.as_ptr();
            for tap in 0..3 {
                let mut at = input.as_ptr().add(tap * b.step);
                for _ in 0..b.channels {
                    let x: [_; N] = std::array::from_fn(|n| _mm512_loadu_ps(at.add(n * L)));
                    let y = if MORE { _mm256_loadu_ps(at.add(N * L)) } else { _mm256_setzero_ps() };
                    for r in 0..ROWS {
                        let w = _mm512_set1_ps(*weight.add(r));
                        for (sum, x) in sums[r].iter_mut().zip(x) {
                            *sum = _mm512_fmadd_ps(w, x, *sum);
                        }
                        if MORE {
                            last[r] = _mm256_fmadd_ps(_mm256_set1_ps(*weight.add(r)), y, last[r]);
                        }
                    }
                    at = at.wrapping_add(b.row);
                    weight = weight.add(ROWS);
                }
            }
            for r in 0..ROWS {
                let to = out.as_mut_ptr().add(r * b.frames);
                for (n, sum) in sums[r].iter().enumerate() {
                    _mm512_storeu_ps(to.add(n * L), *sum);
                }
                if MORE {
                    _mm256_storeu_ps(to.add(N * L), last[r]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn sums_are_the_plain_ones() {
        let mut kinds = Vec::new();
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            kinds.push(Vectors::Avx2);
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            kinds.push(Vectors::Avx512);
        }
        for (channels, filters, frames) in
            [(3, 4, 8), (27, 8, 16), (130, 4, 104), (9, 12, 56), (5, 4, 232), (1, 4, 40)]
        {
            let sizes = Sizes { channels, filters, frames };
            let wave = |i: usize| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0;
            let input: Vec<f32> = (0..channels * sizes.row()).map(wave).collect();
            let plain: Vec<f32> = (0..sizes.weights()).map(|i| wave(i + 5)).collect();
            let mut packed = vec![f32::NAN; sizes.weights()];
            let mut want = vec![0f32; 4 * filters * frames];
            for branch in 0..4 {
                for filter in 0..filters {
                    for tap in 0..3 {
                        for channel in 0..channels {
                            let w = plain[((branch * filters + filter) * 3 + tap) * channels + channel];
                            packed[sizes.place(branch, filter, tap, channel)] = w;
                            for t in 0..frames {
                                let from = t + HALO + tap * DILATIONS[branch] - DILATIONS[branch];
                                want[(branch * filters + filter) * frames + t] +=
                                    w * input[channel * sizes.row() + from];
                            }
                        }
                    }
                }
            }
            for vectors in &kinds {
                let mut out = vec![f32::NAN; want.len()];
                // SAFETY: detected above.
                unsafe { multiply(*vectors, &sizes, &input, &packed, &mut out) };
                for (found, want) in out.iter().zip(&want) {
                    assert!((found - want).abs() < 1e-4, "{vectors:?} {sizes:?}: {found} {want}");
                }
            }
        }
    }
}
