//! Pictures → square pixels → a normalised batch.

use crate::{Error, Result};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// How a picture of any shape becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The longest edge is resized to `size`; the rest is filled with the background, the picture in the middle.
    Pad,
    /// The shortest edge is resized to `size`; the middle is kept.
    Crop,
    /// Both edges are resized to `size`.
    Stretch,
}

/// The resampling filter, antialiased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Catmull–Rom (a = −0.5).
    Bicubic,
    /// Lanczos, three lobes.
    Lanczos,
}

/// The image half of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageProcessor {
    /// Edge S of the square, in pixels.
    pub size: u32,
    /// How the square is made.
    #[serde(default = "pad")]
    pub fit: Fit,
    /// The filter.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
    /// Under transparent pixels and around padded pictures.
    #[serde(default = "white")]
    pub background: [u8; 3],
    /// Subtracted from each channel after scaling to [0, 1].
    #[serde(default = "half")]
    pub mean: [f32; 3],
    /// Divides each channel then.
    #[serde(default = "half")]
    pub std: [f32; 3],
}

fn pad() -> Fit {
    Fit::Pad
}
fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}
fn white() -> [u8; 3] {
    [255; 3]
}
fn half() -> [f32; 3] {
    [0.5; 3]
}

impl ImageProcessor {
    /// A processor with the defaults: padded to `size` over white, bilinear, scaled to [−1, 1].
    pub fn new(size: u32) -> Self {
        let (fit, interpolation) = (pad(), bilinear());
        Self { size, fit, interpolation, background: white(), mean: half(), std: half() }
    }

    /// A picture → a square of `size` × `size` pixels.
    pub fn square(&self, picture: &RgbImage) -> RgbImage {
        let (w, h) = picture.dimensions();
        if (w, h) == (self.size, self.size) {
            return picture.clone();
        }
        let filter = match self.interpolation {
            Interpolation::Bilinear => FilterType::Triangle,
            Interpolation::Bicubic => FilterType::CatmullRom,
            Interpolation::Lanczos => FilterType::Lanczos3,
        };
        let edge = match self.fit {
            Fit::Stretch => return imageops::resize(picture, self.size, self.size, filter),
            Fit::Pad => w.max(h),
            Fit::Crop => w.min(h),
        };
        let scaled = |side: u32| {
            ((f64::from(side) * f64::from(self.size) / f64::from(edge.max(1))).round() as u32).max(1)
        };
        let resized = imageops::resize(picture, scaled(w), scaled(h), filter);
        let (w, h) = resized.dimensions();
        if self.fit == Fit::Crop {
            let (x, y) = ((w - self.size) / 2, (h - self.size) / 2);
            return imageops::crop_imm(&resized, x, y, self.size, self.size).to_image();
        }
        let mut square = RgbImage::from_pixel(self.size, self.size, Rgb(self.background));
        imageops::replace(
            &mut square,
            &resized,
            i64::from((self.size - w) / 2),
            i64::from((self.size - h) / 2),
        );
        square
    }

    /// Squares from [`square`](Self::square) → `[B, 3, S, S]` fp32, normalised, with channels-last strides.
    ///
    /// # Errors
    /// A square of another size, or no room on the device.
    pub fn batch(&self, squares: &[RgbImage], device: Device) -> Result<Tensor> {
        let s = i64::from(self.size);
        let mut bytes = Vec::with_capacity(squares.len() * (s * s * 3) as usize);
        for q in squares {
            if q.dimensions() != (self.size, self.size) {
                let (w, h) = q.dimensions();
                return Err(Error::Input(format!("picture of {w}x{h} pixels in a batch of {s}x{s}")));
            }
            bytes.extend_from_slice(q.as_raw());
        }
        // Bytes travel to the device, a quarter of the floats; both affine steps are one multiply-add there.
        let u8s = Tensor::f_from_data_size(&bytes, &[squares.len() as i64, s, s, 3], Kind::Uint8)?;
        let scale: Vec<f32> = self.std.iter().map(|d| 1.0 / (255.0 * d)).collect();
        let shift: Vec<f32> = self.mean.iter().zip(self.std).map(|(m, d)| -m / d).collect();
        let (scale, shift) = (Tensor::f_from_slice(&scale)?, Tensor::f_from_slice(&shift)?);
        let mut x = u8s.f_to_device(device)?.f_to_kind(Kind::Float)?;
        let x = x.f_mul_(&scale.f_to_device(device)?)?.f_add_(&shift.f_to_device(device)?)?;
        Ok(x.f_permute([0, 3, 1, 2])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_crops_and_stretches() {
        let red = RgbImage::from_pixel(40, 20, Rgb([200, 0, 0]));
        let mut p = ImageProcessor::new(10);
        let q = p.square(&red);
        assert_eq!((q.get_pixel(5, 0).0, q.get_pixel(5, 5).0), ([255; 3], [200, 0, 0]));
        p.fit = Fit::Crop;
        assert!(p.square(&red).pixels().all(|p| p.0 == [200, 0, 0]));
        p.fit = Fit::Stretch;
        assert_eq!(p.square(&red).dimensions(), (10, 10));
    }

    #[test]
    fn extreme_shapes_keep_a_pixel() {
        for (w, h) in [(1, 3000), (3000, 1), (1, 1)] {
            let one = RgbImage::from_pixel(w, h, Rgb([9, 9, 9]));
            for fit in [Fit::Pad, Fit::Crop, Fit::Stretch] {
                let p = ImageProcessor { fit, ..ImageProcessor::new(8) };
                assert_eq!(p.square(&one).dimensions(), (8, 8));
            }
        }
    }

    #[test]
    fn a_batch_is_the_affine_map_of_its_bytes() {
        let p = ImageProcessor { mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 2.0], ..ImageProcessor::new(2) };
        let q = RgbImage::from_fn(2, 2, |x, y| Rgb([x as u8 * 100, y as u8 * 50, 255]));
        let b = p.batch(&[q], Device::Cpu).unwrap();
        assert_eq!(b.size(), [1, 3, 2, 2]);
        let near = |at: &[i64], want: f64| assert!((b.double_value(at) - want).abs() < 1e-6);
        near(&[0, 0, 0, 1], (100.0 / 255.0 - 0.1) / 0.5);
        near(&[0, 1, 1, 0], (50.0 / 255.0 - 0.2) / 0.25);
        near(&[0, 2, 0, 0], 0.35);
        let wrong = RgbImage::new(3, 3);
        assert!(p.batch(&[wrong], Device::Cpu).is_err());
    }
}
