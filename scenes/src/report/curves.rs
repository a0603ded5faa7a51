//! The detectors' scores over time, small however long the video: each pixel's column from its least to its greatest.

use super::Curve;
use super::html::Html;
use super::scale::{Scale, percent};
use super::timeline::axis;
use crate::record::{EventKind, VideoScenes};
use crate::write::text::line;
use std::fmt::Write;

/// Columns of a curve: about one a pixel.
const COLUMNS: usize = 1100;
/// Curves on a page that names none.
const MOST: usize = 6;
/// So many cuts can be told apart as lines through a curve.
const LINES: usize = 160;

pub(super) fn section(h: &mut Html, of: &VideoScenes, curves: &[Curve], scale: &Scale) {
    let scores = &of.scores;
    let finite = |column: usize| scores.rows.iter().any(|r| r.get(column).is_some_and(|v| v.is_finite()));
    let found: Vec<(usize, Curve)> = if curves.is_empty() {
        let all = scores.names.iter().enumerate().filter(|&(column, _)| finite(column));
        all.take(MOST).map(|(column, name)| (column, Curve { name: name.clone(), threshold: None })).collect()
    } else {
        let column = |curve: &Curve| scores.names.iter().position(|n| *n == curve.name);
        curves.iter().filter_map(|c| Some((column(c).filter(|&at| finite(at))?, c.clone()))).collect()
    };
    if found.is_empty() {
        return;
    }
    h.el("section", &[("id", "scores")], |h| {
        h.say("h2", &[], "Scores");
        let lead = "What the detectors measured from frame to frame. Upright lines are cuts, the dashed one is the threshold.";
        h.say("p", &[("class", "lead")], lead);
        for (column, curve) in &found {
            figure(h, of, *column, curve, scale);
        }
    });
}

fn figure(h: &mut Html, of: &VideoScenes, column: usize, curve: &Curve, scale: &Scale) {
    let value = |row: &Vec<f64>| row.get(column).copied().unwrap_or(f64::NAN);
    let points: Vec<(f64, f64)> =
        of.scores.times.iter().zip(&of.scores.rows).map(|(t, row)| (scale.place(*t), value(row))).collect();
    let values = || points.iter().map(|p| p.1).filter(|v| v.is_finite());
    let threshold = curve.threshold.filter(|t| t.is_finite());
    let most = values().chain(threshold.map(|t| t * 1.15)).fold(f64::MIN, f64::max);
    let least = values().fold(0.0, f64::min);
    // No negative zero: it would be written.
    let (top, bottom) = (round_up(most).max(1e-9), 0.0 - round_up(-least));
    let down = |v: f64| 100.0 * (1.0 - (v - bottom) / (top - bottom));
    h.el("figure", &[("class", "curve")], |h| {
        h.el("figcaption", &[], |h| {
            h.say("strong", &[("dir", "auto")], &line(&curve.name, 80));
            let mut about = format!("at most {}", short(values().fold(f64::MIN, f64::max)));
            if let Some(threshold) = threshold {
                let _ = write!(about, " · threshold {}", short(threshold));
            }
            h.say("span", &[], &about);
        });
        h.el("div", &[("class", "plot")], |h| {
            let shape = [
                ("viewBox", "0 0 1000 100"),
                ("preserveAspectRatio", "none"),
                ("role", "img"),
                ("aria-label", &*curve.name),
            ];
            h.el("svg", &shape, |h| {
                let cuts: Vec<f64> = of
                    .events
                    .iter()
                    .filter(|e| e.kind == EventKind::Cut)
                    .map(|e| scale.place(e.start.time))
                    .collect();
                let end = if cuts.len() > LINES { 7 } else { 100 };
                let mut marks = String::new();
                for cut in &cuts {
                    let _ = write!(marks, "M{:.1} 0V{end}", cut * 1000.0);
                }
                stroke(h, "cuts", &marks);
                // A line through few points encloses nothing; the envelope of many is an area.
                let class = if points.len() <= COLUMNS { "line bare" } else { "line" };
                stroke(h, class, &envelope(&points, down));
                if let Some(threshold) = threshold {
                    stroke(h, "threshold", &format!("M0 {0:.2}H1000", down(threshold)));
                }
            });
            for tick in [bottom, (top + bottom) / 2.0, top] {
                let style = format!("top:{}", percent(down(tick) / 100.0));
                h.say("span", &[("class", "tick"), ("style", &style), ("aria-hidden", "true")], &short(tick));
            }
        });
        axis(h, scale);
    });
}

