//! The names under a drawing.

use maud::{Markup, html};

use super::axis::Laid;
use super::place::percent;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Axis;

    #[test]
    fn names_at_the_edges_are_written_inwards() {
        let laid = Axis { span: Some((0.0, 6.0)), ..Axis::default() }.lay([], 6, true);
        let drawn = axis_names(&laid).into_string();
        for expected in [
            "<span class=\"start\" style=\"left:0.000%\">0</span>",
            "<span class=\"odd\" style=\"left:16.667%\">1</span>",
            "<span style=\"left:33.333%\">2</span>",
            "<span class=\"end\" style=\"left:100.000%\">6</span>",
        ] {
            assert!(drawn.contains(expected), "{expected} in {drawn}");
        }
    }
}
