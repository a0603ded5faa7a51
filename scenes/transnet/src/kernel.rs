//! A dilated cell on a CPU. Between its two convolutions, over space and over time, nothing bends: together they are one convolution of
//! 3×3×3 taps, and the norm after them is a scale and a bias. Over space it runs in tiles of Winograd's form, over time in offsets; what
//! it gives never leaves the caches before it is summed, bent and pooled.

use crate::gemm::{HALO, LANES, ROWS, Sizes, Vectors, multiply};
use crate::tiles::{self, POINTS, Vector};
use std::sync::{Mutex, PoisonError};

/// Features of windows: `[windows, height · width, place]`, a place being `[channels, eights]` and a gap; the last axis is frames, eight to a
/// vector, of which `frames` are real.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pub data: Vec<Vector>,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub frames: usize,
    pub eights: usize,
    pub place: usize,
}

/// An odd number of cache lines that holds `n` vectors. What lies a power of two apart shares a few sets of the first cache and drives itself out.
fn odd_lines(n: usize) -> usize {
    n.next_multiple_of(4) + 2
}

impl Map {
    fn new(windows: usize, [height, width]: [usize; 2], channels: usize, frames: usize) -> Self {
        let eights = frames.div_ceil(LANES);
        let place = odd_lines(channels * eights);
        let data = vec![[0.0; LANES]; windows * height * width * place];
        Self { data, height, width, channels, frames, eights, place }
    }

    /// Frames `[windows, frames, height, width, channels]` of bytes, as parts of 255.
    pub fn of_bytes(bytes: &[u8], [frames, height, width, channels]: [usize; 4]) -> Self {
        let size = frames * height * width * channels;
        let mut map = Self::new(bytes.len() / size, [height, width], channels, frames);
        let (places, eights) = (height * width, map.eights);
        for (i, place) in map.data.chunks_exact_mut(map.place).enumerate() {
            let first = i / places * size + i % places * channels;
            for (channel, to) in place.chunks_exact_mut(eights).take(channels).enumerate() {
                for (t, to) in to.as_flattened_mut().iter_mut().take(frames).enumerate() {
                    *to = f32::from(bytes[first + t * places * channels + channel]) / 255.0;
                }
            }
        }
        map
    }

    pub fn windows(&self) -> usize {
        self.data.len() / (self.height * self.width * self.place)
    }

    /// Frames of a channel at a place of a window; `None` outside the image.
    fn at(&self, window: usize, y: isize, x: isize, channel: usize) -> Option<&[Vector]> {
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(x).ok()?);
        if y >= self.height || x >= self.width {
            return None;
        }
        let start = ((window * self.height + y) * self.width + x) * self.place + channel * self.eights;
        self.data.get(start..start + self.eights)
    }
}

/// What happens to a cell's sums.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'a> {
    /// Negative ones become zero.
    Relu,
    /// So they do, the shortcut is added, and squares of two by two are averaged.
    Pool(&'a Map),
}

/// A cell's weights, packed.
#[derive(Debug)]
pub(crate) struct Cell {
    vectors: Vectors,
    channels: usize,
    filters: usize,
    /// One set for each point of a tile; one for single places, where the nine neighbours are channels.
    weights: Vec<Vec<f32>>,
    bias: Vec<f32>,
}

/// A few channels are not worth the way to the points and back.
const FEW: usize = 8;

/// One thread's memory.
struct Scratch {
    input: Vec<Vector>,
    output: Vec<Vector>,
    /// What is outside the image.
    zeros: Vec<Vector>,
}

/// Vectors from one point's input to the next one's, and from one point's output to the next one's.
fn per_point(sizes: &Sizes) -> (usize, usize) {
    (odd_lines(sizes.channels * sizes.row() / LANES), odd_lines(4 * sizes.filters * sizes.frames / LANES))
}

/// A part of the output: its window, row and column among the parts, and its places, each with row and column in the part.
struct Part<'a> {
    at: [usize; 3],
    places: Vec<(usize, usize, &'a mut [Vector])>,
}

