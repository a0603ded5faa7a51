//! What stands around the lines of a chart: grid, names of values, legend.

use maud::{Markup, html};

use super::axis::{Axis, Laid};
use super::curve::{Series, SeriesStyle, running_mean, thin};
use super::place::{hue, percent, tenth};
use crate::number::three_digits;

/// The plotting area: both axes, and where a point lands.
pub(super) struct Frame<'a> {
    pub(super) x_axis: &'a Axis,
    pub(super) y_axis: &'a Axis,
    pub(super) x: Laid,
    pub(super) y: Laid,
}

impl Frame<'_> {
    /// Thousandths of the width from the left and of the height from the top; `None` for what an axis does not hold.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        (self.x_axis.holds(x) && self.y_axis.holds(y)).then(|| (self.across(x), self.down(y)))
    }

    pub(super) fn across(&self, x: f64) -> f64 {
        1000.0 * self.x.place(x)
    }

    pub(super) fn down(&self, y: f64) -> f64 {
        1000.0 * (1.0 - self.y.place(y))
    }

    /// Characters of the widest name on the vertical axis: the room that is left for them.
    pub(super) fn gutter(&self) -> usize {
        self.y.ticks.iter().map(|tick| tick.text.chars().count()).max().unwrap_or(1)
    }

    /// Hairlines at the named values.
    pub(super) fn grid(&self) -> Markup {
        let lines: String = self
            .y
            .ticks
            .iter()
            .map(|tick| format!("M0 {}H1000", tenth(1000.0 * (1.0 - tick.place))))
            .collect();
        stroke("grid", &lines)
    }

    /// The names of the vertical axis, left of the plot.
    pub(super) fn names(&self) -> Markup {
        html! {
            @for tick in &self.y.ticks {
                span.name style={ "top:" (percent(1.0 - tick.place)) } aria-hidden="true" { (tick.text) }
            }
        }
    }
}

/// A path whose stroke keeps its width however the drawing is stretched; nothing of nothing.
pub(super) fn stroke(class: &str, path: &str) -> Markup {
    html! { @if !path.is_empty() { path class=(class) d=(path) vector-effect="non-scaling-stroke" {} } }
}

/// The value that a line came to; of a noisy line its running mean, not its last jump.
pub(super) fn last(series: &Series, axis: &Axis) -> Option<f64> {
    let points = if series.style == SeriesStyle::Smooth {
        running_mean(&thin(&series.points))
    } else {
        series.points.clone()
    };
    points.into_iter().rev().map(|p| p.1).find(|&y| axis.holds(y))
}

/// One series in the legend: what it came to, and what guessing reaches.
pub(super) fn legend_of(index: usize, series: &Series, axis: &Axis) -> Markup {
    let known = last(series, axis).filter(|_| series.style != SeriesStyle::Envelope);
    html! {
        li {
            i class=(hue(index)) {}
            span dir="auto" { (series.name) }
            @if let Some(last) = known { b { (axis.write(three_digits(last))) } }
            @if let Some(chance) = series.chance { span.chance { "chance " (axis.write(three_digits(chance))) } }
        }
    }
}
