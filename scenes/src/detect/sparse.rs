//! Rows of a frame of which only those pixels are left at which resizing looks.

use super::taps::Axis;
use unisono_media::video::{Grid, Picks};

/// Where the pixels of a frame's rows stand among those that are left.
#[derive(Debug, Clone)]
pub(super) struct Sparse {
    pub(super) grid: Grid,
    /// Of each row of the frame.
    rows: Vec<Place>,
    /// Pixels of the result's row before those of the cuttings, and behind them.
    across: std::ops::Range<usize>,
    /// Columns that are looked at, and half of each.
    columns: Vec<u32>,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Nobody looks at it.
    Nowhere,
    /// So many rows down in the cuttings of the first columns.
    Cut(usize),
    /// So many down among those that come whole.
    Whole(usize),
}

/// A frame's bytes, apart.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    cut: [&'a [u8]; 3],
    sides: [&'a [u8]; 3],
    caps: [&'a [u8]; 3],
}

/// Places along one axis: `None` where FFmpeg cannot leave the others out.
fn picks(axis: &Axis, size: usize) -> Option<Picks> {
    let size = u32::try_from(size).ok()?;
    let count = u32::try_from(axis.first.len()).ok()?;
    if axis.plain() { Some(Picks::even(size, count)) } else { Picks::pairs(size, &axis.first) }
}

impl Sparse {
    /// For frames of `size`. `None`: FFmpeg cannot leave the other pixels out, or that would save too little.
    pub(super) fn new(x: &Axis, y: &Axis, size: (usize, usize)) -> Option<Self> {
        let grid = Grid { across: picks(x, size.0)?, down: picks(y, size.1)? };
        let whole = size.0 * size.1 / 2 * 3;
        if grid.parts().sum::<usize>() * 2 > whole {
            return None;
        }
        let inner = |axis: &Axis, picks: &Picks| {
            let from = axis.first.partition_point(|place| *place < picks.from);
            from..from + picks.count as usize
        };
        let (across, down) = (inner(x, &grid.across), inner(y, &grid.down));
        let mut rows = vec![Place::Nowhere; size.1];
        let [above, below] = grid.down.ends.map(|n| n as usize);
        for (row, place) in rows.iter_mut().enumerate() {
            if row < above {
                *place = Place::Whole(row);
            } else if row >= size.1 - below {
                *place = Place::Whole(row - (size.1 - below) + above);
            }
        }
        // A cutting of the first columns and one of the second stand below each other.
        let stride = grid.down.count as usize * grid.across.cuttings() as usize;
        for next in 0..grid.down.cuttings() as usize {
            for (row, first) in y.first[down.clone()].iter().enumerate() {
                if let Some(place) = rows.get_mut(*first as usize + next) {
                    *place = Place::Cut(next * stride + row);
                }
            }
        }
        let columns = x.first.iter().chain(&x.second).copied().collect();
        Some(Self { grid, rows, across, columns })
    }

    /// A frame's bytes; `None` where they are not as many as there should be.
    pub(super) fn parts<'a>(&self, frame: &'a [u8]) -> Option<Parts<'a>> {
        let Grid { across, down } = &self.grid;
        let cuttings = (across.cuttings() * down.cuttings()) as usize;
        let cut = across.count as usize * down.count as usize * cuttings;
        let sides = across.ends.iter().sum::<u32>() as usize * down.size as usize;
        let caps = down.ends.iter().sum::<u32>() as usize * across.size as usize;
        if frame.len() != cut * 3 + (sides + caps) / 2 * 3 {
            return None;
        }
        let mut rest = frame;
        let mut take = |n: usize| {
            let (part, after) = rest.split_at(n);
            rest = after;
            part
        };
        let cut = [take(cut), take(cut), take(cut)];
        let sides = [take(sides), take(sides / 4), take(sides / 4)];
        Some(Parts { cut, sides, caps: [take(caps), take(caps / 4), take(caps / 4)] })
    }

    /// Luma and chroma of row `y` at the first columns and then at the second; of columns that are all first ones, at those.
    pub(super) fn gather(&self, parts: &Parts, y: usize, into: &mut [Vec<u8>; 3]) {
        let Grid { across, down } = &self.grid;
        let n = self.columns.len() / 2;
        let (width, sides) = (across.size as usize, across.ends.map(|n| n as usize));
        for (plane, into) in into.iter_mut().enumerate() {
            // Planes of chroma that come in 4:2:0 are half as wide and high.
            let half = if plane == 0 { 1 } else { 2 };
            match self.rows.get(y) {
                Some(Place::Whole(row)) => {
                    let stride = width / half;
                    let row = &parts.caps[plane][row / half * stride..][..stride];
                    for (to, column) in into.iter_mut().zip(&self.columns) {
                        *to = row[*column as usize / half];
                    }
                }
                Some(Place::Cut(at)) => {
                    let stride = (sides[0] + sides[1]) / half;
                    let ends = &parts.sides[plane][y / half * stride..][..stride];
                    let side = |column: u32| {
                        let column = column as usize;
                        let at =
                            if column < sides[0] { column } else { column + sides[0] + sides[1] - width };
                        ends[at / half]
                    };
                    let count = across.count as usize;
                    for (next, into) in into.chunks_exact_mut(n).enumerate() {
                        let columns = &self.columns[next * n..(next + 1) * n];
                        // Where there is one cutting only, both columns are the same.
                        let cutting = next.min(across.cuttings() as usize - 1) * down.count as usize;
                        let cut = &parts.cut[plane][(at + cutting) * count..][..count];
                        into[self.across.clone()].copy_from_slice(cut);
                        for i in (0..self.across.start).chain(self.across.end..n) {
                            into[i] = side(columns[i]);
                        }
                    }
                }
                Some(Place::Nowhere) | None => {}
            }
        }
    }
}
