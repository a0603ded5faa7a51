//! Images that are resized as Pillow keeps them, and become RGB then (OpenCLIP).

use super::deep;
use super::interpolation::Interpolation;
use super::processor::ImageProcessor;
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use unisono_media::decode::{Stored, printed};

impl ImageProcessor {
    /// An image as Pillow keeps it → one of the tower's size: palettes and bits by the nearest pixel, colours weighted by their opacity, which is
    /// dropped at last, each ink by itself, greys of 16 bits cut at 255 once they are resized.
    pub fn prepare_stored(&self, image: &Stored) -> RgbImage {
        match image {
            Stored::Plain(image) => self.prepare(image),
            Stored::Indexed(image, palette) => {
                // What is added around it is a number of a colour, too.
                let background = palette.get(usize::from(self.background[0])).copied().unwrap_or_default();
                Self { interpolation: Interpolation::Nearest, background, ..self.clone() }.prepare(image)
            }
            Stored::Transparent(image) => {
                let (w, h) = image.dimensions();
                // What keeps its size is not weighted either.
                if w == 0 || h == 0 || self.resized(w, h) == (w, h) {
                    return self.prepare(&each(image, |[r, g, b, _]| [r, g, b]));
                }
                let mut out = self.prepare(&each(image, |[r, g, b, a]| [r, g, b].map(|c| weigh(c, a))));
                let opaque = Self { background: [255; 3], ..self.clone() };
                let opacity = opaque.prepare(&each(image, |[.., a]| [a; 3]));
                for (to, from) in out.pixels_mut().zip(opacity.pixels()) {
                    to.0 = to.0.map(|c| unweigh(c, from.0[0]));
                }
                out
            }
            Stored::Inks(image) => {
                let colours = self.prepare(&each(image, |[c, m, y, _]| [c, m, y]));
                let black = self.prepare(&each(image, |[.., k]| [k; 3]));
                let mut inks = RgbaImage::new(colours.width(), colours.height());
                for ((to, colour), black) in inks.pixels_mut().zip(colours.pixels()).zip(black.pixels()) {
                    let [c, m, y] = colour.0;
                    *to = Rgba([c, m, y, black.0[0]]);
                }
                printed(&inks)
            }
            Stored::Deep(image) => {
                let (w, h) = image.dimensions();
                let size = if w == 0 || h == 0 { (w, h) } else { self.resized(w, h) };
                // The nearest of some numbers is the same before they are cut and after.
                let resized = match self.interpolation {
                    Interpolation::Nearest => image.clone(),
                    filter => deep::resize(image, size, filter),
                };
                let cut = |x, y| Rgb([resized.get_pixel(x, y).0[0].min(255) as u8; 3]);
                self.prepare(&RgbImage::from_fn(resized.width(), resized.height(), cut))
            }
        }
    }
}

fn each(image: &RgbaImage, pixel: fn([u8; 4]) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| Rgb(pixel(image.get_pixel(x, y).0)))
}

/// A colour times its opacity, as Pillow rounds it.
fn weigh(colour: u8, opacity: u8) -> u8 {
    let product = u32::from(colour) * u32::from(opacity) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// And back, as far as there is one.
fn unweigh(weighted: u8, opacity: u8) -> u8 {
    match opacity {
        0 | 255 => weighted,
        _ => (255 * u32::from(weighted) / u32::from(opacity)).min(255) as u8,
    }
}
