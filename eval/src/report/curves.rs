//! Training curves.

use maud::html;

use super::{
    data::{Curves, TrainPoint},
    page::Section,
};
use crate::svg::{Axis, Format, LineChart, Series};

pub(super) fn section(curves: Option<&Curves>) -> Option<Section> {
    let curves = curves?;
    let charts: Vec<LineChart> =
        [loss(curves), recall(curves), pairs(curves), rate(curves)].into_iter().flatten().collect();
    if charts.is_empty() {
        return None;
    }
    let body = html! { div.charts { @for chart in &charts { (chart.markup()) } } };
    Some(Section::new("training", "Training", "", body))
}

fn chart(title: &str, y: Axis, series: Vec<Series>, mark: Option<(f64, String)>) -> Option<LineChart> {
    let x = Axis { label: "step".to_owned(), ..Axis::default() };
    let drawn = series.iter().any(|s| !s.points.is_empty());
    drawn.then(|| LineChart { title: title.to_owned(), x, y, series, mark })
}

fn best(curves: &Curves) -> Option<(f64, String)> {
    curves.best_step.map(|step| (step as f64, "chosen".to_owned()))
}

fn loss(curves: &Curves) -> Option<LineChart> {
    let points = curves.train.iter().map(|p| (p.step as f64, p.loss)).collect();
    let series = vec![Series { name: "all pairs".to_owned(), points, smooth: true }];
    chart("Loss", Axis::default(), series, best(curves))
}

fn recall(curves: &Curves) -> Option<LineChart> {
    let points = curves.val.iter().map(|p| (p.step, p.recalls.as_slice()));
    let y = Axis { format: Format::Percent, from_zero: true, ..Axis::default() };
    chart("Recall on the validation split", y, named(points, false), best(curves))
}

fn pairs(curves: &Curves) -> Option<LineChart> {
    let points = curves.train.iter().map(|p| (p.step, p.pairs.as_slice()));
    chart("Loss by pair of modalities", Axis::default(), named(points, true), None)
}

fn rate(curves: &Curves) -> Option<LineChart> {
    let point = |p: &TrainPoint| p.lr.map(|lr| (p.step as f64, lr));
    let series = vec![Series {
        name: "learning rate".to_owned(),
        points: curves.train.iter().filter_map(point).collect(),
        smooth: false,
    }];
    chart(
        "Learning rate",
        Axis { format: Format::Exponent, from_zero: true, ..Axis::default() },
        series,
        None,
    )
}

/// Turns `(step, [(name, value)])` into one series a name, in order of first appearance.
fn named<'a>(points: impl Iterator<Item = (u64, &'a [(String, f64)])>, smooth: bool) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for (step, values) in points {
        for (name, value) in values {
            let point = (step as f64, *value);
            match series.iter_mut().find(|s| &s.name == name) {
                Some(s) => s.points.push(point),
                None => series.push(Series { name: name.clone(), points: vec![point], smooth }),
            }
        }
    }
    series
}
