//! A line of a chart as paths, small however many points it has.

use std::fmt::Write;

use super::place::tenth;

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeriesStyle {
    /// As it is; few points are marked, for they are measurements.
    #[default]
    Line,
    /// A running mean boldly over the faint raw line: for noisy losses.
    Smooth,
    /// Of many points the area between each column's least and greatest, so that no peak is lost: for scores of frames.
    Envelope,
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points, ascending in x. Points that are not finite break the line.
    pub points: Vec<(f64, f64)>,
    /// The interval around each point, from low to high; empty when nobody knows.
    pub intervals: Vec<(f64, f64)>,
    /// What guessing reaches, drawn as a dotted line of the same colour.
    pub chance: Option<f64>,
    /// How it is drawn.
    pub style: SeriesStyle,
}

impl Series {
    /// A plain line.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, ..Self::default() }
    }

    /// The same with at most [`POINTS`] points.
    pub(super) fn thinned(&self) -> Self {
        if self.style == SeriesStyle::Envelope {
            return self.clone();
        }
        Self { points: thin(&self.points), intervals: thin(&self.intervals), ..self.clone() }
    }
}

/// Points kept of a line: about one a pixel of the drawing.
const POINTS: usize = 500;
/// Columns of an envelope.
const COLUMNS: usize = 1100;

/// A place in the drawing, thousandths of its width from the left and of its height from the top; `None` where there is a gap.
pub(super) type At<'a> = &'a dyn Fn((f64, f64)) -> Option<(f64, f64)>;

/// The path through points; gaps lift the pen.
pub(super) fn path(points: &[(f64, f64)], at: At) -> String {
    let (mut path, mut pen) = (String::new(), 'M');
    for place in points.iter().map(|&point| at(point)) {
        if let Some((x, y)) = place {
            // Writing to a string cannot fail.
            let _ = write!(path, "{pen}{} {}", tenth(x), tenth(y));
            // A lone point has a length of nothing, which round ends make a dot.
            path += if pen == 'M' { "h0" } else { "" };
        }
        pen = if place.is_some() { 'L' } else { 'M' };
    }
    path
}

/// The area between `low` and `high`, for each stretch without a gap.
pub(super) fn area(low: &[Option<(f64, f64)>], high: &[Option<(f64, f64)>]) -> String {
    let (mut path, mut at) = (String::new(), 0);
    let known = |i: usize| low[i].zip(high[i]);
    let count = low.len().min(high.len());
    while at < count {
        let run = (at..count).take_while(|&i| known(i).is_some()).count();
        let there = (at..at + run).filter_map(|i| high[i]);
        let back = (at..at + run).rev().filter_map(|i| low[i]);
        for (i, (x, y)) in there.chain(back).enumerate() {
            let _ = write!(path, "{}{} {}", if i == 0 { 'M' } else { 'L' }, tenth(x), tenth(y));
        }
        path += if run > 0 { "Z" } else { "" };
        at += run + 1;
    }
    path
}

/// A path through few points as they are; of many, the area between each column's least and greatest, and `true`.
pub(super) fn envelope(points: &[(f64, f64)], at: At) -> (String, bool) {
    if points.len() <= COLUMNS {
        return (path(points, at), false);
    }
    let mut columns = vec![None::<(f64, f64)>; COLUMNS];
    for (x, y) in points.iter().filter_map(|&point| at(point)) {
        let column = &mut columns[((x / 1000.0 * COLUMNS as f64) as usize).min(COLUMNS - 1)];
        *column = Some(column.map_or((y, y), |(top, bottom)| (top.min(y), bottom.max(y))));
    }
    let x = |column: usize| 1000.0 * (column as f64 + 0.5) / COLUMNS as f64;
    let side = |pick: fn((f64, f64)) -> f64| -> Vec<Option<(f64, f64)>> {
        columns.iter().enumerate().map(|(i, c)| c.map(|c| (x(i), pick(c)))).collect()
    };
    (area(&side(|c| c.1), &side(|c| c.0)), true)
}

