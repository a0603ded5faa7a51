//! Training curves.

use maud::html;
use unisono_page::Section;
use unisono_page::chart::{Axis, Format, LineChart, Series, SeriesStyle};

use super::data::{Curves, TrainPoint};

pub(super) fn section(curves: Option<&Curves>) -> Option<Section> {
    let curves = curves?;
    let charts: Vec<LineChart> =
        [loss(curves), recall(curves), pairs(curves), rate(curves), norms(curves), scales(curves)]
            .into_iter()
            .flatten()
            .collect();
    if charts.is_empty() {
        return None;
    }
    let body = html! { div.charts { @for chart in &charts { (chart.render()) } } };
    Some(Section::new("training", "Training", &lead(curves), body))
}

/// Says what is seen, and only that.
fn lead(curves: &Curves) -> String {
    let mut lead = String::new();
    if !curves.train.is_empty() {
        lead += "Losses in nats: bold lines are running means over the faint measured ones. ";
    }
    if curves.val.iter().any(|point| !point.recalls.is_empty()) {
        lead += "Recalls stand in their 95 % intervals; dotted is chance. ";
    }
    if curves.best_step.is_some() {
        lead += "The upright line is the checkpoint that was chosen.";
    }
    lead.trim_end().to_owned()
}

fn chart(title: &str, y: Axis, series: Vec<Series>, mark: Option<(f64, String)>) -> Option<LineChart> {
    let x = Axis { label: "step".to_owned(), ..Axis::default() };
    let drawn = series.iter().any(|s| !s.points.is_empty());
    drawn.then(|| LineChart { title: title.to_owned(), x, y, series, mark, ..LineChart::default() })
}

fn best(curves: &Curves) -> Option<(f64, String)> {
    curves.best_step.map(|step| (step as f64, "chosen".to_owned()))
}

fn loss(curves: &Curves) -> Option<LineChart> {
    let points = curves.train.iter().map(|p| (p.step as f64, p.loss)).collect();
    let series = vec![Series { style: SeriesStyle::Smooth, ..Series::new("all pairs", points) }];
    chart("Loss", Axis::default(), series, best(curves))
}

fn recall(curves: &Curves) -> Option<LineChart> {
    let mut series: Vec<Series> = Vec::new();
    for point in &curves.val {
        for recall in &point.recalls {
            let s = of_name(&mut series, &recall.name, SeriesStyle::Line);
            s.points.push((point.step as f64, recall.value.value));
            s.intervals.push((recall.value.low, recall.value.high));
            s.chance = recall.chance;
        }
    }
    let y = Axis { format: Format::Percent, from_zero: true, ..Axis::default() };
    chart("Recall on the validation split", y, series, best(curves))
}

/// A line for each name of what `of` takes from a point.
fn by_name(curves: &Curves, of: impl Fn(&TrainPoint) -> &[(String, f64)]) -> Vec<Series> {
    let mut series = Vec::new();
    for point in &curves.train {
        for (name, value) in of(point) {
            of_name(&mut series, name, SeriesStyle::Smooth).points.push((point.step as f64, *value));
        }
    }
    series
}

fn pairs(curves: &Curves) -> Option<LineChart> {
    chart("Loss by term", Axis::default(), by_name(curves, |p| &p.pairs), None)
}

fn norms(curves: &Curves) -> Option<LineChart> {
    let y = Axis { from_zero: true, ..Axis::default() };
    chart("Norm of the gradient", y, by_name(curves, |p| &p.norms), None)
}

fn scales(curves: &Curves) -> Option<LineChart> {
    chart("Logit scale", Axis::default(), by_name(curves, |p| &p.scales), None)
}

fn rate(curves: &Curves) -> Option<LineChart> {
    let point = |p: &TrainPoint| p.lr.map(|lr| (p.step as f64, lr));
    let series = vec![Series::new("learning rate", curves.train.iter().filter_map(point).collect())];
    chart(
        "Learning rate",
        Axis { format: Format::Exponent, from_zero: true, ..Axis::default() },
        series,
        None,
    )
}

/// The series of this name, in order of first appearance.
fn of_name<'a>(series: &'a mut Vec<Series>, name: &str, style: SeriesStyle) -> &'a mut Series {
    let at = series.iter().position(|s| s.name == name).unwrap_or_else(|| {
        series.push(Series { style, ..Series::new(name, Vec::new()) });
        series.len() - 1
    });
    &mut series[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{RecallPoint, ValPoint};
    use crate::stats::Estimate;

    #[test]
    fn each_name_is_a_line_wherever_it_begins() {
        let point = |step: u64, names: &[&str]| ValPoint {
            step,
            recalls: names
                .iter()
                .map(|&name| RecallPoint {
                    name: name.into(),
                    value: Estimate { value: step as f64 / 10.0, low: 0.0, high: 1.0 },
                    chance: Some(0.01),
                })
                .collect(),
        };
        let curves = Curves { val: vec![point(1, &["a"]), point(2, &["b", "a"])], ..Curves::default() };
        let chart = recall(&curves).unwrap();
        let found: Vec<(&str, &[(f64, f64)])> =
            chart.series.iter().map(|s| (s.name.as_str(), s.points.as_slice())).collect();
        assert_eq!(found, [("a", &[(1.0, 0.1), (2.0, 0.2)][..]), ("b", &[(2.0, 0.2)])]);
        assert!(chart.series.iter().all(|s| s.intervals.len() == s.points.len() && s.chance == Some(0.01)));
        assert!(lead(&curves).contains("95 %") && !lead(&curves).contains("nats"));
    }

    #[test]
    fn what_was_not_logged_is_not_drawn() {
        let train = vec![TrainPoint { step: 1, loss: 2.0, ..TrainPoint::default() }];
        let curves = Curves { train, ..Curves::default() };
        assert!(
            loss(&curves).is_some()
                && rate(&curves).is_none()
                && pairs(&curves).is_none()
                && recall(&curves).is_none()
        );
        assert!(section(None).is_none() && section(Some(&Curves::default())).is_none());
        let drawn = section(Some(&curves)).unwrap().markup.into_string();
        assert_eq!(drawn.matches("<figure").count(), 1);
        assert!(!drawn.contains("chosen") && !drawn.contains("95 %"));
    }
}