fn stroke(h: &mut Html, class: &str, path: &str) {
    if !path.is_empty() {
        h.el("path", &[("class", class), ("d", path), ("vector-effect", "non-scaling-stroke")], |_| {});
    }
}

/// A path through few points as they are; of many, the area between each column's least and greatest. Gaps stay gaps.
fn envelope(points: &[(f64, f64)], down: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    if points.len() <= COLUMNS {
        let mut pen = 'M';
        for &(x, y) in points {
            if y.is_finite() {
                let _ = write!(path, "{pen}{:.1} {:.1}", x * 1000.0, down(y));
                // A lone point has a length of nothing, which round ends make a dot.
                path += if pen == 'M' { "h0" } else { "" };
            }
            pen = if y.is_finite() { 'L' } else { 'M' };
        }
        return path;
    }
    let mut columns = vec![None::<(f64, f64)>; COLUMNS];
    for &(x, y) in points.iter().filter(|p| p.1.is_finite()) {
        let column = &mut columns[((x * COLUMNS as f64) as usize).min(COLUMNS - 1)];
        *column = Some(column.map_or((y, y), |(low, high)| (low.min(y), high.max(y))));
    }
    let x = |column: usize| 1000.0 * (column as f64 + 0.5) / COLUMNS as f64;
    let mut at = 0;
    while at < COLUMNS {
        let run = columns[at..].iter().take_while(|c| c.is_some()).count();
        let ends = || columns[at..at + run].iter().flatten().enumerate();
        for (i, (_, high)) in ends() {
            let _ = write!(path, "{}{:.1} {:.1}", if i == 0 { 'M' } else { 'L' }, x(at + i), down(*high));
        }
        for (i, (low, _)) in ends().collect::<Vec<_>>().into_iter().rev() {
            let _ = write!(path, "L{:.1} {:.1}", x(at + i), down(*low));
        }
        path += if run > 0 { "Z" } else { "" };
        at += run + 1;
    }
    path
}

/// The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten; 0 for what is not above it.
fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 0.0;
    }
    let ten = 10f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
        .map(|m| m * ten)
        .into_iter()
        .find(|r| *r >= value * 0.999)
        .unwrap_or(ten * 10.0)
}

/// Three digits that count.
fn short(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hours_stay_small_and_keep_their_peaks() {
        let frames = 172_800;
        let value = |i: usize| match i {
            100_000 => 99.0,
            60_000..70_000 => f64::NAN,
            _ => (i % 7) as f64,
        };
        let points: Vec<(f64, f64)> = (0..frames).map(|i| (i as f64 / frames as f64, value(i))).collect();
        let path = envelope(&points, |v| 100.0 - v);
        assert!(path.len() < 40_000, "{}", path.len());
        assert!(path.contains(" 1.0L") && path.matches('M').count() == 2 && !path.contains("NaN"));
    }

    #[test]
    fn few_points_are_drawn_as_they_are() {
        let points = [(0.0, f64::NAN), (0.5, 1.0), (0.75, 2.0), (0.8, f64::INFINITY), (1.0, 0.0)];
        assert_eq!(envelope(&points, |v| v), "M500.0 1.0h0L750.0 2.0M1000.0 0.0h0");
        assert_eq!([0.0, 26.0, 99.95, 101.0, 0.012].map(round_up), [0.0, 30.0, 100.0, 150.0, 0.015]);
        assert_eq!([0.5, 27.0, 100.0, 0.0, 2.345_67].map(short), ["0.5", "27", "100", "0", "2.35"]);
    }
}
