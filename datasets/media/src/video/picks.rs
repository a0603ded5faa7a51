//! The pixels of a frame that are wanted, where they are few: FFmpeg leaves the others out, which costs a part of handing them over.
//!
//! Its scaler in the mode `neighbor` takes one pixel at the middle of each share. Two that lie beside each other it takes from two cuttings of
//! the frame, one of them a pixel further on; where their edges leave pixels out, the ends of rows and columns come as they are. Which pixels
//! it takes is reckoned here with the scaler's own integers, so that none is promised that does not come.

/// Bits of the scaler's fractions.
const ONE: i64 = 1 << 16;
/// Most places at an end of an axis that come as they are.
const ENDS: usize = 12;

/// Places along one axis of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picks {
    /// Pixels along the axis.
    pub size: u32,
    /// Where the cutting begins of which places are taken.
    pub from: u32,
    /// How long it is.
    pub length: u32,
    /// So many places of it are taken, evenly.
    pub count: u32,
    /// And beside each the one after it.
    pub pairs: bool,
    /// So many at both ends come all; even numbers.
    pub ends: [u32; 2],
}

impl Picks {
    /// `count` places, each at the middle of its share, rounded down.
    pub fn even(size: u32, count: u32) -> Self {
        Self { size, from: 0, length: size, count, pairs: false, ends: [0; 2] }
    }

    /// Places `first`, ascending, and those after each of them. `None`: the scaler does not take these.
    pub fn pairs(size: u32, first: &[u32]) -> Option<Self> {
        let n = first.len();
        let tries = (0..=ENDS).flat_map(|head| (0..=ENDS).map(move |tail| (head, tail)));
        let mut found: Vec<Self> =
            tries.filter_map(|(head, tail)| Self::between(size, first, head, n.checked_sub(tail)?)).collect();
        found.sort_by_key(|picks| picks.ends.iter().sum::<u32>());
        found.into_iter().next()
    }

    /// With the places `head..tail` taken from a cutting, the others as they are.
    fn between(size: u32, first: &[u32], head: usize, tail: usize) -> Option<Self> {
        let count = u32::try_from(tail.checked_sub(head)?).ok().filter(|n| *n > 0)?;
        let all = u32::try_from(first.len()).ok()?;
        // The same scale as the whole's; even, so that the planes of colour have it too.
        let length = (u64::from(count) * u64::from(size)).checked_div(all.into())?;
        if length * u64::from(all) != u64::from(count) * u64::from(size) || length % 2 == 1 {
            return None;
        }
        let length = u32::try_from(length).ok()?;
        let from = first[head].checked_sub(u32::try_from(places(length, count, ONE / 2).next()?).ok()?)?;
        let before = if head == 0 { 0 } else { (first[head - 1] + 2).next_multiple_of(2) };
        let after = first.get(tail).map_or(0, |first| size - first / 2 * 2);
        let picks = Self { size, from, length, count, pairs: true, ends: [before, after] };
        let fits = from + 1 + length <= size && size.is_multiple_of(2);
        (fits && picks.takes(&first[head..tail])).then_some(picks)
    }

    /// Whether these are what both cuttings have, luma and colour.
    fn takes(&self, first: &[u32]) -> bool {
        (0..2).all(|next| {
            let from = self.from + next;
            let luma = places(self.length, self.count, ONE / 2);
            // A plane of colour has half as many pixels; where the cutting begins between two of luma, it begins in the middle of one.
            let colour =
                places(self.length / 2, self.count, if from.is_multiple_of(2) { ONE / 2 } else { 0 });
            let wanted = first.iter().map(|place| i64::from(place + next));
            luma.zip(colour).zip(wanted).all(|((luma, colour), wanted)| {
                i64::from(from) + luma == wanted && i64::from(from / 2) + colour == wanted / 2
            })
        })
    }

    /// Cuttings of which places are taken.
    pub fn cuttings(&self) -> u32 {
        1 + u32::from(self.pairs)
    }
}

/// Where the scaler looks along an axis of `length` pixels for `count`; `shift` is how far within the first pixel it begins, in its fractions.
fn places(length: u32, count: u32, shift: i64) -> impl Iterator<Item = i64> {
    let step = (i64::from(length) * ONE + i64::from(count / 2)) / i64::from(count.max(1));
    (0..i64::from(count)).map(move |i| ((step >> 1) - shift + i * step + ONE / 2) >> 16)
}

/// The pixels that are wanted of every frame: those at picked places of both axes.
///
/// A frame's bytes are then: planes of luma and of two of chroma, of one size, in which the cuttings stand below each other (rows of the first
/// with columns of the first, rows of the first with columns of the second, …), each pixel with the chroma that covers it; the ends of all
/// rows, in 4:2:0, those at the left before those at the right; the rows at both ends, in 4:2:0, the upper before the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Columns.
    pub across: Picks,
    /// Rows.
    pub down: Picks,
}

