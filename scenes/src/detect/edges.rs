//! Edges of a small image: OpenCV's `Canny` (Sobel of 3 x 3, sums of absolute gradients) between two levels around the median, then
//! widened by a square (`dilate`).

/// tan 22.5° in units of 2^-15, as OpenCV has it.
const TANGENT: i32 = 13_573;

/// Finds edges in images of one size.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    width: usize,
    height: usize,
    /// Gradients, and their sums with a frame of zeros round them.
    across: Vec<i16>,
    down: Vec<i16>,
    strength: Vec<i16>,
    /// Of a row: sums and differences of the pixels above and below, with the border's twice.
    sums: Vec<i16>,
    differences: Vec<i16>,
    /// 0 none, 1 perhaps, 255 an edge.
    marks: Vec<u8>,
    stack: Vec<usize>,
    rows: Vec<u8>,
}

impl Edges {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            across: vec![0; width * height],
            down: vec![0; width * height],
            strength: vec![0; (width + 2) * (height + 2)],
            sums: vec![0; width + 2],
            differences: vec![0; width + 2],
            marks: vec![0; width * height],
            stack: Vec::new(),
            rows: vec![0; width * height],
        }
    }

    /// PySceneDetect's guess of a kernel for widening, by the image's size.
    pub(super) fn kernel(width: usize, height: usize) -> usize {
        let size = 4 + (((width * height) as f64).sqrt() / 192.0).round_ties_even() as usize;
        size | 1
    }

    /// 255 at edges of `luma`, 0 elsewhere.
    pub(super) fn of(&mut self, luma: &[u8]) -> &[u8] {
        let median = median(luma);
        let sigma = 1.0 / 3.0;
        let low = ((1.0 - sigma) * median).max(0.0) as i32;
        let high = ((1.0 + sigma) * median).min(255.0) as i32;
        self.gradients(luma);
        self.thin(low, high);
        self.follow();
        &self.marks
    }

    /// Beyond the border stands the border's pixel.
    fn gradients(&mut self, luma: &[u8]) {
        let (width, height) = (self.width, self.height);
        for y in 0..height {
            let row = |y: usize| &luma[y * width..(y + 1) * width];
            let (up, here, below) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(height - 1)));
            let (sums, differences) = (&mut self.sums[..width + 2], &mut self.differences[..width + 2]);
            for x in 0..width {
                let (a, b) = (i16::from(up[x]), i16::from(below[x]));
                sums[x + 1] = a + 2 * i16::from(here[x]) + b;
                differences[x + 1] = b - a;
            }
            for line in [&mut *sums, &mut *differences] {
                (line[0], line[width + 1]) = (line[1], line[width]);
            }
            let across = &mut self.across[y * width..(y + 1) * width];
            let down = &mut self.down[y * width..(y + 1) * width];
            let strength = &mut self.strength[(y + 1) * (width + 2) + 1..][..width];
            for x in 0..width {
                across[x] = sums[x + 2] - sums[x];
                down[x] = differences[x] + 2 * differences[x + 1] + differences[x + 2];
                strength[x] = across[x].abs() + down[x].abs();
            }
        }
    }

    /// Keeps what is strongest along its gradient, and marks what is certain.
    fn thin(&mut self, low: i32, high: i32) {
        let (width, stride) = (self.width, self.width + 2);
        self.stack.clear();
        for y in 0..self.height {
            for x in 0..width {
                let (i, j) = (y * width + x, (y + 1) * stride + x + 1);
                let strength = self.strength[j];
                self.marks[i] = 0;
                if i32::from(strength) <= low {
                    continue;
                }
                let (across, down) = (i32::from(self.across[i]), i32::from(self.down[i]));
                let (flat, steep) = (across.abs() * TANGENT, down.abs() << 15);
                let s = |k: usize| self.strength[k];
                let most = if steep < flat {
                    strength > s(j - 1) && strength >= s(j + 1)
                } else if steep > flat + (across.abs() << 16) {
                    strength > s(j - stride) && strength >= s(j + stride)
                } else if (across ^ down) < 0 {
                    strength > s(j - stride + 1) && strength > s(j + stride - 1)
                } else {
                    strength > s(j - stride - 1) && strength > s(j + stride + 1)
                };
                if most {
                    let certain = i32::from(strength) > high;
                    self.marks[i] = if certain { 255 } else { 1 };
                    if certain {
                        self.stack.push(i);
                    }
                }
            }
        }
    }

    /// What touches a certain edge is one; the rest is none.
    fn follow(&mut self) {
        let (width, height) = (self.width, self.height);
        while let Some(i) = self.stack.pop() {
            let (x, y) = (i % width, i / width);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let mark = &mut self.marks[ny * width + nx];
                    if *mark == 1 {
                        *mark = 255;
                        self.stack.push(ny * width + nx);
                    }
                }
            }
        }
        for mark in &mut self.marks {
            *mark = if *mark == 255 { 255 } else { 0 };
        }
    }

    /// The edges last found, each pixel widened to a square of `kernel` x `kernel`.
    pub(super) fn widened(&mut self, kernel: usize, into: &mut Vec<u8>) {
        let (width, height, reach) = (self.width, self.height, kernel / 2);
        let or = |into: &mut [u8], from: &[u8]| into.iter_mut().zip(from).for_each(|(a, b)| *a |= b);
        self.rows.copy_from_slice(&self.marks);
        for (row, marks) in self.rows.chunks_exact_mut(width).zip(self.marks.chunks_exact(width)) {
            for shift in 1..=reach.min(width - 1) {
                or(&mut row[shift..], &marks[..width - shift]);
                or(&mut row[..width - shift], &marks[shift..]);
            }
        }
        into.clear();
        into.extend_from_slice(&self.rows);
        for shift in 1..=reach.min(height - 1) {
            let cut = shift * width;
            or(&mut into[cut..], &self.rows[..self.rows.len() - cut]);
            let end = into.len() - cut;
            or(&mut into[..end], &self.rows[cut..]);
        }
    }
}

/// Of an even number of values: the mean of the two in the middle.
fn median(values: &[u8]) -> f64 {
    let mut counts = [0usize; 256];
    values.iter().for_each(|v| counts[usize::from(*v)] += 1);
    let at = |place: usize| {
        let mut before = 0;
        counts.iter().position(|n| {
            before += n;
            before > place
        })
    };
    let (low, high) = (at((values.len() - 1) / 2).unwrap_or(0), at(values.len() / 2).unwrap_or(0));
    (low + high) as f64 / 2.0
}
