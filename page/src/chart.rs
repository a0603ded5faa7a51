//! Charts: lines over axes, stacked bars, bars that are read against marks.
//!
//! Each is an HTML figure around an SVG that is stretched to the width it has. Strokes do not stretch with it, and all text is HTML beside
//! it: letters keep their size on a phone, where text inside a scaled drawing would shrink. Colours come from the style sheet, so one
//! drawing serves light, dark and paper.

mod axis;
mod bullet;
mod curve;
mod figure;
mod line;
mod stack;
mod ticks;

pub use axis::{Axis, Format, Laid, Scale};
pub use bullet::Bullet;
pub use curve::{Look, Series};
pub use line::{LineChart, Rule};
pub use stack::StackedBar;
pub use ticks::Tick;

use maud::{Markup, html};

/// The class that gives the colour of series `index`: six hues, then again.
fn hue(index: usize) -> String {
    format!("s{}", index % 6 + 1)
}

/// A coordinate or a share with a tenth of a unit: enough to look exact, and the file stays small.
fn tenth(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A place between 0 and 1 as CSS takes it.
pub fn percent(place: f64) -> String {
    format!("{:.3}%", place * 100.0)
}

/// The names under a drawing, each at its place.
pub fn axis_names(laid: &Laid) -> Markup {
    // On a phone every second one is left out.
    let crowded = laid.ticks.len() > 5;
    html! {
        div.axis aria-hidden="true" {
            @for (index, tick) in laid.ticks.iter().enumerate() {
                span class=[name_class(tick.place, crowded && index % 2 == 1)] style={ "left:" (percent(tick.place)) } { (tick.text) }
            }
        }
    }
}

/// A name at an edge is written inwards, or it would be cut.
fn name_class(place: f64, left_out: bool) -> Option<&'static str> {
    match (place, left_out) {
        (..0.03, _) => Some("start"),
        (0.97.., false) => Some("end"),
        (0.97.., true) => Some("end odd"),
        (_, true) => Some("odd"),
        _ => None,
    }
}
