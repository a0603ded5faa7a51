//! Which of many images look alike.

use super::{Thumbnail, within};
use rayon::prelude::*;
use std::ops::Range;

/// So many are compared each with each; of more, those whose hashes differ in few bits.
const FEW: usize = 1 << 14;
/// Bits in which hashes of images that look alike may differ.
const BITS: u32 = 10;
/// Parts of a hash, each the key of a table.
const PARTS: usize = 4;
/// Most images with one part of a hash in common that are looked at for one other: thousands of empty images are not compared each with each.
const CROWD: usize = 4096;

/// Images to be compared.
///
/// Up to 16,384 are compared each with each. Of more, those whose 64-bit hashes differ in at most 10 bits are: of four parts of such hashes one
/// differs in at most two bits, so that a look into four tables, at 137 places of each, finds all of them (multi-index hashing: Norouzi, Punjani and
/// Fleet, *Fast search in Hamming space with multi-index hashing*, 2012).
#[derive(Debug)]
pub struct Near<'a> {
    thumbnails: &'a [Thumbnail],
    threshold: f32,
    /// Where there are many.
    hashes: Option<Hashes>,
}

#[derive(Debug)]
struct Hashes {
    all: Vec<[u64; 2]>,
    /// For each part, images in the order of that part of their hashes, and where in it each value begins.
    tables: Vec<(Vec<u32>, Vec<u32>)>,
}

/// Values of a part.
const VALUES: usize = 1 << 16;

fn part(hash: u64, part: usize) -> usize {
    (hash >> (16 * part) & 0xffff) as usize
}

impl Hashes {
    fn new(thumbnails: &[Thumbnail]) -> Self {
        let all: Vec<[u64; 2]> = thumbnails.par_iter().map(Thumbnail::hashes).collect();
        let table = |which: usize| {
            let mut starts = vec![0u32; VALUES + 1];
            all.iter().for_each(|[hash, _]| starts[part(*hash, which) + 1] += 1);
            (0..VALUES).for_each(|value| starts[value + 1] += starts[value]);
            let mut next = starts.clone();
            let mut order = vec![0u32; all.len()];
            for (image, [hash, _]) in all.iter().enumerate() {
                let place = &mut next[part(*hash, which)];
                order[*place as usize] = image as u32;
                *place += 1;
            }
            (order, starts)
        };
        let tables = (0..PARTS).into_par_iter().map(table).collect();
        Self { all, tables }
    }

    /// Images behind `image` whose hashes are near its own, or its mirror image's.
    fn of(&self, image: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for hash in self.all[image] {
            for (which, (order, starts)) in self.tables.iter().enumerate() {
                let own = part(hash, which);
                let ones = (0..16).map(|a| 1usize << a);
                let twos = (0..16).flat_map(|a| (0..a).map(move |b| 1usize << a | 1 << b));
                for value in std::iter::once(0).chain(ones).chain(twos).map(|flips| own ^ flips) {
                    let range = starts[value] as usize..starts[value + 1] as usize;
                    for other in order.get(range).unwrap_or_default().iter().take(CROWD) {
                        let other = *other as usize;
                        if other > image && (self.all[other][0] ^ hash).count_ones() <= BITS {
                            found.push(other);
                        }
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl<'a> Near<'a> {
    /// Makes the tables. Pairs count whose distance is less than `threshold`.
    pub fn new(thumbnails: &'a [Thumbnail], threshold: f32) -> Self {
        Self::with(thumbnails, threshold, FEW)
    }

    fn with(thumbnails: &'a [Thumbnail], threshold: f32, few: usize) -> Self {
        let hashes = (thumbnails.len() > few).then(|| Hashes::new(thumbnails));
        Self { thumbnails, threshold, hashes }
    }

    /// The pairs `a < b` whose first image is one of `rows`, with their distances, in order; on all cores.
    pub fn pairs(&self, rows: Range<usize>) -> Vec<(usize, usize, f32)> {
        let of = |a: usize| {
            let (first, mirrored) = (&self.thumbnails[a], self.thumbnails[a].mirrored());
            let near = move |b: usize| {
                let distance = within(&first.values, &mirrored, &self.thumbnails[b].values, self.threshold)?;
                Some((a, b, distance))
            };
            let found: Vec<_> = match &self.hashes {
                Some(hashes) => hashes.of(a).into_iter().filter_map(near).collect(),
                None => (a + 1..self.thumbnails.len()).filter_map(near).collect(),
            };
            found
        };
        let end = rows.end.min(self.thumbnails.len());
        (rows.start..end).into_par_iter().flat_map_iter(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage, imageops};

    /// Of smooth random images some that are brighter, smaller, mirrored.
    fn images() -> Vec<Thumbnail> {
        let smooth = |seed: u32| {
            let coarse = RgbaImage::from_fn(6, 6, |x, y| {
                let n = (x * 7 + y * 131 + seed * 7919).wrapping_mul(2_654_435_761);
                Rgba([(n >> 24) as u8, (n >> 16) as u8, (n >> 8) as u8, 255])
            });
            imageops::resize(&coarse, 80, 64, imageops::FilterType::CatmullRom)
        };
        let mut images = Vec::new();
        for seed in 0..60 {
            let image = smooth(seed);
            match seed % 4 {
                0 => images.push(imageops::flip_horizontal(&image)),
                1 => images.push(imageops::resize(&image, 50, 40, imageops::FilterType::Triangle)),
                2 => images.push(imageops::brighten(&image, 5)),
                _ => {}
            }
            images.push(image);
        }
        images.iter().map(Thumbnail::new).collect()
    }

    #[test]
    fn hashes_find_what_comparing_each_with_each_finds() {
        let thumbnails = images();
        let all = 0..thumbnails.len();
        let each = Near::new(&thumbnails, 9.0).pairs(all.clone());
        assert!(each.len() >= 45, "{}", each.len());
        assert_eq!(Near::with(&thumbnails, 9.0, 0).pairs(all.clone()), each);
        // Block by block it is the same.
        let near = Near::with(&thumbnails, 9.0, 0);
        let blocks: Vec<_> = (0..thumbnails.len()).step_by(7).flat_map(|a| near.pairs(a..a + 7)).collect();
        assert_eq!(blocks, each);
        for (a, b, distance) in each {
            assert!(a < b && thumbnails[a].distance(&thumbnails[b]) == distance);
        }
    }

    #[test]
    fn large_images_look_as_they_do_whole() {
        let large = RgbaImage::from_fn(1300, 700, |x, y| {
            Rgba([(x / 6) as u8, (y / 3) as u8, ((x + y) / 9) as u8, if x < 300 { 90 } else { 255 }])
        });
        let distance = Thumbnail::new(&large).distance(&Thumbnail::of_large(&large));
        assert!(distance < 1.5, "{distance}");
    }
}
