//! The small image that detectors look at: the frame in blue, green and red, at most 256 pixels long, byte for byte what
//! PySceneDetect gets from OpenCV (`cv2.VideoCapture`, then `cv2.resize` with `INTER_LINEAR`).
//!
//! OpenCV's bilinear resizing looks at no more than four source pixels for one of the result, however much smaller it is. So only
//! those are converted from the decoder's form: of 1280 x 720 every 25th.

use super::convert::{Coefficients, Matrix, Row, yuv_to_bgr};
use super::sparse::{Parts, Sparse};
use super::taps::{Axis, between, mix};
use crate::{Error, Result};
use unisono_media::video::Grid;

/// Side to which longer images are shrunk.
const SIDE: f64 = 256.0;

/// An image, apart by colour: `height` rows of `width` bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Blue.
    pub blue: Vec<u8>,
    /// Green.
    pub green: Vec<u8>,
    /// Red.
    pub red: Vec<u8>,
}

impl Image {
    /// A black image.
    pub fn new(width: usize, height: usize) -> Self {
        let plane = vec![0; width * height];
        Self { width, height, blue: plane.clone(), green: plane.clone(), red: plane }
    }

    /// Blue, green, red of each pixel in turn.
    pub fn interleaved(&self) -> Vec<u8> {
        let pixels = self.blue.iter().zip(&self.green).zip(&self.red);
        pixels.flat_map(|((b, g), r)| [*b, *g, *r]).collect()
    }
}

/// Makes small images of frames of one size.
#[derive(Debug, Clone)]
pub struct Shrink {
    size: (usize, usize),
    small: (usize, usize),
    matrix: Matrix,
    way: Way,
    /// Where FFmpeg can leave the other pixels out.
    sparse: Option<Sparse>,
    /// Columns of the frame that are looked at, and half of each: one for each pixel of the result's row, or all first ones and then
    /// all second ones.
    columns: Vec<u32>,
    chroma: Vec<u32>,
    /// A row of those columns: luma and chroma, then colours.
    gathered: [Vec<u8>; 3],
    /// The row of chroma that was gathered.
    chroma_of: Option<usize>,
    row: Row,
    /// Rows of the result's width, and of which row of the frame each was made.
    wide: [[Vec<u16>; 3]; 2],
    made_of: [Option<u32>; 2],
}

#[derive(Debug, Clone)]
enum Way {
    /// Pixels stay or are left out: one row of the frame for each of the result.
    Pick(Vec<u32>),
    /// Exactly half: means of four, to which OpenCV turns by itself.
    Half,
    /// Between four pixels.
    Linear { x: Axis, y: Axis },
}