impl Cell {
    /// `weights` `[4, F, 3, C, 3, 3]` by branch, filter, frame, channel, row and column; `bias` `[4 F]`. `None` where a plain convolution serves better:
    /// another processor, filters that do not fill its vectors.
    pub fn new(weights: &[f64], bias: Vec<f32>, channels: usize) -> Option<Self> {
        let vectors = Vectors::detect()?;
        let filters = bias.len() / 4;
        if !filters.is_multiple_of(ROWS) || filters == 0 || weights.len() != 4 * filters * 3 * channels * 9 {
            return None;
        }
        let (points, inner) = if channels < FEW { (1, 9 * channels) } else { (POINTS, channels) };
        let sizes = Sizes { channels: inner, filters, frames: LANES };
        let mut packed = vec![vec![0f32; sizes.weights()]; points];
        for (i, nine) in weights.as_chunks::<9>().0.iter().enumerate() {
            let (channel, rest) = (i % channels, i / channels);
            let (tap, rest) = (rest % 3, rest / 3);
            let (branch, filter) = (rest / filters, rest % filters);
            if points == 1 {
                for (neighbour, weight) in nine.iter().enumerate() {
                    packed[0][sizes.place(branch, filter, tap, neighbour * channels + channel)] =
                        *weight as f32;
                }
            } else {
                let place = sizes.place(branch, filter, tap, channel);
                for (packed, weight) in packed.iter_mut().zip(tiles::kernel(nine)) {
                    packed[place] = weight as f32;
                }
            }
        }
        Some(Self { vectors, channels, filters, weights: packed, bias })
    }

