//! A dilated cell on a CPU. Between its two convolutions, over space and over time, nothing bends: together they are one convolution of
//! 3×3×3 taps, and the norm after them is a scale and a bias. Over space it runs in tiles of Winograd's form, over time in offsets; what
//! it gives never leaves the caches before it is summed, bent and pooled.

use super::gemm::{HALO, LANES, ROWS, Sizes, Vectors, multiply};
use super::tiles::{self, POINTS, Vector};
use std::sync::{Mutex, PoisonError};

/// Features of windows: `[windows, height · width, channels, stride]`, the last axis frames, of which `frames` are real.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub data: Vec<f32>,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub frames: usize,
    pub stride: usize,
}

impl Map {
    fn new(windows: usize, [height, width]: [usize; 2], channels: usize, frames: usize) -> Self {
        let stride = frames.next_multiple_of(LANES);
        Self { data: vec![0.0; windows * height * width * channels * stride], height, width, channels, frames, stride }
    }

    /// Frames `[windows, frames, height, width, channels]` of bytes, as parts of 255.
    pub fn of_bytes(bytes: &[u8], [frames, height, width, channels]: [usize; 4]) -> Self {
        let size = frames * height * width * channels;
        let mut map = Self::new(bytes.len() / size, [height, width], channels, frames);
        let (place, stride) = (height * width * channels, map.stride);
        for (window, to) in bytes.chunks_exact(size).zip(map.data.chunks_exact_mut(place * stride)) {
            for (i, to) in to.chunks_exact_mut(stride).enumerate() {
                for (t, to) in to.iter_mut().take(frames).enumerate() {
                    *to = f32::from(window[t * place + i]) / 255.0;
                }
            }
        }
        map
    }

    pub fn windows(&self) -> usize {
        self.data.len() / (self.height * self.width * self.channels * self.stride)
    }

    /// Frames of a channel at a place of a window; `None` outside the picture.
    fn at(&self, window: usize, y: isize, x: isize, channel: usize) -> Option<&[f32]> {
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(x).ok()?);
        if y >= self.height || x >= self.width {
            return None;
        }
        let start = (((window * self.height + y) * self.width + x) * self.channels + channel) * self.stride;
        self.data.get(start..start + self.stride)
    }
}

/// What happens to a cell's sums.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// Negative ones become zero.
    Relu,
    /// So they do, the shortcut is added, and squares of two by two are averaged.
    Pool(&'a Map),
}

/// A cell's weights, packed.
#[derive(Debug)]
pub(super) struct Cell {
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
    input: Vec<f32>,
    output: Vec<f32>,
}

