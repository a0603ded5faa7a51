//! Histograms: how many values lie between every two edges.

use maud::{Markup, html};

use super::axis::Axis;
use super::figure::Frame;
use super::names::axis_names;
use super::place::tenth;
use crate::number;

/// How values are spread.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Its title.
    pub title: String,
    /// What is counted, behind the title.
    pub unit: String,
    /// What is to be seen, in a few words below: also for those who do not see it.
    pub summary: String,
    /// The axis of the values.
    pub x: Axis,
    /// What is counted are whole numbers: a bar lies around those that it holds, from the first up to the one behind the last.
    pub whole: bool,
    /// Bars: from, to, how many.
    pub bars: Vec<(f64, f64, f64)>,
}

/// Thousandths of the height and width that a bar of anything has at least: one of a million must be seen.
const LEAST: f64 = 5.0;

impl Histogram {
    /// The histogram as an HTML `<figure>`; nothing of no bars.
    pub fn render(&self) -> Markup {
        let y_axis = Axis { from_zero: true, ..Axis::default() };
        let held = |bar: &&(f64, f64, f64)| {
            self.x.holds(bar.0) && self.x.holds(bar.1) && y_axis.holds(bar.2) && bar.2 >= 0.0
        };
        let bars: Vec<&(f64, f64, f64)> = self.bars.iter().filter(held).collect();
        let edges = bars.iter().flat_map(|bar| [self.edge(bar.0), self.edge(bar.1)]);
        // Between two whole numbers there is nothing to be named.
        let (low, high) = edges.clone().fold((f64::MAX, f64::MIN), |(l, h), edge| (l.min(edge), h.max(edge)));
        let wanted = if self.whole { (high - low).clamp(1.0, 8.0) as usize } else { 8 };
        let x = self.x.lay(edges, wanted, true);
        let y = y_axis.lay(bars.iter().map(|bar| bar.2), 4, false);
        let frame = Frame { x, y, x_axis: &self.x, y_axis: &y_axis };
        html! {
            @if !bars.is_empty() {
                figure.chart {
                    figcaption {
                        strong dir="auto" { (self.title) }
                        @if !self.unit.is_empty() { span.unit { (self.unit) } }
                        ul.legend { @if !self.summary.is_empty() { li { (self.summary) } } }
                    }
                    div.plot style={ "--gutter:" (frame.gutter()) "ch" } {
                        div.area {
                            svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=(self.said()) {
                                (frame.grid())
                                g.bars.s1 { @for bar in &bars { (self.bar(&frame, bar)) } }
                            }
                            (frame.names())
                            (axis_names(&frame.x))
                        }
                    }
                    @if !self.x.label.is_empty() { p.axis-label { (self.x.label) } }
                }
            }
        }
    }

    fn said(&self) -> String {
        let parts = [&self.title, &self.unit, &self.summary];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }

    /// Where an edge is drawn: of whole numbers half way between two, so that a bar of one stands on its name.
    fn edge(&self, edge: f64) -> f64 {
        if self.whole && self.x.holds(edge - 0.5) { edge - 0.5 } else { edge }
    }

    /// What a bar holds, in words.
    fn held(&self, from: f64, to: f64) -> String {
        match (self.whole, to - from) {
            (true, ..=1.0) => self.x.write(from),
            (true, _) => format!("{} – {}", self.x.write(from), self.x.write(to - 1.0)),
            (false, _) => format!("{} – {}", self.x.write(from), self.x.write(to)),
        }
    }

    fn bar(&self, frame: &Frame, &(from, to, count): &(f64, f64, f64)) -> Markup {
        let (left, right) = (frame.across(self.edge(from)), frame.across(self.edge(to)));
        let right = right.max(left + LEAST);
        let top = if count > 0.0 { frame.down(count).min(1000.0 - LEAST) } else { 1000.0 };
        let said = format!("{}: {}", self.held(from, to), number::plain(count));
        html! {
            @if count > 0.0 {
                path d=(format!("M{} 1000V{}H{}V1000Z", tenth(left), tenth(top), tenth(right))) vector-effect="non-scaling-stroke" {
                    title { (said) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_the_axis_and_small_ones_are_seen() {
        let bars = vec![(0.0, 10.0, 5.0), (10.0, 20.0, 0.0), (20.0, 30.0, 1000.0), (30.0, 40.0, 1.0)];
        let drawn = Histogram { title: "a<b".into(), unit: "images".into(), bars, ..Histogram::default() };
        let drawn = drawn.render().into_string();
        assert_eq!(drawn.matches("<path d=\"M").count(), 3, "{drawn}");
        for part in [
            "a&lt;b",
            "M0 1000V995H250V1000Z",
            "M500 1000V0H750V1000Z",
            "M750 1000V995H1000V1000Z",
            "20 – 30: 1,000",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }

    #[test]
    fn a_bar_of_one_whole_number_stands_on_its_name() {
        let bars = vec![(1.0, 2.0, 5.0), (2.0, 3.0, 7.0), (3.0, 5.0, 1.0)];
        let drawn = Histogram { whole: true, bars, ..Histogram::default() }.render().into_string();
        // From 0.5 to 4.5: the names 1 to 4 at an eighth, three eighths, …
        for part in
            ["M0 1000V", "H250V1000Z", "left:12.500%\">1<", "left:87.500%\">4<", ">1: 5<", ">3 – 4: 1<"]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let one = Histogram { whole: true, bars: vec![(96.0, 97.0, 3.0)], ..Histogram::default() };
        let one = one.render().into_string();
        assert!(one.contains("left:50.000%\">96<") && one.contains(">96: 3<"), "{one}");
    }

    #[test]
    fn nothing_and_one_value_are_fine() {
        assert_eq!(Histogram::default().render().into_string(), "");
        let one = Histogram { bars: vec![(3.0, 3.0, 7.0)], ..Histogram::default() }.render().into_string();
        assert!(one.matches("<path d=\"M").count() == 1 && !one.contains("NaN"), "{one}");
        let none =
            Histogram { bars: vec![(f64::NAN, 1.0, 1.0), (0.0, 1.0, f64::INFINITY)], ..Histogram::default() };
        assert_eq!(none.render().into_string(), "");
    }
}
