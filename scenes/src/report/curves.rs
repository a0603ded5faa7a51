//! The detectors' scores over time.

use super::clock::Clock;
use super::options::Curve;
use crate::record::{EventKind, VideoScenes};
use maud::html;
use unisono_files::line;
use unisono_page::Section;
use unisono_page::chart::{Axis, LineChart, Rule, Series, SeriesStyle};
use unisono_page::number::{plain, three_digits};

/// Curves on a page that names none.
const MOST: usize = 6;

pub(super) fn section(of: &VideoScenes, curves: &[Curve], clock: &Clock) -> Option<Section> {
    let scores = &of.scores;
    let finite = |column: usize| scores.rows.iter().any(|r| r.get(column).is_some_and(|v| v.is_finite()));
    let found: Vec<(usize, Curve)> = if curves.is_empty() {
        let all = scores.names.iter().enumerate().filter(|&(column, _)| finite(column));
        all.take(MOST).map(|(column, name)| (column, Curve { name: name.clone(), threshold: None })).collect()
    } else {
        let column = |curve: &Curve| scores.names.iter().position(|n| *n == curve.name);
        curves.iter().filter_map(|c| Some((column(c).filter(|&at| finite(at))?, c.clone()))).collect()
    };
    let cuts: Vec<f64> =
        of.events.iter().filter(|e| e.kind == EventKind::Cut).map(|e| e.start.time.seconds()).collect();
    let mut lead = "What the detectors measured from frame to frame.".to_owned();
    if !cuts.is_empty() {
        lead += " Upright lines are cuts.";
    }
    if found.iter().any(|(_, curve)| curve.threshold.is_some()) {
        lead += " Where a score crosses the dashed line, its detector sees a change.";
    }
    let body =
        html! { @for (column, curve) in &found { (figure(of, *column, curve, &cuts, clock).render()) } };
    (!found.is_empty()).then(|| Section::new("scores", "Scores", &lead, body))
}

fn figure(of: &VideoScenes, column: usize, curve: &Curve, cuts: &[f64], clock: &Clock) -> LineChart {
    let value = |row: &Vec<f64>| row.get(column).copied().unwrap_or(f64::NAN);
    let points: Vec<(f64, f64)> =
        of.scores.times.iter().map(|t| t.seconds()).zip(of.scores.rows.iter().map(value)).collect();
    let threshold = curve.threshold.filter(|t| t.is_finite());
    let label = format!("at most {}", plain(three_digits(most(&points))));
    LineChart {
        title: line(&curve.name, 80),
        x: clock.axis.clone(),
        y: Axis { label, from_zero: true, ..Axis::default() },
        series: vec![Series { points, style: SeriesStyle::Envelope, ..Series::default() }],
        rules: threshold.map(|value| Rule { value, name: "threshold".to_owned() }).into_iter().collect(),
        events: cuts.to_vec(),
        ..LineChart::default()
    }
}

/// The most of a score, of what is finite.
fn most(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|p| p.1).filter(|v| v.is_finite()).fold(f64::MIN, f64::max)
}
