use image::RgbImage;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Blur, PatchMask, between, chance, check_range, check_value, colour, warp};
use crate::Result;

/// Random geometry and colour of an image.
///
/// Geometry (crop, rotation, flip) is one bilinear pass, colour (brightness, contrast, saturation, hue, grey) one affine map of
/// RGB; blur, a rectangle and patches follow. A fixed number of values is drawn for what is switched on, so equal random streams give equal images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageAugment {
    /// The window that becomes the image.
    pub crop: Crop,
    /// Probability of a left-right flip. Leave it 0 where direction matters (text, arrows).
    pub flip: f32,
    /// Largest rotation either way, in degrees.
    pub rotate: f32,
    /// Brightness is multiplied by a factor from `[1 - x, 1 + x]`.
    pub brightness: f32,
    /// Contrast around the mean luminance is multiplied by a factor from `[1 - x, 1 + x]`.
    pub contrast: f32,
    /// Saturation is multiplied by a factor from `[1 - x, 1 + x]`.
    pub saturation: f32,
    /// Largest rotation of hue either way, in degrees.
    pub hue: f32,
    /// Probability of losing all colour.
    pub grayscale: f32,
    /// Gaussian blur.
    pub blur: Blur,
    /// A rectangle painted over.
    pub erase: Erase,
    /// Patches painted over.
    pub patch_mask: PatchMask,
    /// RGB colour of what lies outside the image, where the window or a rotation reaches there.
    pub fill: [u8; 3],
}

/// The crop window of [`ImageAugment`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Crop {
    /// Area of the window as a share of the image's, drawn from `[low, high]`. Above 1 the image shrinks on `fill`.
    pub scale: [f32; 2],
    /// Width to height of the window relative to the image's own, drawn (log-uniformly) from `[low, high]`.
    pub ratio: [f32; 2],
}

/// Random erasing (Zhong et al. 2017) of [`ImageAugment`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erase {
    /// Probability.
    pub probability: f32,
    /// Area of the rectangle as a share of the image's, drawn from `[low, high]`.
    pub area: [f32; 2],
}

impl Default for Crop {
    fn default() -> Self {
        Self { scale: [1.0; 2], ratio: [1.0; 2] }
    }
}

impl Default for Erase {
    fn default() -> Self {
        Self { probability: 0.0, area: [0.02, 0.2] }
    }
}

impl Default for ImageAugment {
    fn default() -> Self {
        Self {
            crop: Crop::default(),
            flip: 0.0,
            rotate: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grayscale: 0.0,
            blur: Blur::default(),
            erase: Erase::default(),
            patch_mask: PatchMask::default(),
            fill: [255; 3],
        }
    }
}

impl ImageAugment {
    /// Checks every parameter; call it before a run starts.
    ///
    /// # Errors
    /// [`crate::Error::Options`] naming the parameter, its allowed range and its value.
    pub fn validate(&self) -> Result<()> {
        check_range("crop.scale", self.crop.scale, [0.01, 16.0])?;
        check_range("crop.ratio", self.crop.ratio, [0.1, 10.0])?;
        check_range("erase.area", self.erase.area, [0.0, 1.0])?;
        self.blur.validate()?;
        self.patch_mask.validate()?;
        check_value("rotate", self.rotate, [0.0, 180.0])?;
        check_value("hue", self.hue, [0.0, 180.0])?;
        let shares = [
            ("flip", self.flip),
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
            ("grayscale", self.grayscale),
            ("erase.probability", self.erase.probability),
        ];
        shares.into_iter().try_for_each(|(name, value)| check_value(name, value, [0.0, 1.0]))
    }

    /// Whether the image is cropped or turned, so that pixels are read between their places: such an image may be larger than what comes of it, so
    /// that a crop has pixels to choose from; any other is best given at the size that it has in the end, and keeps each of its pixels.
    pub fn moves(&self) -> bool {
        self.crop != Crop::default() || self.rotate != 0.0
    }

    /// A version of `img` of so many pixels in width and height. With the defaults this is a plain resize (a copy when `img` has that
    /// size). A side of 0 is taken as 1.
    pub fn apply(&self, img: &RgbImage, size: (u32, u32), rng: &mut impl Rng) -> RgbImage {
        let size = (size.0.max(1), size.1.max(1));
        let window = self.draw_window(img, rng);
        let mut out = warp::warp(img, &window, size, self.fill);
        if let Some(matrix) = self.draw_colour(&out, rng) {
            colour::apply(&mut out, &matrix);
        }
        self.blur.apply(&mut out, rng);
        if chance(self.erase.probability, rng) {
            self.erase(&mut out, rng);
        }
        self.patch_mask.apply(&mut out, rng);
        out
    }

    fn draw_window(&self, img: &RgbImage, rng: &mut impl Rng) -> warp::Window {
        let (width, height) = (img.width() as f32, img.height() as f32);
        let scale = between(self.crop.scale, rng);
        let ratio = between(self.crop.ratio.map(f32::ln), rng).exp();
        let (w, h) = (width * (scale * ratio).sqrt(), height * (scale / ratio).sqrt());
        // The window's corner: anywhere that keeps it inside the image, or the image inside it.
        let mut corner = |room: f32| between([room.min(0.0), room.max(0.0)], rng);
        let (x, y) = (corner(width - w), corner(height - h));
        let angle = between([-self.rotate, self.rotate], rng).to_radians();
        let flip = chance(self.flip, rng);
        warp::Window { centre: [x + w / 2.0, y + h / 2.0], size: [w, h], angle, flip }
    }

    fn draw_colour(&self, img: &RgbImage, rng: &mut impl Rng) -> Option<colour::Matrix> {
        let mut factor = |x: f32| between([1.0 - x, 1.0 + x], rng);
        let (brightness, contrast) = (factor(self.brightness), factor(self.contrast));
        let mut saturation = factor(self.saturation);
        let hue = between([-self.hue, self.hue], rng);
        if chance(self.grayscale, rng) {
            saturation = 0.0;
        }
        let changes = (brightness, contrast, saturation, hue) != (1.0, 1.0, 1.0, 0.0);
        changes.then(|| colour::matrix(brightness, contrast, saturation, hue, colour::mean_luminance(img)))
    }

    fn erase(&self, img: &mut RgbImage, rng: &mut impl Rng) {
        let (width, height) = img.dimensions();
        let area = between(self.erase.area, rng);
        let ratio = between([0.5f32.ln(), 2f32.ln()], rng).exp();
        let edge = |full: u32, share: f32| ((full as f32 * share.sqrt()).round() as u32).min(full);
        let (w, h) = (edge(width, area * ratio), edge(height, area / ratio));
        let (x, y) = (rng.random_range(0..=width - w), rng.random_range(0..=height - h));
        let paint = image::Rgb(rng.random::<[u8; 3]>());
        for row in y..y + h {
            for column in x..x + w {
                img.put_pixel(column, row, paint);
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/augment_image.rs"]
mod tests;