impl Grid {
    /// Bytes of each part of a frame.
    pub fn parts(&self) -> impl Iterator<Item = usize> {
        let cuttings = (self.across.cuttings() * self.down.cuttings()) as usize;
        let picked = self.across.count as usize * self.down.count as usize * cuttings * 3;
        let plane = |a: u32, b: u32| a as usize * b as usize / 2 * 3;
        let sides = plane(self.across.ends.iter().sum(), self.down.size);
        let caps = plane(self.across.size, self.down.ends.iter().sum());
        [picked, sides, caps].into_iter().filter(|bytes| *bytes > 0)
    }

    /// Chains of filters from `from`, one for each of the [parts](Self::parts), which end in `to`, `tox1`, ….
    pub(super) fn filters(&self, from: &str, to: &str) -> String {
        let (across, down) = (&self.across, &self.down);
        let cuttings = (0..down.cuttings()).flat_map(|y| (0..across.cuttings()).map(move |x| (x, y)));
        let cut = cuttings.map(|(x, y)| self.cutting(across.from + x, down.from + y)).collect();
        let crop = |w, h, x, y| format!("crop={w}:{h}:{x}:{y}");
        let of = |ends: [u32; 2], cut: &dyn Fn(u32, bool) -> String| -> Vec<String> {
            let both = ends.into_iter().zip([false, true]);
            both.filter(|(n, _)| *n > 0).map(|(n, last)| cut(n, last)).collect()
        };
        let column = |n, last| crop(n, down.size, if last { across.size - n } else { 0 }, 0);
        let row = |n, last| crop(across.size, n, 0, if last { down.size - n } else { 0 });
        let (sides, caps) = (of(across.ends, &column), of(down.ends, &row));
        let groups = [("vstack", cut), ("hstack", sides), ("vstack", caps)];
        let groups: Vec<(&str, Vec<String>)> =
            groups.into_iter().filter(|(_, chains)| !chains.is_empty()).collect();
        let total: usize = groups.iter().map(|(_, chains)| chains.len()).sum();
        // What changes its size is brought to that of the first frame, as whole frames are. Stacks join frames of one time: numbers are times
        // that never break, far enough apart for every output's clock.
        let (width, height) = (across.size, down.size);
        let mut graph =
            format!("[{from}]scale={width}:{height}:flags=bicubic,settb=1/25,setpts=N,split={total}");
        graph.extend((0..total).map(|n| format!("[{from}c{n}]")));
        let mut n = 0;
        for (part, (stack, chains)) in groups.iter().enumerate() {
            let end = if part == 0 { to.to_owned() } else { format!("{to}x{part}") };
            let mut joined = String::new();
            for chain in chains {
                let out = if chains.len() == 1 { end.clone() } else { format!("{to}c{n}") };
                graph += &format!(";[{from}c{n}]{chain}[{out}]");
                joined += &format!("[{out}]");
                n += 1;
            }
            if chains.len() > 1 {
                graph += &format!(";{joined}{stack}={}[{end}]", chains.len());
            }
        }
        graph
    }

    /// One cutting, whose first pixel is this, and the pixels that are taken of it.
    fn cutting(&self, x: u32, y: u32) -> String {
        let (across, down) = (&self.across, &self.down);
        // The middle of a pixel of colour lies between two of luma, or, in a cutting that begins in its middle, at its beginning. More
        // threads than one cost more than they do.
        let place = |from: u32| if from.is_multiple_of(2) { 128 } else { -128 };
        let (width, height, columns, rows) = (across.length, down.length, across.count, down.count);
        format!(
            "crop={width}:{height}:{x}:{y}:exact=1,scale={columns}:{rows}:flags=neighbor:in_h_chr_pos={}:in_v_chr_pos={}\
             :out_h_chr_pos=0:out_v_chr_pos=0:threads=1,format=yuv444p",
            place(x),
            place(y)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scaler_takes_what_is_asked_for_or_nothing_is_promised() {
        // Every 7.5th of 1920, from 3.25 on: no end but a few places.
        let first: Vec<u32> = (0..256).map(|i| (i as f64 * 7.5 + 3.25) as u32).collect();
        let picks = Picks::pairs(1920, &first).unwrap();
        assert_eq!((picks.from, picks.length, picks.count), (7, 1890, 252));
        assert_eq!(picks.ends, [6, 20]);
        let shown = places(1890, 252, ONE / 2).map(|p| p + 7).collect::<Vec<_>>();
        assert!(shown.iter().zip(&first[1..]).all(|(a, b)| *a == i64::from(*b)));
        // What is not even is not taken.
        let mut odd = first.clone();
        odd[128] -= 1;
        assert_eq!(Picks::pairs(1920, &odd), None);
        assert_eq!(Picks::pairs(1920, &[]), None);
        let grid = Grid { across: picks, down: Picks::even(1080, 144) };
        assert_eq!(grid.parts().collect::<Vec<_>>(), [252 * 144 * 2 * 3, 26 * 1080 / 2 * 3]);
    }
}