/// A frame's bytes.
#[derive(Clone, Copy)]
enum Source<'a> {
    Yuv { luma: &'a [u8], u: &'a [u8], v: &'a [u8], k: Coefficients },
    Bgr(&'a [u8]),
    Picked { parts: Parts<'a>, of: &'a Sparse, k: Coefficients },
}

impl Shrink {
    /// For frames of `width` x `height` pixels, upright.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no pixel.
    pub fn new(width: usize, height: usize) -> Result<Self> {
        if width == 0 || height == 0 || width.max(height) > 1 << 16 {
            let found = format!("{width} x {height}");
            return Err(Error::setting("frame", "a size of 1 to 65536 pixels a side", found));
        }
        let factor = width.max(height) as f64 / SIDE;
        let shrunk = |side: usize| ((side as f64 / factor).round_ties_even() as usize).max(1);
        let small = if factor > 1.0 { (shrunk(width), shrunk(height)) } else { (width, height) };
        let all = |n: usize| (0..n as u32).collect::<Vec<_>>();
        let mut sparse = None;
        let (way, columns) = if small == (width, height) {
            (Way::Pick(all(height)), all(width))
        } else if (width, height) == (2 * small.0, 2 * small.1) {
            (Way::Half, all(width))
        } else {
            let (x, y) = (Axis::linear(width, small.0), Axis::linear(height, small.1));
            sparse = Sparse::new(&x, &y, (width, height));
            if x.plain() && y.plain() {
                (Way::Pick(y.first), x.first)
            } else {
                let columns = [&x.first[..], &x.second[..]].concat();
                (Way::Linear { x, y }, columns)
            }
        };
        let n = columns.len();
        let wide = || [vec![0; small.0], vec![0; small.0], vec![0; small.0]];
        Ok(Self {
            size: (width, height),
            small,
            matrix: Matrix::default(),
            way,
            sparse,
            chroma: columns.iter().map(|c| c / 2).collect(),
            columns,
            gathered: [vec![0; n], vec![0; n], vec![0; n]],
            chroma_of: None,
            row: Row::new(n),
            wide: [wide(), wide()],
            made_of: [None; 2],
        })
    }

    /// The matrix of the frames that follow, where they come in 4:2:0. BT.601 where nothing is said.
    pub fn set_matrix(&mut self, matrix: Matrix) {
        self.matrix = matrix;
    }

    /// Width and height of the frames.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Width and height of the small images.
    pub fn small(&self) -> (usize, usize) {
        self.small
    }

    /// The pixels of frames in planar 4:2:0 that are looked at, where those are few and FFmpeg can leave the others out.
    pub fn grid(&self) -> Option<Grid> {
        self.sparse.as_ref().map(|sparse| sparse.grid)
    }

    /// Of a frame of which only the pixels of the [grid](Self::grid) are left, as [`Grid`] says how they lie.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no grid, or the bytes are not of its size.
    pub fn picked(&mut self, frame: &[u8], full_range: bool, into: &mut Image) -> Result<()> {
        let sparse = self.sparse.take();
        let k = Coefficients::new(self.matrix, full_range);
        let parts = sparse.as_ref().and_then(|sparse| sparse.parts(frame));
        if let (Some(parts), Some(of)) = (parts, &sparse) {
            self.shrink(Source::Picked { parts, of, k }, into);
        }
        self.sparse = sparse;
        match parts {
            Some(_) => Ok(()),
            None => {
                let expected = format!("picked pixels of {} x {}", self.size.0, self.size.1);
                Err(Error::setting("frame", expected, format!("{} bytes", frame.len())))
            }
        }
    }

    /// Of a frame in planar 4:2:0 (`yuv420p`, `yuvj420p`): luma, then U and V of half the width and height; both sides are even.
    /// `full_range`: luma from 0 to 255 (`yuvj420p`, or `color_range:pc`).
    ///
    /// # Errors
    /// [`Error::Setting`] where the bytes are not of the frames' size.
    pub fn yuv420(&mut self, frame: &[u8], full_range: bool, into: &mut Image) -> Result<()> {
        let (width, height) = self.size;
        let pixels = width * height;
        if width % 2 == 1 || height % 2 == 1 || frame.len() != pixels / 2 * 3 {
            let expected = format!("{width} x {height} pixels of 4:2:0 with even sides");
            return Err(Error::setting("frame", expected, format!("{} bytes", frame.len())));
        }
        let (luma, rest) = frame.split_at(pixels);
        let (u, v) = rest.split_at(pixels / 4);
        let k = Coefficients::new(self.matrix, full_range);
        self.shrink(Source::Yuv { luma, u, v, k }, into);
        Ok(())
    }

    /// Of a frame in `bgr24`.
    ///
    /// # Errors
    /// [`Error::Setting`] where the bytes are not of the frames' size.
    pub fn bgr(&mut self, frame: &[u8], into: &mut Image) -> Result<()> {
        let (width, height) = self.size;
        if frame.len() != width * height * 3 {
            let expected = format!("{width} x {height} pixels of three bytes");
            return Err(Error::setting("frame", expected, format!("{} bytes", frame.len())));
        }
        self.shrink(Source::Bgr(frame), into);
        Ok(())
    }

    fn shrink(&mut self, source: Source, into: &mut Image) {
        let (width, height) = self.small;
        if (into.width, into.height) != self.small {
            *into = Image::new(width, height);
        }
        let way = std::mem::replace(&mut self.way, Way::Half);
        (self.made_of, self.chroma_of) = ([None; 2], None);
        for y in 0..height {
            let out = y * width..(y + 1) * width;
            let colours = [&mut into.blue[out.clone()], &mut into.green[out.clone()], &mut into.red[out]];
            match &way {
                Way::Pick(rows) => {
                    self.read(source, rows[y]);
                    for (colour, row) in colours.into_iter().zip(self.row.planes()) {
                        colour.copy_from_slice(row);
                    }
                }
                Way::Half => self.halve(source, y as u32 * 2, colours),
                Way::Linear { x, y: rows } => {
                    let above = self.widened(source, rows.first[y], x, None);
                    let below = self.widened(source, rows.second[y], x, Some(above));
                    for (c, colour) in colours.into_iter().enumerate() {
                        between(&self.wide[above][c], &self.wide[below][c], rows.at(y), colour);
                    }
                }
            }
        }
        self.way = way;
    }

    /// Converts a row of the frame, as far as it is looked at.
    fn read(&mut self, source: Source, y: u32) {
        let (width, y) = (self.size.0, y as usize);
        match source {
            Source::Yuv { luma, u, v, k } => {
                let luma = &luma[y * width..(y + 1) * width];
                let [to_luma, to_u, to_v] = &mut self.gathered;
                gather(luma, &self.columns, to_luma);
                // Two rows of luma share one of chroma.
                if self.chroma_of != Some(y / 2) {
                    let chroma = y / 2 * (width / 2)..(y / 2 + 1) * (width / 2);
                    gather(&u[chroma.clone()], &self.chroma, to_u);
                    gather(&v[chroma], &self.chroma, to_v);
                    self.chroma_of = Some(y / 2);
                }
                yuv_to_bgr(to_luma, to_u, to_v, k, &mut self.row);
            }
            Source::Picked { parts, of, k } => {
                of.gather(&parts, y, &mut self.gathered);
                let [luma, u, v] = &self.gathered;
                yuv_to_bgr(luma, u, v, k, &mut self.row);
            }
            Source::Bgr(frame) => {
                let row = &frame[y * width * 3..(y + 1) * width * 3];
                let Row { blue, green, red } = &mut self.row;
                let colours = blue.iter_mut().zip(green.iter_mut()).zip(red.iter_mut());
                for (((b, g), r), &from) in colours.zip(&self.columns) {
                    let pixel = &row[from as usize * 3..from as usize * 3 + 3];
                    (*b, *g, *r) = (pixel[0], pixel[1], pixel[2]);
                }
            }
        }
    }

    fn halve(&mut self, source: Source, y: u32, into: [&mut [u8]; 3]) {
        self.read(source, y);
        for (wide, row) in self.wide[0].iter_mut().zip(self.row.planes()) {
            for (to, two) in wide.iter_mut().zip(row.chunks_exact(2)) {
                *to = u16::from(two[0]) + u16::from(two[1]);
            }
        }
        self.read(source, y + 1);
        for ((into, wide), row) in into.into_iter().zip(&self.wide[0]).zip(self.row.planes()) {
            for ((to, above), two) in into.iter_mut().zip(wide).zip(row.chunks_exact(2)) {
                *to = ((above + u16::from(two[0]) + u16::from(two[1]) + 2) >> 2) as u8;
            }
        }
    }

    /// In which of the two wide rows the frame's row `y` stands; made where it is in neither, in the place that is not to be kept.
    fn widened(&mut self, source: Source, y: u32, x: &Axis, keep: Option<usize>) -> usize {
        if let Some(found) = self.made_of.iter().position(|made| *made == Some(y)) {
            return found;
        }
        // The older one goes: rows come from above.
        let place = match keep {
            Some(keep) => 1 - keep,
            None => usize::from(self.made_of[1] < self.made_of[0]),
        };
        self.read(source, y);
        for (wide, row) in self.wide[place].iter_mut().zip(self.row.planes()) {
            let (first, second) = row.split_at(row.len() / 2);
            mix(first, second, &x.weights, wide);
        }
        self.made_of[place] = Some(y);
        place
    }
}

fn gather(from: &[u8], places: &[u32], into: &mut [u8]) {
    for (to, &place) in into.iter_mut().zip(places) {
        *to = from[place as usize];
    }
}

impl Row {
    fn planes(&self) -> [&[u8]; 3] {
        [&self.blue, &self.green, &self.red]
    }
}
