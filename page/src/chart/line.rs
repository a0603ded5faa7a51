//! Line charts.

use maud::{Markup, html};

use super::axis::Axis;
use super::curve::{self, Series, SeriesStyle};
use super::figure::{Frame, last, legend_of, stroke};
use super::names::axis_names;
use super::place::{hue, percent, tenth};
use crate::number::three_digits;

/// A level that lines are read against: a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where it lies on the vertical axis.
    pub value: f64,
    /// What it is.
    pub name: String,
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
    /// Levels across.
    pub rules: Vec<Rule>,
    /// An upright line with its name, for instance the chosen checkpoint.
    pub mark: Option<(f64, String)>,
    /// Upright hairlines behind the lines: cuts.
    pub events: Vec<f64>,
}

/// So many events can be told apart as lines through a chart; more are strokes at its top.
const EVENTS: usize = 160;
/// A line of so few points is an evaluation every N steps: its points are the measurements.
const FEW: usize = 60;

impl LineChart {
    /// The chart as an HTML `<figure>`.
    pub fn render(&self) -> Markup {
        let lines: Vec<Series> = self.series.iter().map(Series::thinned).collect();
        let frame = self.frame(&lines);
        html! {
            figure.chart {
                figcaption {
                    strong dir="auto" { (self.title) }
                    @if !self.y.label.is_empty() { span.unit { (self.y.label) } }
                    ul.legend {
                        @for (index, s) in self.series.iter().enumerate().filter(|(_, s)| !s.name.is_empty()) {
                            (legend_of(index, s, &self.y))
                        }
                        @for rule in &self.rules { li { i.rule {} (rule.name) b { (self.y.write(three_digits(rule.value))) } } }
                    }
                }
                div.plot style={ "--gutter:" (frame.gutter()) "ch" } {
                    div.area {
                        svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=(self.summary()) {
                            (frame.grid())
                            (stroke("events", &self.upright(&frame)))
                            @for (index, s) in lines.iter().enumerate() { (self.behind(&frame, index, s)) }
                            @for (index, s) in lines.iter().enumerate() { (self.line(&frame, index, s)) }
                            @for rule in self.rules.iter().filter(|r| self.y.holds(r.value)) {
                                (stroke("rule", &format!("M0 {}H1000", tenth(frame.down(rule.value)))))
                            }
                            @if let Some((at, _)) = self.marked(&frame) { (stroke("mark", &format!("M{} 0V1000", tenth(1000.0 * at)))) }
                        }
                        (frame.names())
                        @if let Some((at, name)) = self.marked(&frame) {
                            // The name stands on the side that has more room.
                            span class=(if at > 0.5 { "mark left" } else { "mark" }) style={ "left:" (percent(at)) } { (name) }
                        }
                        (axis_names(&frame.x))
                    }
                }
                @if !self.x.label.is_empty() { p.axis-label { (self.x.label) } }
            }
        }
    }

