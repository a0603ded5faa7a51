//! Line charts.

use std::fmt::Write;

use maud::{Markup, html};

use super::{
    axis::{Axis, Laid},
    colour,
};

/// One line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points, ascending in x. Points that are not finite break the line.
    pub points: Vec<(f64, f64)>,
    /// Draws a running mean boldly over the faint raw line: for noisy losses.
    pub smooth: bool,
}

/// A line chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineChart {
    /// Its title.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// A vertical mark with its label, for instance the chosen checkpoint.
    pub mark: Option<(f64, String)>,
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 290.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Mean width of a digit at the chart's text size.
const DIGIT: f64 = 7.4;
/// Points kept a line: about one a pixel of the drawing.
const POINTS: usize = 400;

impl LineChart {
    /// The chart as an HTML `<figure>`.
    pub fn render(&self) -> String {
        self.markup().into_string()
    }

    pub(crate) fn markup(&self) -> Markup {
        let lines: Vec<Series> =
            self.series.iter().map(|s| Series { points: thin(&s.points), ..s.clone() }).collect();
        let drawn = || {
            let points = lines.iter().flat_map(|s| &s.points).copied();
            points.filter(|&(x, y)| self.x.holds(x) && self.y.holds(y))
        };
        let x = self.x.lay(drawn().map(|p| p.0), 5, true);
        let y = self.y.lay(drawn().map(|p| p.1), 5, false);
        let widest = y.ticks.iter().map(|&t| self.y.write(t).chars().count()).max().unwrap_or(1);
        let frame = Frame { left: 12.0 + DIGIT * widest as f64, x, y };
        html! {
            figure.chart {
                figcaption {
                    strong { (self.title) }
                    @if !self.y.label.is_empty() { span.unit { (self.y.label) } }
                    ul.legend { @for (index, s) in self.series.iter().enumerate() { (self.legend(index, s)) } }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.title) {
                    (self.grid(&frame))
                    @if let Some((at, label)) = &self.mark { (self.mark(&frame, *at, label)) }
                    @for (index, s) in lines.iter().enumerate() { (self.line(&frame, index, s)) }
                }
            }
        }
    }

    fn legend(&self, index: usize, series: &Series) -> Markup {
        // Of a noisy line the running mean is what it came to, not its last jump.
        let points = if series.smooth { running_mean(&thin(&series.points)) } else { series.points.clone() };
        let last = points.iter().rev().find(|p| self.y.holds(p.1));
        html! {
            li {
                i style={ "background:" (colour(index)) } {}
                (series.name)
                @if let Some((_, last)) = last { b { (self.y.write(rounded(*last))) } }
            }
        }
    }

    fn grid(&self, frame: &Frame) -> Markup {
        html! {
            g.grid {
                @for &tick in &frame.y.ticks {
                    line x1=(px(frame.left)) x2=(px(WIDTH - RIGHT)) y1=(px(frame.down(tick))) y2=(px(frame.down(tick))) {}
                    text x=(px(frame.left - 8.0)) y=(px(frame.down(tick) + 4.5)) text-anchor="end" { (self.y.write(tick)) }
                }
                @for &tick in &frame.x.ticks {
                    line.tick x1=(px(frame.across(tick))) x2=(px(frame.across(tick)))
                        y1=(px(HEIGHT - BOTTOM)) y2=(px(HEIGHT - BOTTOM + 5.0)) {}
                    text x=(px(frame.across(tick))) y=(px(HEIGHT - BOTTOM + 20.0)) text-anchor=(frame.anchor(tick)) {
                        (self.x.write(tick))
                    }
                }
                text.axis x=(px((frame.left + WIDTH - RIGHT) / 2.0)) y=(px(HEIGHT - 6.0)) text-anchor="middle" { (self.x.label) }
            }
        }
    }

    fn mark(&self, frame: &Frame, at: f64, label: &str) -> Markup {
        let inside = self.x.holds(at) && (0.0..=1.0).contains(&frame.x.place(at));
        // The label stands on the side that has more room.
        let (shift, anchor) = if frame.x.place(at) > 0.5 { (-6.0, "end") } else { (6.0, "start") };
        html! {
            @if inside {
                g.mark {
                    line x1=(px(frame.across(at))) x2=(px(frame.across(at))) y1=(TOP) y2=(px(HEIGHT - BOTTOM)) {}
                    text x=(px(frame.across(at) + shift)) y=(px(HEIGHT - BOTTOM - 8.0)) text-anchor=(anchor) { (label) }
                }
            }
        }
    }

