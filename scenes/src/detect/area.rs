//! OpenCV's `INTER_AREA` for a plane of bytes.

use super::taps::{Axis, between, mix};

/// Resizes a plane of `from` (width, height) to `to`.
pub(super) fn area(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let scale = |from: usize, to: usize| 1.0 / (to as f64 / from as f64);
    let (x, y) = (scale(from.0, to.0), scale(from.1, to.1));
    if x < 1.0 || y < 1.0 {
        return stretched(plane, from, to);
    }
    let whole = |scale: f64| (scale - scale.round_ties_even()).abs() < f64::EPSILON;
    if whole(x) && whole(y) {
        return blocks(plane, from.0, to, (x.round_ties_even() as usize, y.round_ties_even() as usize));
    }
    means(plane, from, to, (x, y))
}

/// Where a side grows, OpenCV interpolates.
fn stretched(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let (x, y) = (Axis::area_up(from.0, to.0), Axis::area_up(from.1, to.1));
    let row = |at: u32| {
        let row = &plane[at as usize * from.0..];
        let pick = |places: &[u32]| places.iter().map(|p| row[*p as usize]).collect::<Vec<_>>();
        let mut wide = vec![0; to.0];
        mix(&pick(&x.first), &pick(&x.second), &x.weights, &mut wide);
        wide
    };
    let mut out = vec![0; to.0 * to.1];
    for (i, into) in out.chunks_exact_mut(to.0).enumerate() {
        between(&row(y.first[i]), &row(y.second[i]), y.at(i), into);
    }
    out
}

/// Means of whole pixels.
fn blocks(plane: &[u8], width: usize, to: (usize, usize), block: (usize, usize)) -> Vec<u8> {
    let part = 1.0 / (block.0 * block.1) as f32;
    let mut out = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        for x in 0..to.0 {
            let rows = (0..block.1).map(|dy| &plane[(y * block.1 + dy) * width + x * block.0..][..block.0]);
            let sum: u32 = rows.flatten().map(|v| u32::from(*v)).sum();
            // Of two by two OpenCV rounds halves up.
            let mean =
                if block == (2, 2) { (sum + 2) >> 2 } else { (sum as f32 * part).round_ties_even() as u32 };
            out.push(mean.min(255) as u8);
        }
    }
    out
}

/// Which pixels of a side make up one of the result, and how much of each. Parts below a thousandth are left out, as in OpenCV.
fn shares(from: usize, to: usize, scale: f64) -> Vec<(usize, usize, f32)> {
    let mut table = Vec::new();
    for i in 0..to {
        let start = i as f64 * scale;
        let end = start + scale;
        let width = scale.min(from as f64 - start);
        let last = (end.floor() as usize).min(from - 1);
        let first = (start.ceil() as usize).min(last);
        if first as f64 - start > 1e-3 {
            table.push((i, first - 1, ((first as f64 - start) / width) as f32));
        }
        table.extend((first..last).map(|s| (i, s, (1.0 / width) as f32)));
        if end - last as f64 > 1e-3 {
            table.push((i, last, ((end - last as f64).min(1.0).min(width) / width) as f32));
        }
    }
    table
}

/// Means of parts of pixels, summed in single precision in OpenCV's order.
fn means(plane: &[u8], from: (usize, usize), to: (usize, usize), scale: (f64, f64)) -> Vec<u8> {
    let (columns, rows) = (shares(from.0, to.0, scale.0), shares(from.1, to.1, scale.1));
    let mut sums = vec![0f32; to.0 * to.1];
    let mut row = vec![0f32; to.0];
    for (y, source, share) in rows {
        let line = &plane[source * from.0..(source + 1) * from.0];
        row.fill(0.0);
        for (x, at, share) in &columns {
            row[*x] += f32::from(line[*at]) * share;
        }
        let sums = &mut sums[y * to.0..(y + 1) * to.0];
        sums.iter_mut().zip(&row).for_each(|(sum, value)| *sum += share * value);
    }
    sums.iter().map(|sum| sum.round_ties_even().clamp(0.0, 255.0) as u8).collect()
}
