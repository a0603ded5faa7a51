//! A frame as 16 x 9 cells: enough to tell whether one image becomes another at once, little by little, or not at all.

use crate::detect::Image;

/// Cells a row.
const ACROSS: usize = 16;
/// Rows of cells.
const DOWN: usize = 9;

/// The mean colour of each cell, three channels, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mini([f32; ACROSS * DOWN * 3]);

impl Mini {
    /// Of interleaved pixels of three channels, `height` rows of `width`; their order does not matter as long as it is the same.
    /// Bytes that are missing count as 0.
    pub fn of(pixels: &[u8], width: usize, height: usize) -> Self {
        let mut sums = Sums::default();
        if width > 0 {
            for (y, row) in pixels.chunks_exact(width * 3).take(height).enumerate() {
                for (cell, columns) in across(width, y, height) {
                    sums.counts[cell] += columns.len() as u32;
                    for pixel in row[columns.start * 3..columns.end * 3].as_chunks::<3>().0 {
                        for (sum, value) in sums.cells[cell * 3..][..3].iter_mut().zip(pixel) {
                            *sum += u32::from(*value);
                        }
                    }
                }
            }
        }
        sums.mean()
    }

    /// Of an image whose colours lie apart.
    pub fn of_image(image: &Image) -> Self {
        let (width, height) = (image.width, image.height);
        let mut sums = Sums::default();
        for (channel, plane) in [&image.blue, &image.green, &image.red].into_iter().enumerate() {
            for (y, row) in plane.chunks_exact(width.max(1)).take(height).enumerate() {
                for (cell, columns) in across(width, y, height) {
                    sums.counts[cell] += u32::from(channel == 0) * columns.len() as u32;
                    // At most 65536 bytes: no sum overflows.
                    sums.cells[cell * 3 + channel] += row[columns].iter().map(|v| u32::from(*v)).sum::<u32>();
                }
            }
        }
        sums.mean()
    }

    /// Mean distance of the cells' colours, in levels.
    pub fn distance(&self, other: &Self) -> f32 {
        let sum: f32 = self.0.iter().zip(&other.0).map(|(a, b)| (a - b).abs()).sum();
        sum / self.0.len() as f32
    }

    /// Distance from the image that stands `part` of the way from `a` to `b`, in levels.
    pub(crate) fn off_line(&self, a: &Self, b: &Self, part: f32) -> f32 {
        let line = a.0.iter().zip(&b.0).map(|(a, b)| a + part * (b - a));
        let sum: f32 = self.0.iter().zip(line).map(|(m, l)| (m - l).abs()).sum();
        sum / self.0.len() as f32
    }

    /// Mean level.
    pub fn level(&self) -> f32 {
        self.0.iter().sum::<f32>() / self.0.len() as f32
    }

    /// Black or white all over: how far cells are from the mean level on average is below 6 levels, and that is below 40 or above 215.
    pub fn is_blank(&self) -> bool {
        let level = self.level();
        let spread = self.0.iter().map(|v| (v - level).abs()).sum::<f32>() / self.0.len() as f32;
        spread < 6.0 && !(40.0..=215.0).contains(&level)
    }

    /// Correlation of the cells, -1 to 1: high for the same image in another light. 0 where one is of one colour.
    pub(crate) fn correlation(&self, other: &Self) -> f32 {
        let (a, b) = (self.level(), other.level());
        let (mut ab, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
        for (x, y) in self.0.iter().zip(&other.0) {
            ab += (x - a) * (y - b);
            aa += (x - a) * (x - a);
            bb += (y - b) * (y - b);
        }
        if aa * bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
    }
}

/// What cells hold so far.
struct Sums {
    cells: [u32; ACROSS * DOWN * 3],
    counts: [u32; ACROSS * DOWN],
}

impl Default for Sums {
    fn default() -> Self {
        Self { cells: [0; ACROSS * DOWN * 3], counts: [0; ACROSS * DOWN] }
    }
}

impl Sums {
    fn mean(mut self) -> Mini {
        // Rows of cells that no row of pixels falls into (fewer than nine) show what is above.
        for cell in ACROSS..ACROSS * DOWN {
            if self.counts[cell] == 0 {
                self.counts[cell] = self.counts[cell - ACROSS];
                for channel in 0..3 {
                    self.cells[cell * 3 + channel] = self.cells[(cell - ACROSS) * 3 + channel];
                }
            }
        }
        let mut mean = [0.0; ACROSS * DOWN * 3];
        for (i, value) in mean.iter_mut().enumerate() {
            *value = self.cells[i] as f32 / self.counts[i / 3].max(1) as f32;
        }
        Mini(mean)
    }
}

/// The cells of a row of pixels, and which of its columns are theirs; where there are fewer columns than cells, they are shared.
fn across(width: usize, y: usize, height: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    let down = y * DOWN / height.max(1);
    (0..ACROSS).map(move |across| {
        let from = across * width / ACROSS;
        let to = ((across + 1) * width / ACROSS).max(from + 1).min(width);
        (down * ACROSS + across, from..to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_means_at_any_size() {
        for (width, height) in [(48, 27), (256, 144), (1, 1), (5, 200), (17, 3)] {
            let pixels: Vec<u8> = (0..width * height).flat_map(|_| [10, 20, 60]).collect();
            let mini = Mini::of(&pixels, width, height);
            assert_eq!(mini.level(), 30.0, "{width} x {height}");
        }
        // Left half black, right half white.
        let pixels: Vec<u8> =
            (0..48 * 27).flat_map(|i| if i % 48 < 24 { [0; 3] } else { [255; 3] }).collect();
        let halves = Mini::of(&pixels, 48, 27);
        assert_eq!((halves.0[0], halves.0[15 * 3], halves.level()), (0.0, 255.0, 127.5));
        let black = Mini::of(&vec![0; 48 * 27 * 3], 48, 27);
        assert!(black.is_blank() && !halves.is_blank());
        assert_eq!(halves.distance(&black), 127.5);
        assert_eq!(halves.off_line(&black, &halves, 0.5), 63.75);
        assert!((halves.correlation(&halves) - 1.0).abs() < 1e-5 && halves.correlation(&black) == 0.0);
        assert_eq!(Mini::of(&[], 0, 0).level(), 0.0);
        // Colours that lie apart are counted alike.
        for (width, height) in [(256, 144), (31, 5), (3, 100), (0, 0)] {
            let mut image = Image::new(width, height);
            for i in 0..width * height {
                (image.blue[i], image.green[i], image.red[i]) = (i as u8, (i * 7) as u8, (i * 13 / 8) as u8);
            }
            assert_eq!(Mini::of_image(&image), Mini::of(&image.interleaved(), width, height));
        }
    }
}