/// Averages neighbours until at most [`POINTS`] are left; a bucket with a value that is not finite stays a gap, so a diverged stretch is
/// seen.
pub(super) fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let bucket = points.len().div_ceil(POINTS).max(1);
    let mean = |bucket: &[(f64, f64)]| {
        let n = bucket.len() as f64;
        let (x, y) = bucket.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        (x / n, y / n)
    };
    points.chunks(bucket).map(mean).collect()
}

/// An exponential running mean without the pull of its start (as in Adam, Kingma & Ba, 2015); gaps stay gaps.
pub(super) fn running_mean(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep: f64 = 0.9;
    let (mut mean, mut weight) = (0.0, 0.0);
    let step = |&(x, y): &(f64, f64)| {
        if !y.is_finite() {
            return (x, y);
        }
        mean = keep * mean + (1.0 - keep) * y;
        weight = keep * weight + (1.0 - keep);
        (x, mean / weight)
    };
    points.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_is((x, y): (f64, f64)) -> Option<(f64, f64)> {
        y.is_finite().then_some((x * 1000.0, y))
    }

    #[test]
    fn gaps_lift_the_pen_and_lone_points_are_dots() {
        let points = [(0.0, f64::NAN), (0.5, 1.0), (0.75, 2.0), (0.8, f64::INFINITY), (1.0, 0.0)];
        assert_eq!(path(&points, &as_is), "M500 1h0L750 2M1000 0h0");
        assert_eq!(envelope(&points, &as_is), (path(&points, &as_is), false));
    }

    #[test]
    fn an_area_goes_there_and_back() {
        let low = [Some((0.0, 9.0)), Some((1.0, 8.0)), None, Some((3.0, 7.0))];
        let high = [Some((0.0, 1.0)), Some((1.0, 2.0)), Some((2.0, 3.0)), Some((3.0, 4.0))];
        assert_eq!(area(&low, &high), "M0 1L1 2L1 8L0 9ZM3 4L3 7Z");
        assert_eq!(area(&[], &[]), "");
    }

    #[test]
    fn two_hours_stay_small_and_keep_their_peaks() {
        let frames = 172_800;
        let value = |i: usize| match i {
            100_000 => 99.0,
            60_000..70_000 => f64::NAN,
            _ => (i % 7) as f64,
        };
        let points: Vec<(f64, f64)> = (0..frames).map(|i| (i as f64 / frames as f64, value(i))).collect();
        let (path, many) = envelope(&points, &|(x, y)| as_is((x, 100.0 - y)));
        assert!(many && path.len() < 40_000, "{}", path.len());
        assert!(path.contains(" 1L") && path.matches('M').count() == 2 && !path.contains("NaN"));
    }

    #[test]
    fn long_runs_keep_their_mean() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS);
        assert!(thinned.iter().all(|p| (p.1 - 0.5).abs() < 1e-9));
    }

    #[test]
    fn running_mean_of_a_constant_is_that_constant() {
        let mean = running_mean(&[(0.0, 3.0), (1.0, 3.0), (2.0, f64::NAN), (3.0, 3.0)]);
        assert!(mean.iter().filter(|p| p.1.is_finite()).all(|p| (p.1 - 3.0).abs() < 1e-12));
        assert!(mean[2].1.is_nan());
    }

    #[test]
    fn running_mean_is_the_weighted_sum_it_claims() {
        let points: Vec<(f64, f64)> = (0..30).map(|i| (f64::from(i), f64::from(i * i % 11))).collect();
        let mean = running_mean(&points);
        for (n, &(_, found)) in mean.iter().enumerate() {
            let weights: Vec<f64> = (0..=n).map(|i| 0.9f64.powi((n - i) as i32)).collect();
            let sum: f64 = weights.iter().zip(&points).map(|(w, p)| w * p.1).sum();
            assert!((found - sum / weights.iter().sum::<f64>()).abs() < 1e-9, "{n}");
        }
    }
}
