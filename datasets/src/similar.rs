//! Near-identical images: what an image looks like from afar, and which of many look alike.

mod hash;
mod near;

pub use near::Near;

use image::imageops::{self, FilterType};
use image::{RgbImage, RgbaImage};
use rayon::prelude::*;

use unisono_media::decode::flatten;

/// Edge of the thumbnail that images are compared by.
const EDGE: u32 = 16;
/// Bytes of a row of it.
const ROW: usize = 3 * EDGE as usize;
/// Bytes of it on one ground.
const GROUND: usize = ROW * EDGE as usize;
/// Values that are summed before it is looked whether the sum is too large already.
const PART: usize = 256;

/// What an image looks like from afar: its content, stretched to a small square on a white and on a black ground (a
/// white shape would vanish on one of them).
#[derive(Debug, Clone)]
pub struct Thumbnail {
    /// On the white ground, then on the black one; of an image without transparency both are one.
    values: Vec<u8>,
}

impl Thumbnail {
    /// Looks at an image, without its transparent borders.
    pub fn new(image: &RgbaImage) -> Self {
        let image = trim(image);
        let small =
            |ground: u8| imageops::resize(&flatten(&image, [ground; 3]), EDGE, EDGE, FilterType::Triangle);
        let mut values = small(255).into_raw();
        if image.pixels().any(|p| p.0[3] < 255) {
            values.extend(small(0).into_raw());
        }
        Self { values }
    }

    /// A large image, looked at after it was averaged to a few times a thumbnail's size: faster, and different by less than what tells
    /// images apart.
    pub fn of_large(image: &RgbaImage) -> Self {
        const LARGE: u32 = 8 * EDGE;
        let (width, height) = image.dimensions();
        if width.min(height) <= LARGE {
            return Self::new(image);
        }
        let edge = |side: u32| (u64::from(side) * u64::from(LARGE) / u64::from(width.min(height))) as u32;
        Self::new(&imageops::thumbnail(image, edge(width), edge(height)))
    }

    /// Root mean square difference, 0 (equal) to 255, of the closer of the other and its mirror image.
    pub fn distance(&self, other: &Thumbnail) -> f32 {
        within(&self.values, &self.mirrored(), &other.values, f32::INFINITY).unwrap_or(f32::INFINITY)
    }

    fn mirrored(&self) -> Vec<u8> {
        let grounds = self.values.chunks_exact(GROUND).filter_map(|ground| {
            let image = RgbImage::from_raw(EDGE, EDGE, ground.to_vec())?;
            Some(imageops::flip_horizontal(&image).into_raw())
        });
        grounds.flatten().collect()
    }
}

/// The distance of `a`, or of `mirrored`, from `b` where it is less than `threshold`.
fn within(a: &[u8], mirrored: &[u8], b: &[u8], threshold: f32) -> Option<f32> {
    // Rounded up: what is near the threshold is decided below.
    let most =
        (f64::from(threshold).powi(2) * a.len().max(b.len()) as f64 + 1.0).min(f64::from(u32::MAX)) as u32;
    let squares = [squares(a, b, most), squares(mirrored, b, most)].into_iter().flatten().min()?;
    let distance = (squares as f32 / a.len().max(b.len()) as f32).sqrt();
    (distance < threshold).then_some(distance)
}

/// The sum of squared differences; `None` once it is more than `most`.
fn squares(a: &[u8], b: &[u8], most: u32) -> Option<u32> {
    // What has one ground looks the same on both.
    let (a, b) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let (a, b) = (a.chunks_exact(PART), b.chunks_exact(PART));
    let mut sum = 0;
    for (a, b) in a.zip(b.clone().chain(b)) {
        sum += a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>();
        if sum > most {
            return None;
        }
    }
    Some(sum)
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
pub fn pairs(thumbnails: &[Option<Thumbnail>], threshold: f32) -> Vec<(usize, usize)> {
    (0..thumbnails.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            let first = thumbnails[a].as_ref().map(|t| (t, t.mirrored()));
            let near = move |b: &usize| match (&first, &thumbnails[*b]) {
                (Some((a, mirrored)), Some(b)) => within(&a.values, mirrored, &b.values, threshold).is_some(),
                _ => false,
            };
            (a + 1..thumbnails.len()).filter(near).map(move |b| (a, b))
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