    fn frame(&self, lines: &[Series]) -> Frame<'_> {
        let drawn = || {
            let points = lines.iter().flat_map(|s| &s.points).copied();
            points.filter(|&(x, y)| self.x.holds(x) && self.y.holds(y))
        };
        let beside = lines
            .iter()
            .flat_map(|s| s.intervals.iter().flat_map(|&(low, high)| [low, high]).chain(s.chance));
        let levels = self.rules.iter().map(|r| r.value);
        let y = self.y.lay(drawn().map(|p| p.1).chain(beside).chain(levels), 5, false);
        Frame { x: self.x.lay(drawn().map(|p| p.0), 8, true), y, x_axis: &self.x, y_axis: &self.y }
    }

    /// The mark's place, if it is within the chart.
    fn marked(&self, frame: &Frame) -> Option<(f64, &str)> {
        let (at, name) = self.mark.as_ref()?;
        let (first, last) = (frame.x.low(), frame.x.high());
        (self.x.holds(*at) && (first..=last).contains(at)).then(|| (frame.x.place(*at), name.as_str()))
    }

    fn upright(&self, frame: &Frame) -> String {
        let end = if self.events.len() > EVENTS { 70 } else { 1000 };
        let drawn = self.events.iter().filter(|&&at| self.x.holds(at));
        drawn.map(|&at| format!("M{} 0V{end}", tenth(frame.across(at)))).collect()
    }

    /// What lies behind all lines: intervals and chance.
    fn behind(&self, frame: &Frame, index: usize, series: &Series) -> Markup {
        let side = |pick: fn(&(f64, f64)) -> f64| -> Vec<Option<(f64, f64)>> {
            series.points.iter().zip(&series.intervals).map(|(p, i)| frame.at((p.0, pick(i)))).collect()
        };
        let band = curve::area(&side(|i| i.0), &side(|i| i.1));
        html! {
            @if !band.is_empty() { path class={ "band " (hue(index)) } d=(band) {} }
            @if let Some(chance) = series.chance.filter(|&c| self.y.holds(c)) {
                (stroke(&format!("chance {}", hue(index)), &format!("M0 {}H1000", tenth(frame.down(chance)))))
            }
        }
    }

    fn line(&self, frame: &Frame, index: usize, series: &Series) -> Markup {
        let at = |point| frame.at(point);
        // Hues repeat after six: dashes keep such lines apart.
        let class = |kind: &str| format!("{kind} {}{}", hue(index), if index >= 6 { " again" } else { "" });
        html! {
            @match series.style {
                SeriesStyle::Smooth => {
                    (stroke(&class("raw"), &curve::path(&series.points, &at)))
                    (stroke(&class("line"), &curve::path(&curve::running_mean(&series.points), &at)))
                }
                SeriesStyle::Envelope => {
                    @let (path, many) = curve::envelope(&series.points, &at);
                    (stroke(&class(if many { "envelope" } else { "line fine" }), &path))
                }
                SeriesStyle::Line => {
                    (stroke(&class("line"), &curve::path(&series.points, &at)))
                    @if series.points.len() <= FEW { (self.dots(frame, index, series)) }
                }
            }
        }
    }

    /// The measurements of a short line, each with its numbers under the pointer.
    fn dots(&self, frame: &Frame, index: usize, series: &Series) -> Markup {
        let told = |(i, &(x, y)): (usize, &(f64, f64))| {
            let place = frame.at((x, y))?;
            let interval = series.intervals.get(i).map(|&(low, high)| {
                format!(" ({} – {})", self.y.write(three_digits(low)), self.y.write(three_digits(high)))
            });
            let value = self.y.write(three_digits(y));
            Some((place, format!("{}: {value}{}", self.x.write(x), interval.unwrap_or_default())))
        };
        html! {
            g class={ "dots " (hue(index)) } {
                @for ((x, y), said) in series.points.iter().enumerate().filter_map(told) {
                    path d={ "M" (tenth(x)) " " (tenth(y)) "h0" } vector-effect="non-scaling-stroke" { title { (series.name) ", " (said) } }
                }
            }
        }
    }

    /// The chart in words, for those who hear the page.
    fn summary(&self) -> String {
        let came = self
            .series
            .iter()
            .filter_map(|s| Some(format!("{} {}", s.name, self.y.write(three_digits(last(s, &self.y)?)))));
        [self.title.clone()]
            .into_iter()
            .chain(came.map(|c| c.trim().to_owned()))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Format;

    fn chart(points: Vec<(f64, f64)>) -> LineChart {
        LineChart {
            title: "T & T".to_owned(),
            series: vec![Series::new("a<b", points)],
            ..LineChart::default()
        }
    }

    fn drawn(chart: &LineChart) -> String {
        chart.render().into_string()
    }

    #[test]
    fn three_points_as_they_are_drawn() {
        let x = Axis { label: "step".into(), ..Axis::default() };
        let y = Axis { format: Format::Percent, from_zero: true, ..Axis::default() };
        let intervals = vec![(0.0, 0.2), (0.2, 0.3), (0.25, 0.4)];
        let series = Series {
            intervals,
            chance: Some(0.1),
            ..Series::new("R@1", vec![(0.0, 0.1), (5.0, 0.25), (10.0, 0.3)])
        };
        let mark = Some((10.0, "chosen".into()));
        let found = drawn(&LineChart {
            title: "Recall".into(),
            x,
            y,
            series: vec![series],
            mark,
            ..LineChart::default()
        });
        for expected in [
            "<path class=\"grid\" d=\"M0 1000H1000M0 750H1000M0 500H1000M0 250H1000M0 0H1000\" vector-effect=\"non-scaling-stroke\">",
            "<path class=\"band s1\" d=\"M0 500L500 250L1000 0L1000 375L500 500L0 1000Z\">",
            "<path class=\"chance s1\" d=\"M0 750H1000\"",
            "<path class=\"line s1\" d=\"M0 750h0L500 375L1000 250\"",
            "<title>R@1, 5: 25 % (20 % – 30 %)</title>",
            "<span class=\"name\" style=\"top:25.000%\" aria-hidden=\"true\">30 %</span>",
            "<span class=\"mark left\" style=\"left:100.000%\">chosen</span>",
            "<b>30 %</b><span class=\"chance\">chance 10 %</span>",
            "aria-label=\"Recall, R@1 30 %\"",
            "--gutter:4ch",
            "<p class=\"axis-label\">step</p>",
        ] {
            assert!(found.contains(expected), "{expected} in {found}");
        }
    }

    #[test]
    fn a_gap_lifts_the_pen() {
        let found = drawn(&chart(vec![(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 2.0)]));
        let path = found.split("<path class=\"line s1\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 2), "{path}");
        assert!(!found.contains("NaN") && !found.contains("inf"));
    }

    #[test]
    fn names_are_escaped_and_nothing_is_fine() {
        let found = drawn(&chart(Vec::new()));
        assert!(found.contains("a&lt;b") && found.contains("T &amp; T") && !found.contains("NaN"));
    }

    #[test]
    fn a_mark_outside_is_left_out() {
        let points = vec![(0.0, 1.0), (10.0, 2.0)];
        for (at, there) in [(5.0, true), (10.0, true), (11.0, false), (f64::NAN, false)] {
            let found = drawn(&LineChart { mark: Some((at, "m".into())), ..chart(points.clone()) });
            assert_eq!(found.contains("class=\"mark"), there, "{at}");
        }
    }

    #[test]
    fn a_log_axis_leaves_out_what_it_cannot_hold() {
        let x = Axis { scale: super::super::Scale::Log, ..Axis::default() };
        let found = drawn(&LineChart { x, ..chart(vec![(0.0, 1.0), (1.0, 10.0), (10.0, 100.0)]) });
        assert_eq!(found.matches("<title>").count(), 2);
        assert!(!found.contains("NaN") && !found.contains("inf"));
    }

    #[test]
    fn levels_are_on_the_axis_and_many_events_stand_aside() {
        let rules = vec![Rule { value: 27.0, name: "threshold".into() }];
        let found = drawn(&LineChart {
            rules: rules.clone(),
            events: vec![0.5],
            ..chart(vec![(0.0, 1.0), (1.0, 2.0)])
        });
        assert!(
            found.contains("<path class=\"rule\" d=\"M0 100H1000\"") && found.contains(">30</span>"),
            "{found}"
        );
        assert!(found.contains("d=\"M500 0V1000\""), "{found}");
        let events: Vec<f64> = (0..200).map(|i| f64::from(i) / 200.0).collect();
        assert!(
            drawn(&LineChart { events, ..chart(vec![(0.0, 1.0), (1.0, 2.0)]) })
                .contains("d=\"M0 0V70M5 0V70")
        );
    }
}
