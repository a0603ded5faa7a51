//! Brightness, contrast, saturation and hue as one affine map of RGB.

use image::RgbImage;

/// Rec. 601 luminance weights, as the image formats' own grey conversion uses.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Three rows of `[r, g, b, offset]`: a 3x3 matrix and an offset in units of 0 to 255.
pub(super) type Matrix = [[f32; 4]; 3];

/// Mean luminance of the pixels, 0 to 255.
pub(super) fn mean_luminance(img: &RgbImage) -> f32 {
    let mut sums = [0u64; 3];
    for pixel in img.pixels() {
        for (sum, &value) in sums.iter_mut().zip(&pixel.0) {
            *sum += u64::from(value);
        }
    }
    let pixels = (img.width() as u64 * img.height() as u64).max(1) as f64;
    sums.iter().zip(LUMA).map(|(&sum, weight)| sum as f64 / pixels * f64::from(weight)).sum::<f64>() as f32
}

/// The map that multiplies saturation, rotates hue (degrees) around the grey axis, multiplies brightness and then contrast
/// around the mean luminance `mean` of the image. Values are clipped once, at the end: in between nothing is lost.
pub(super) fn matrix(brightness: f32, contrast: f32, saturation: f32, hue: f32, mean: f32) -> Matrix {
    let (sin, cos) = hue.to_radians().sin_cos();
    // Hue and saturation act on the chroma c = rgb - luminance: rotation about the axis (1, 1, 1) by Rodrigues' formula.
    let (third, root) = (1.0 / 3.0, 1.0 / 3f32.sqrt());
    let rotation = |row: usize, column: usize| {
        let cross = match (3 + column - row) % 3 {
            0 => 0.0,
            1 => -root,
            _ => root,
        };
        let diagonal = if row == column { cos } else { 0.0 };
        diagonal + sin * cross + (1.0 - cos) * third
    };
    let mut out = [[0.0; 4]; 3];
    for (row, values) in out.iter_mut().enumerate() {
        // rotation * (identity - ones * luma^T); rows of a rotation about the grey axis sum to 1.
        for (column, value) in values[..3].iter_mut().enumerate() {
            let chroma = rotation(row, column) - LUMA[column];
            *value = brightness * contrast * (LUMA[column] + saturation * chroma);
        }
        values[3] = (1.0 - contrast) * brightness * mean;
    }
    out
}

/// Maps every pixel, rounding to nearest and clipping to 0 to 255.
pub(super) fn apply(img: &mut RgbImage, matrix: &Matrix) {
    for pixel in img.pixels_mut() {
        let [r, g, b] = pixel.0.map(f32::from);
        // `as u8` saturates; adding 0.5 first rounds to nearest.
        pixel.0 = matrix.map(|m| (m[0] * r + m[1] * g + m[2] * b + m[3] + 0.5) as u8);
    }
}