    /// Every window of `input` on `threads` threads.
    pub fn run(&self, input: &Map, end: End, threads: usize) -> Map {
        let (pool, side) = match end {
            End::Relu => (1, if self.weights.len() == 1 { 1 } else { 4 }),
            End::Pool(_) => (2, if self.weights.len() == 1 { 1 } else { 2 }),
        };
        let size = [input.height / pool, input.width / pool];
        let mut out = Map::new(input.windows(), size, 4 * self.filters, input.frames);
        let (down, across) = (size[0].div_ceil(side), size[1].div_ceil(side));
        let mut parts: Vec<Part> = (0..input.windows() * down * across)
            .map(|i| Part { at: [i / (down * across), i / across % down, i % across], places: Vec::new() })
            .collect();
        for (i, place) in out.data.chunks_exact_mut(out.place).enumerate() {
            let (window, y, x) = (i / (size[0] * size[1]), i / size[1] % size[0], i % size[1]);
            let part = (window * down + y / side) * across + x / side;
            parts[part].places.push((y % side, x % side, place));
        }
        let threads = threads.clamp(1, parts.len().max(1));
        let queue = Mutex::new(parts.into_iter());
        let work = || {
            let sizes = Sizes {
                channels: if self.weights.len() == 1 { 9 * self.channels } else { self.channels },
                filters: self.filters,
                frames: input.eights * LANES,
            };
            let points = self.weights.len();
            let mut scratch = Scratch {
                input: vec![[0.0; LANES]; points * per_point(&sizes).0],
                output: vec![[0.0; LANES]; points * per_point(&sizes).1],
                zeros: vec![[0.0; LANES]; input.eights],
            };
            loop {
                // The lock is held for the taking alone: nothing in it can stop half-way.
                let part = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(part) = part else { break };
                // SAFETY: `Vectors::detect` found them on this processor.
                unsafe {
                    match self.vectors {
                        #[cfg(target_arch = "x86_64")]
                        Vectors::Avx2 => self.part_avx2(&sizes, input, end, part, &mut scratch),
                        #[cfg(target_arch = "x86_64")]
                        Vectors::Avx512 => self.part_avx512(&sizes, input, end, part, &mut scratch),
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        out
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn part_avx2(&self, sizes: &Sizes, input: &Map, end: End, part: Part, scratch: &mut Scratch) {
        self.part(sizes, input, end, part, scratch);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn part_avx512(&self, sizes: &Sizes, input: &Map, end: End, part: Part, scratch: &mut Scratch) {
        self.part(sizes, input, end, part, scratch);
    }

    /// Inlined into functions for each kind of vectors, which its loops are then compiled to.
    #[inline(always)]
    fn part(&self, sizes: &Sizes, input: &Map, end: End, part: Part, scratch: &mut Scratch) {
        let tiled = self.weights.len() > 1;
        if tiled {
            gather_tile(sizes, input, part.at, scratch)
        } else {
            gather_place(sizes, input, part.at, scratch)
        }
        let (per_in, per_out) = per_point(sizes);
        let points = scratch.input.chunks_exact(per_in).zip(scratch.output.chunks_exact_mut(per_out));
        for ((from, to), weights) in points.zip(&self.weights) {
            // SAFETY: as in `run`.
            unsafe { multiply(self.vectors, sizes, from.as_flattened(), weights, to.as_flattened_mut()) };
        }
        if tiled {
            self.finish_tile(sizes, end, part, scratch);
        } else {
            self.finish_place(sizes, part, scratch);
        }
    }

    #[inline(always)]
    fn finish_place(&self, sizes: &Sizes, part: Part, scratch: &Scratch) {
        let eights = sizes.frames / LANES;
        for (_, _, place) in part.places {
            let rows = place.chunks_exact_mut(eights).zip(scratch.output.chunks_exact(eights));
            for ((to, from), bias) in rows.zip(&self.bias) {
                for (to, from) in to.as_flattened_mut().iter_mut().zip(from.as_flattened()) {
                    *to = (from + bias).max(0.0);
                }
            }
        }
    }

    #[inline(always)]
    fn finish_tile(&self, sizes: &Sizes, end: End, mut part: Part, scratch: &Scratch) {
        let eights = sizes.frames / LANES;
        let (_, per_point) = per_point(sizes);
        let [window, down, across] = part.at;
        let output = scratch.output.as_slice();
        let mut out = [[[0.0; LANES]; 4]; 4];
        for (channel, bias) in self.bias.iter().enumerate() {
            // The shortcut's frames at each place of the tile.
            let mut more = [[scratch.zeros.as_slice(); 4]; 4];
            if let End::Pool(shortcut) = end {
                for (y, row) in more.iter_mut().enumerate() {
                    for (x, frames) in row.iter_mut().enumerate() {
                        let (y, x) = ((4 * down + y) as isize, (4 * across + x) as isize);
                        *frames = shortcut.at(window, y, x, channel).unwrap_or(&scratch.zeros);
                    }
                }
            }
            for at in 0..eights {
                let start = channel * eights + at;
                tiles::backward(|i| output[i * per_point + start], &mut out);
                for value in out.as_flattened_mut().as_flattened_mut() {
                    *value = (*value + bias).max(0.0);
                }
                for (y, x, place) in &mut part.places {
                    let (y, x) = (*y & 3, *x & 3);
                    place[start] = match end {
                        End::Relu => out[y][x],
                        End::Pool(_) => {
                            let (y, x) = (2 * (y & 1), 2 * (x & 1));
                            let mut sum = [0.0; LANES];
                            for (y, x) in [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)] {
                                let (seen, more) = (&out[y][x], &more[y][x][at]);
                                for l in 0..LANES {
                                    sum[l] += seen[l] + more[l];
                                }
                            }
                            for value in &mut sum {
                                *value *= 0.25;
                            }
                            sum
                        }
                    };
                }
            }
        }
    }
}

/// The thirty-six points of a tile of 4×4, for each channel and frame.
#[inline(always)]
fn gather_tile(sizes: &Sizes, input: &Map, [window, down, across]: [usize; 3], scratch: &mut Scratch) {
    let (per_point, _) = per_point(sizes);
    let Scratch { input: points, zeros, .. } = scratch;
    for channel in 0..input.channels {
        let mut rows = [[zeros.as_slice(); 6]; 6];
        for (y, row) in rows.iter_mut().enumerate() {
            for (x, frames) in row.iter_mut().enumerate() {
                let (y, x) = ((4 * down + y) as isize - 1, (4 * across + x) as isize - 1);
                *frames = input.at(window, y, x, channel).unwrap_or(zeros);
            }
        }
        let start = (channel * sizes.row() + HALO) / LANES;
        for at in 0..input.eights {
            tiles::forward(|y, x| rows[y][x][at], |i, point| points[i * per_point + start + at] = *point);
        }
        // What follows the last frame is zero for the frames before it.
        let real = input.frames % LANES;
        if real > 0 {
            for i in 0..POINTS {
                points[i * per_point + start + input.eights - 1][real..].fill(0.0);
            }
        }
    }
}

/// A place and its eight neighbours.
#[inline(always)]
fn gather_place(sizes: &Sizes, input: &Map, [window, y, x]: [usize; 3], scratch: &mut Scratch) {
    let row = sizes.row() / LANES;
    for (i, row) in scratch.input.chunks_exact_mut(row).take(sizes.channels).enumerate() {
        let (neighbour, channel) = (i / input.channels, i % input.channels);
        let (y, x) = ((y + neighbour / 3) as isize - 1, (x + neighbour % 3) as isize - 1);
        // Frames that are not real are zeros in what bytes became.
        let frames = input.at(window, y, x, channel).unwrap_or(&scratch.zeros);
        row[HALO / LANES..][..input.eights].copy_from_slice(frames);
    }
}
