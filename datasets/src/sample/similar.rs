//! Near-identical images.

use image::imageops::{self, FilterType};
use image::{RgbImage, RgbaImage};
use rayon::prelude::*;

use unisono_media::decode::flatten;

/// Edge of the thumbnail that images are compared by.
const EDGE: u32 = 16;

/// What an image thumbnails like from afar: its content, stretched to a small square on a white and on a black ground (a
/// white shape would vanish on one of them).
#[derive(Debug, Clone)]
pub(super) struct Thumbnail {
    values: Vec<u8>,
    mirrored: Vec<u8>,
}

impl Thumbnail {
    pub fn new(image: &RgbaImage) -> Self {
        let image = trim(image);
        let small =
            |ground: u8| imageops::resize(&flatten(&image, [ground; 3]), EDGE, EDGE, FilterType::Triangle);
        let grounds = [small(255), small(0)];
        let join = |f: &dyn Fn(&RgbImage) -> Vec<u8>| grounds.iter().flat_map(f).collect::<Vec<u8>>();
        Self {
            values: join(&|p| p.as_raw().clone()),
            mirrored: join(&|p| imageops::flip_horizontal(p).into_raw()),
        }
    }

    /// Root mean square difference, 0 (equal) to 255, of the closer of the other and its mirror image.
    pub fn distance(&self, other: &Thumbnail) -> f32 {
        let squares = |a: &[u8], b: &[u8]| {
            a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>() as f32
                / a.len() as f32
        };
        squares(&self.values, &other.values).min(squares(&self.values, &other.mirrored)).sqrt()
    }
}

/// Cuts transparent borders away: the same drawing with another margin is the same drawing.
fn trim(image: &RgbaImage) -> RgbaImage {
    let visible = || image.enumerate_pixels().filter(|(_, _, p)| p.0[3] > 16);
    let columns = visible().map(|(x, _, _)| x);
    let rows = visible().map(|(_, y, _)| y);
    match (columns.clone().min(), columns.max(), rows.clone().min(), rows.max()) {
        (Some(left), Some(right), Some(top), Some(bottom)) => {
            imageops::crop_imm(image, left, top, right - left + 1, bottom - top + 1).to_image()
        }
        _ => image.clone(),
    }
}

/// All pairs `a < b` closer than `threshold`, in order.
pub(super) fn pairs(thumbnails: &[Option<Thumbnail>], threshold: f32) -> Vec<(usize, usize)> {
    (0..thumbnails.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            let later = (a + 1..thumbnails.len()).filter(move |&b| match (&thumbnails[a], &thumbnails[b]) {
                (Some(x), Some(y)) => x.distance(y) < threshold,
                _ => false,
            });
            later.map(move |b| (a, b))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn gradient(turn: bool) -> RgbaImage {
        RgbaImage::from_fn(40, 40, |x, y| {
            Rgba([if turn { 39 - x } else { x } as u8 * 6, y as u8 * 6, 0, 255])
        })
    }

    #[test]
    fn sees_through_margins_and_mirrors() {
        let mut margin = RgbaImage::new(60, 50);
        imageops::replace(&mut margin, &gradient(false), 5, 7);
        let mut other = gradient(false);
        other.pixels_mut().for_each(|p| p.0[2] = 200);
        let thumbnails: Vec<_> = [gradient(false), margin, gradient(true), other]
            .iter()
            .map(|p| Some(Thumbnail::new(p)))
            .chain([None])
            .collect();
        assert_eq!(pairs(&thumbnails, 4.0), [(0, 1), (0, 2), (1, 2)]);
    }
}