    fn line(&self, frame: &Frame, index: usize, series: &Series) -> Markup {
        let stroke = colour(index);
        // Hues repeat after six: dashes keep such lines apart.
        let dash = (index >= 6).then_some("6 4");
        let path = |points: &[(f64, f64)]| self.path(frame, points);
        html! {
            g fill="none" stroke=(stroke) stroke-linejoin="round" stroke-linecap="round" stroke-dasharray=[dash] {
                @if series.smooth {
                    path d=(path(&series.points)) stroke-width="1" opacity="0.3" {}
                    path d=(path(&running_mean(&series.points))) stroke-width="2.2" {}
                } @else {
                    path d=(path(&series.points)) stroke-width="2.2" {}
                }
            }
            // A short line is an evaluation every N steps: its points are the measurements.
            @if !series.smooth && series.points.len() <= 40 {
                g fill=(stroke) {
                    @for &(x, y) in series.points.iter().filter(|p| self.x.holds(p.0) && self.y.holds(p.1)) {
                        circle cx=(px(frame.across(x))) cy=(px(frame.down(y))) r="2.8" {}
                    }
                }
            }
        }
    }

    fn path(&self, frame: &Frame, points: &[(f64, f64)]) -> String {
        let (mut path, mut pen_down) = (String::new(), false);
        for &(x, y) in points {
            if self.x.holds(x) && self.y.holds(y) {
                let command = if pen_down { 'L' } else { 'M' };
                // Writing to a string cannot fail.
                let _ = write!(path, "{command}{} {}", px(frame.across(x)), px(frame.down(y)));
                pen_down = true;
            } else {
                pen_down = false;
            }
        }
        path
    }
}

/// The plotting area.
struct Frame {
    left: f64,
    x: Laid,
    y: Laid,
}

impl Frame {
    fn across(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * (WIDTH - RIGHT - self.left)
    }

    fn down(&self, value: f64) -> f64 {
        TOP + (1.0 - self.y.place(value)) * (HEIGHT - BOTTOM - TOP)
    }

    /// A tick at the right edge is written inwards, or its text would be cut.
    fn anchor(&self, tick: f64) -> &'static str {
        if self.x.place(tick) > 0.97 { "end" } else { "middle" }
    }
}

/// A coordinate with a tenth of a pixel: enough to look exact, and the file stays small.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Three significant digits for the legend.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    let unit = 10f64.powi(value.abs().log10().floor() as i32 - 2);
    (value / unit).round() * unit
}

/// Averages neighbours until a line has at most [`POINTS`] points; a bucket with a value that is not finite stays a gap,
/// so a diverged stretch is seen.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let bucket = points.len().div_ceil(POINTS).max(1);
    let mean = |bucket: &[(f64, f64)]| {
        let n = bucket.len() as f64;
        let (x, y) = bucket.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        (x / n, y / n)
    };
    points.chunks(bucket).map(mean).collect()
}

/// An exponential running mean without the pull of its start (as in Adam, Kingma & Ba, 2015); gaps stay gaps.
fn running_mean(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
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

    fn chart(points: Vec<(f64, f64)>) -> String {
        let series = vec![Series { name: "a<b".to_owned(), points, smooth: false }];
        LineChart { title: "T & T".to_owned(), series, ..LineChart::default() }.render()
    }

    #[test]
    fn a_gap_lifts_the_pen() {
        let drawn = chart(vec![(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 2.0)]);
        let path = drawn.split("<path d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 2), "{path}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }

    #[test]
    fn names_are_escaped_and_nothing_is_fine() {
        let drawn = chart(Vec::new());
        assert!(drawn.contains("a&lt;b") && drawn.contains("T &amp; T") && !drawn.contains("NaN"));
    }

    #[test]
    fn long_runs_stay_small_and_keep_their_mean() {
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
}
