//! Images → pixels of the size that a tower takes → a normalised batch.

use super::interpolation::Interpolation;
use super::resize::resize;
use crate::Size;
use crate::{Error, Result};
use image::imageops;
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

/// How an image of any shape becomes one of the tower's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Resized until it fits inside; the rest is filled with the background, the image in the middle.
    Pad,
    /// Resized until it covers, or its shortest edge to `edge`; the middle is kept.
    Crop,
    /// Both edges are resized.
    Stretch,
    /// Resized, its shape nearly kept, to whole patches of `patch` pixels, as many as fit into the number that `size` has
    /// (NaFlex).
    Patches,
}

/// How the longer edge of a resized image becomes a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// To nearest, halves up.
    #[default]
    Nearest,
    /// To nearest, halves to even (Python's `round`).
    Even,
    /// Down (torchvision's and Hugging Face's shortest edge).
    Down,
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alpha {
    /// The image is laid over the background.
    #[default]
    Background,
    /// It is dropped and the colour under it shows, as Pillow's conversion to RGB does, but after the image was resized as it is stored (OpenCLIP).
    Drop,
    /// It is dropped and the colour under it shows: the image becomes RGB before anything else (timm).
    Convert,
}

/// The image half of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageProcessor {
    /// Size of what comes out, in pixels.
    pub size: Size,
    /// How it is reached.
    #[serde(default = "pad")]
    pub fit: Fit,
    /// With `crop`: the shortest edge is resized to this and not to the output's; what is missing is black.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<u32>,
    /// With `patches`: height and width of a patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<u32>,
    /// Of the resized image's sides.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rounding: Rounding,
    /// With `crop`: an odd margin is halved by rounding halves to even (torchvision) and not down.
    #[serde(default, skip_serializing_if = "is_default")]
    pub even_margin: bool,
    /// The filter.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
    /// What becomes of transparency.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alpha: Alpha,
    /// Under transparent pixels and around padded images.
    #[serde(default = "white")]
    pub background: [u8; 3],
    /// Subtracted from each channel after scaling to [0, 1].
    #[serde(default = "half")]
    pub mean: [f32; 3],
    /// Divides each channel then.
    #[serde(default = "half")]
    pub std: [f32; 3],
}

fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
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
    /// A processor with the defaults: padded to a square of `size` pixels over white, bilinear, scaled to [−1, 1].
    pub fn new(size: u32) -> Self {
        Self {
            size: Size::from(i64::from(size)),
            fit: pad(),
            edge: None,
            patch: None,
            rounding: Rounding::default(),
            even_margin: false,
            interpolation: bilinear(),
            alpha: Alpha::default(),
            background: white(),
            mean: half(),
            std: half(),
        }
    }

    /// Refuses sizes that no image can have.
    ///
    /// # Errors
    /// The first impossible value.
    pub fn validate(&self) -> Result<()> {
        let sides = self.size.sides;
        if sides.iter().any(|s| !(1..=1 << 14).contains(s)) {
            let found = self.size;
            return Err(Error::config("image.size", format!("expected 1 to 16384 pixels, found {found}")));
        }
        if self.edge.is_some_and(|e| !(1..=1 << 14).contains(&e)) {
            return Err(Error::config("image.edge", "expected 1 to 16384 pixels"));
        }
        let fits = |p: u32| p > 0 && sides.iter().all(|s| s % i64::from(p) == 0);
        if self.fit == Fit::Patches && !self.patch.is_some_and(fits) {
            return Err(Error::config("image.patch", format!("expected a divisor of size {}", self.size)));
        }
        if self.std.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(Error::config(
                "image.std",
                format!("expected numbers above 0, found {:?}", self.std),
            ));
        }
        if self.mean.iter().any(|m| !m.is_finite()) {
            return Err(Error::config("image.mean", format!("expected numbers, found {:?}", self.mean)));
        }
        Ok(())
    }

    /// Height and width of what comes out; `None` where they depend on the image (`patches`).
    pub fn output_size(&self) -> Option<[u32; 2]> {
        (self.fit != Fit::Patches).then(|| self.sides())
    }

    /// The longer side of what comes out, in pixels.
    pub fn longest_side(&self) -> u32 {
        let [h, w] = self.sides();
        h.max(w)
    }

    /// Height and width of [`size`](Self::size), which images of other forms stay within.
    pub fn sides(&self) -> [u32; 2] {
        self.size.sides.map(|s| s.clamp(1, 1 << 14) as u32)
    }

    /// An image → one of the tower's size.
    pub fn prepare(&self, image: &RgbImage) -> RgbImage {
        let (w, h) = image.dimensions();
        let [out_h, out_w] = self.sides();
        if w == 0 || h == 0 {
            return RgbImage::from_pixel(out_w, out_h, Rgb(self.background));
        }
        match self.fit {
            Fit::Stretch => self.whole(image, (out_w, out_h)),
            Fit::Patches => self.whole(image, self.patches(h, w)),
            Fit::Pad => {
                let (rw, rh) = self.resized(w, h);
                let resized = self.whole(image, (rw, rh));
                if (rw, rh) == (out_w, out_h) {
                    return resized;
                }
                let mut out = RgbImage::from_pixel(out_w, out_h, Rgb(self.background));
                imageops::replace(
                    &mut out,
                    &resized,
                    i64::from((out_w - rw) / 2),
                    i64::from((out_h - rh) / 2),
                );
                out
            }
            Fit::Crop => {
                let (rw, rh) = self.cover(w, h);
                let margin = |has: u32, wants: u32| {
                    let spare = has.saturating_sub(wants);
                    // Half of an odd number lies between two integers: the even one of them.
                    if self.even_margin { spare / 2 + u32::from(spare % 4 == 3) } else { spare / 2 }
                };
                let corner = (margin(rw, out_w), margin(rh, out_h));
                let size = (rw.min(out_w), rh.min(out_h));
                let part = resize(image, (rw, rh), corner, size, self.interpolation);
                if size == (out_w, out_h) {
                    return part;
                }
                let mut out = RgbImage::new(out_w, out_h);
                // Hugging Face's crop with numpy puts an odd margin's larger half above and left, torchvision's the smaller.
                let before =
                    |spare: u32| i64::from(if self.even_margin { spare / 2 } else { spare.div_ceil(2) });
                imageops::replace(&mut out, &part, before(out_w - size.0), before(out_h - size.1));
                out
            }
        }
    }

    /// Width and height after resizing, before anything is cut or added.
    pub(super) fn resized(&self, w: u32, h: u32) -> (u32, u32) {
        let [out_h, out_w] = self.sides();
        match self.fit {
            Fit::Stretch => (out_w, out_h),
            Fit::Patches => self.patches(h, w),
            Fit::Crop => self.cover(w, h),
            Fit::Pad => {
                let ratio = (f64::from(h) / f64::from(out_h)).max(f64::from(w) / f64::from(out_w));
                (self.round(w, ratio).min(out_w), self.round(h, ratio).min(out_h))
            }
        }
    }

    fn whole(&self, image: &RgbImage, size: (u32, u32)) -> RgbImage {
        if image.dimensions() == size {
            return image.clone();
        }
        resize(image, size, (0, 0), size, self.interpolation)
    }

    /// Width and height of the resized image that is cropped.
    fn cover(&self, w: u32, h: u32) -> (u32, u32) {
        let [out_h, out_w] = self.sides();
        if let Some(edge) = self.edge {
            let long = |long: u32, short: u32| match self.rounding {
                // In this order, as the libraries multiply before they divide.
                Rounding::Down => (u64::from(edge) * u64::from(long) / u64::from(short)) as u32,
                _ => self.round(long, f64::from(short) / f64::from(edge)),
            };
            return if w <= h { (edge, long(h, w)) } else { (long(w, h), edge) };
        }
        let ratio = (f64::from(h) / f64::from(out_h)).min(f64::from(w) / f64::from(out_w));
        (self.round(w, ratio).max(out_w), self.round(h, ratio).max(out_h))
    }

    fn round(&self, side: u32, ratio: f64) -> u32 {
        let exact = f64::from(side) / ratio;
        let rounded = match self.rounding {
            Rounding::Nearest => exact.round(),
            Rounding::Even => exact.round_ties_even(),
            Rounding::Down => exact.floor(),
        };
        (rounded as u32).max(1)
    }

    /// Width and height in whole patches: the largest scale, to the fifth decimal, at which there are few enough.
    fn patches(&self, h: u32, w: u32) -> (u32, u32) {
        let patch = f64::from(self.patch.unwrap_or(16).max(1));
        let most = self.size.sides.iter().map(|s| *s as f64 / patch).product::<f64>();
        let side = |scale: f64, side: u32| ((f64::from(side) * scale / patch).ceil() * patch).max(patch);
        let (mut low, mut high) = (1e-6, 100.0);
        while high - low >= 1e-5 {
            let scale = (low + high) / 2.0;
            if (side(scale, h) / patch) * (side(scale, w) / patch) <= most {
                low = scale;
            } else {
                high = scale;
            }
        }
        (side(low, w) as u32, side(low, h) as u32)
    }

    /// The same processor with a larger output, for images that are cropped at random afterwards. Where the output depends on the image
    /// (`patches`), it has as many patches as before, larger ones.
    pub fn scaled(&self, by: f64) -> Self {
        let larger = |s: i64| (s as f64 * by).round() as i64;
        if let (Fit::Patches, Some(patch)) = (self.fit, self.patch.filter(|p| *p > 0)) {
            let wide = larger(i64::from(patch)).max(1);
            let sides = self.size.sides.map(|s| s / i64::from(patch) * wide);
            return Self { size: Size { sides }, patch: Some(wide as u32), ..self.clone() };
        }
        Self {
            size: Size { sides: self.size.sides.map(larger) },
            edge: self.edge.map(|e| larger(i64::from(e)) as u32),
            ..self.clone()
        }
    }

    /// Width and height of what this processor makes of an image that a [`scaled`](Self::scaled) one made `image` of.
    pub fn size_of_scaled(&self, scaled: &Self, image: &RgbImage) -> (u32, u32) {
        match (self.output_size(), self.patch, scaled.patch.filter(|p| *p > 0)) {
            (Some([h, w]), ..) => (w, h),
            (None, Some(patch), Some(wide)) => (image.width() / wide * patch, image.height() / wide * patch),
            _ => image.dimensions(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_crops_and_stretches() {
        let red = RgbImage::from_pixel(40, 20, Rgb([200, 0, 0]));
        let mut p = ImageProcessor::new(10);
        let q = p.prepare(&red);
        assert_eq!((q.get_pixel(5, 0).0, q.get_pixel(5, 5).0), ([255; 3], [200, 0, 0]));
        p.fit = Fit::Crop;
        assert!(p.prepare(&red).pixels().all(|p| p.0 == [200, 0, 0]));
        p.fit = Fit::Stretch;
        assert_eq!(p.prepare(&red).dimensions(), (10, 10));
    }

    #[test]
    fn extreme_shapes_keep_a_pixel() {
        for (w, h) in [(1, 3000), (3000, 1), (1, 1)] {
            let one = RgbImage::from_pixel(w, h, Rgb([9, 9, 9]));
            for fit in [Fit::Pad, Fit::Crop, Fit::Stretch] {
                let p = ImageProcessor { fit, ..ImageProcessor::new(8) };
                assert_eq!(p.prepare(&one).dimensions(), (8, 8));
            }
        }
    }

    #[test]
    fn scaled_images_know_their_size() {
        let base = ImageProcessor { size: Size { sides: [24, 40] }, ..ImageProcessor::new(1) };
        let naflex = ImageProcessor {
            size: Size { sides: [24, 24] },
            fit: Fit::Patches,
            patch: Some(6),
            ..ImageProcessor::new(1)
        };
        let edge = ImageProcessor { fit: Fit::Crop, edge: Some(30), ..base.clone() };
        let stretch = ImageProcessor { fit: Fit::Stretch, ..base.clone() };
        for p in [base, naflex, edge, stretch] {
            let wide = p.scaled(1.25);
            wide.validate().unwrap();
            for (w, h) in [(40, 40), (64, 20), (20, 64), (7, 90), (301, 173), (1, 1), (24, 24), (48, 12)] {
                let image = RgbImage::from_pixel(w, h, Rgb([9; 3]));
                let (small, large) = (p.prepare(&image), wide.prepare(&image));
                assert!(large.width() > small.width() && large.height() > small.height());
                assert_eq!(p.size_of_scaled(&wide, &large), small.dimensions(), "{p:?} {w}x{h}");
                assert_eq!(p.size_of_scaled(&p, &small), small.dimensions(), "{p:?} {w}x{h}");
            }
        }
    }
}