/// A part of the output: its window, row and column among the parts, and its places, each with row and column in the part.
struct Part<'a> {
    at: [usize; 3],
    places: Vec<(usize, usize, &'a mut [f32])>,
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
                    packed[0][sizes.place(branch, filter, tap, neighbour * channels + channel)] = *weight as f32;
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
        for (i, place) in out.data.chunks_exact_mut(out.channels * out.stride).enumerate() {
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
                frames: input.stride,
            };
            let points = self.weights.len();
            let mut scratch = Scratch {
                input: vec![0.0; points * sizes.channels * sizes.row()],
                output: vec![0.0; points * 4 * self.filters * sizes.frames],
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
        if tiled { gather_tile(sizes, input, part.at, scratch) } else { gather_place(sizes, input, part.at, scratch) }
        let (per_in, per_out) = (sizes.channels * sizes.row(), 4 * sizes.filters * sizes.frames);
        let points = scratch.input.chunks_exact(per_in).zip(scratch.output.chunks_exact_mut(per_out));
        for ((from, to), weights) in points.zip(&self.weights) {
            // SAFETY: as in `run`.
            unsafe { multiply(self.vectors, sizes, from, weights, to) };
        }
        if tiled {
            self.finish_tile(sizes, end, part, scratch);
        } else {
            self.finish_place(sizes, part, scratch);
        }
    }

    #[inline(always)]
    fn finish_place(&self, sizes: &Sizes, part: Part, scratch: &Scratch) {
        for (_, _, place) in part.places {
            let rows = place.chunks_exact_mut(sizes.frames).zip(scratch.output.chunks_exact(sizes.frames));
            for ((to, from), bias) in rows.zip(&self.bias) {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = (from + bias).max(0.0);
                }
            }
        }
    }

    #[inline(always)]
    fn finish_tile(&self, sizes: &Sizes, end: End, mut part: Part, scratch: &Scratch) {
        let frames = sizes.frames;
        let per_point = 4 * sizes.filters * frames;
        let [window, down, across] = part.at;
        for (channel, bias) in self.bias.iter().enumerate() {
            for at in (0..frames).step_by(LANES) {
                let start = channel * frames + at;
                let points: [[Vector; 6]; 6] = std::array::from_fn(|y| {
                    std::array::from_fn(|x| vector(&scratch.output, (6 * y + x) * per_point + start))
                });
                let mut out = tiles::backward(&points);
                for value in out.as_flattened_mut().as_flattened_mut() {
                    *value = (*value + bias).max(0.0);
                }
                for (y, x, place) in &mut part.places {
                    let Some(to) = place.get_mut(start..start + LANES) else { continue };
                    match end {
                        End::Relu => to.copy_from_slice(&out[*y][*x]),
                        End::Pool(shortcut) => {
                            let mut sum = [0.0; LANES];
                            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                                let (row, column) = (2 * *y + dy, 2 * *x + dx);
                                let place = [(4 * down + row) as isize, (4 * across + column) as isize];
                                let Some(more) = shortcut.at(window, place[0], place[1], channel) else { continue };
                                let more = vector(more, at);
                                for l in 0..LANES {
                                    sum[l] += out[row][column][l] + more[l];
                                }
                            }
                            for (to, sum) in to.iter_mut().zip(sum) {
                                *to = sum * 0.25;
                            }
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn vector(values: &[f32], at: usize) -> Vector {
    values.get(at..).and_then(|v| v.first_chunk()).copied().unwrap_or_default()
}

/// The thirty-six points of a tile of 4×4, for each channel and frame.
#[inline(always)]
fn gather_tile(sizes: &Sizes, input: &Map, [window, down, across]: [usize; 3], scratch: &mut Scratch) {
    let per_point = sizes.channels * sizes.row();
    for channel in 0..input.channels {
        let rows: [[Option<&[f32]>; 6]; 6] = std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                let (y, x) = ((4 * down + y) as isize - 1, (4 * across + x) as isize - 1);
                input.at(window, y, x, channel)
            })
        });
        for at in (0..input.stride).step_by(LANES) {
            let tile = rows.map(|row| row.map(|frames| frames.map_or([0.0; LANES], |f| vector(f, at))));
            let mut points = tiles::forward(&tile);
            if at + LANES > input.frames {
                // What follows the last frame is zero for the frames before it.
                for point in points.as_flattened_mut() {
                    point[input.frames - at..].fill(0.0);
                }
            }
            let start = channel * sizes.row() + HALO + at;
            for (i, point) in points.as_flattened().iter().enumerate() {
                let start = i * per_point + start;
                scratch.input[start..start + LANES].copy_from_slice(point);
            }
        }
    }
}

/// A place and its eight neighbours.
#[inline(always)]
fn gather_place(sizes: &Sizes, input: &Map, [window, y, x]: [usize; 3], scratch: &mut Scratch) {
    for (i, row) in scratch.input.chunks_exact_mut(sizes.row()).enumerate() {
        let (neighbour, channel) = (i / input.channels, i % input.channels);
        let (y, x) = ((y + neighbour / 3) as isize - 1, (x + neighbour % 3) as isize - 1);
        let row = &mut row[HALO..HALO + input.frames];
        match input.at(window, y, x, channel) {
            Some(frames) => row.copy_from_slice(&frames[..input.frames]),
            None => row.fill(0.0),
        }
    }
}
