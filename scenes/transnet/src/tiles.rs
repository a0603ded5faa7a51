//! Winograd's convolution F(4×4, 3×3) (Lavin & Gray 2016): sixteen sums of nine products from thirty-six products instead of 144. The points
//! are 0, ±√½, ±√2 and infinity, with which the rounding errors are those of the plain sums.

use crate::gemm::LANES;

/// Sixteen places' frames.
pub(crate) type Vector = [f32; LANES];
/// Products of a tile.
pub(crate) const POINTS: usize = 36;

const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

#[inline(always)]
fn of(f: impl Fn(usize) -> f32) -> Vector {
    let mut v = [0.0; LANES];
    for (l, v) in v.iter_mut().enumerate() {
        *v = f(l);
    }
    v
}

/// Six neighbours → six points.
#[inline(always)]
fn points(d: &[Vector; 6]) -> [Vector; 6] {
    let even_a = of(|l| d[4][l] - 2.0 * d[2][l]);
    let odd_a = of(|l| A * (d[3][l] - 2.0 * d[1][l]));
    let even_b = of(|l| d[4][l] - 0.5 * d[2][l]);
    let odd_b = of(|l| B * (d[3][l] - 0.5 * d[1][l]));
    [
        of(|l| d[0][l] + d[4][l] - 2.5 * d[2][l]),
        of(|l| even_a[l] + odd_a[l]),
        of(|l| even_a[l] - odd_a[l]),
        of(|l| even_b[l] + odd_b[l]),
        of(|l| even_b[l] - odd_b[l]),
        of(|l| d[1][l] + d[5][l] - 2.5 * d[3][l]),
    ]
}

/// Six points → four sums.
#[inline(always)]
fn sums(m: &[Vector; 6]) -> [Vector; 4] {
    let (even_a, odd_a) = (of(|l| m[1][l] + m[2][l]), of(|l| A * (m[1][l] - m[2][l])));
    let (even_b, odd_b) = (of(|l| m[3][l] + m[4][l]), of(|l| B * (m[3][l] - m[4][l])));
    [
        of(|l| m[0][l] + even_a[l] + even_b[l]),
        of(|l| odd_a[l] + odd_b[l]),
        of(|l| 0.5 * even_a[l] + 2.0 * even_b[l]),
        of(|l| 0.5 * odd_a[l] + 2.0 * odd_b[l] + m[5][l]),
    ]
}

#[inline(always)]
fn column<const N: usize>(rows: &[[Vector; N]; 6], x: usize) -> [Vector; 6] {
    [rows[0][x], rows[1][x], rows[2][x], rows[3][x], rows[4][x], rows[5][x]]
}

/// A tile's input, six rows of six places by `load(row, place)` → its points, by `store(point, value)`. Values pass through functions that are
/// compiled into the caller: as arrays they would be copied to and fro.
#[inline(always)]
pub(crate) fn forward(load: impl Fn(usize, usize) -> Vector, mut store: impl FnMut(usize, &Vector)) {
    let mut across = [[[0.0; LANES]; 6]; 6];
    for (y, row) in across.iter_mut().enumerate() {
        *row = points(&[load(y, 0), load(y, 1), load(y, 2), load(y, 3), load(y, 4), load(y, 5)]);
    }
    for x in 0..6 {
        for (y, value) in points(&column(&across, x)).iter().enumerate() {
            store(6 * y + x, value);
        }
    }
}

/// Points, by `load(point)` → the tile's output, four rows of four places.
#[inline(always)]
pub(crate) fn backward(load: impl Fn(usize) -> Vector, out: &mut [[Vector; 4]; 4]) {
    let mut across = [[[0.0; LANES]; 4]; 6];
    for (y, row) in across.iter_mut().enumerate() {
        let y = 6 * y;
        *row = sums(&[load(y), load(y + 1), load(y + 2), load(y + 3), load(y + 4), load(y + 5)]);
    }
    for x in 0..4 {
        for (row, value) in out.iter_mut().zip(&sums(&column(&across, x))) {
            row[x] = *value;
        }
    }
}

/// A 3×3 kernel → its points, rows first.
pub(crate) fn kernel(weights: &[f64; 9]) -> [f64; POINTS] {
    let (a, b) = (std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::SQRT_2);
    let line = |w: [f64; 3]| -> [f64; 6] {
        let at = |x: f64, scale: f64| (w[0] + x * w[1] + x * x * w[2]) / scale;
        // The divisors are the derivative of x (x² − ½) (x² − 2) at each point.
        [at(0.0, 1.0), at(a, -1.5), at(-a, -1.5), at(b, 6.0), at(-b, 6.0), w[2]]
    };
    let rows: [[f64; 6]; 3] = std::array::from_fn(|y| line(std::array::from_fn(|x| weights[3 * y + x])));
    let columns: [[f64; 6]; 6] = std::array::from_fn(|x| line(std::array::from_fn(|y| rows[y][x])));
    std::array::from_fn(|i| columns[i % 6][i / 6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_points_are_the_convolution() {
        let wave = |i: usize| ((i * 29 + 7) % 43) as f32 / 21.0 - 1.0;
        let tile: [[Vector; 6]; 6] = std::array::from_fn(|y| {
            std::array::from_fn(|x| std::array::from_fn(|l| wave(y * 48 + x * 8 + l)))
        });
        let weights: [f64; 9] = std::array::from_fn(|i| f64::from(wave(i + 400)));
        let u = kernel(&weights);
        let mut product = [[0.0; LANES]; POINTS];
        forward(|y, x| tile[y][x], |i, v| product[i] = v.map(|v| v * u[i] as f32));
        let mut out = [[[0.0; LANES]; 4]; 4];
        backward(|i| product[i], &mut out);
        for (y, row) in out.iter().enumerate() {
            for (x, found) in row.iter().enumerate() {
                for (l, found) in found.iter().enumerate() {
                    let want: f64 =
                        (0..9).map(|i| weights[i] * f64::from(tile[y + i / 3][x + i % 3][l])).sum();
                    assert!((f64::from(*found) - want).abs() < 5e-6, "{y} {x}: {found} {want}");
                }
            }
        }
    }
}
