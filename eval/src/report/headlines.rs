//! Key numbers, large, each beside what guessing and the control reach.

use maud::{Markup, html};

use super::data::Headline;
use crate::table::percent;

pub(super) fn section(headlines: &[Headline]) -> Markup {
    html! {
        @if !headlines.is_empty() {
            div.headlines { @for headline in headlines { (card(headline)) } }
        }
    }
}

fn card(headline: &Headline) -> Markup {
    let value = &headline.value;
    html! {
        div.headline {
            p.what { span { (headline.label) } span.metric { (headline.metric) } }
            p.value { (percent(value.value)) small { " %" } }
            p.interval { (percent(value.low)) " – " (percent(value.high)) }
            (track(value.value, Some((value.low, value.high)), headline.chance, headline.control))
            p.against {
                @if let Some(chance) = headline.chance { span.chance { "chance " b { (percent(chance)) } } }
                @if let Some(control) = headline.control { span.control { "duration only " b { (percent(control)) } } }
            }
            @if let Some(detail) = &headline.detail { p.detail { (detail) } }
        }
    }
}

/// A thin bar from 0 to 100 %: value filled, interval as a whisker, chance and control as ticks.
pub(super) fn track(
    value: f64,
    interval: Option<(f64, f64)>,
    chance: Option<f64>,
    control: Option<f64>,
) -> Markup {
    let at = |fraction: f64| {
        format!("{:.2}", 100.0 * if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 })
    };
    html! {
        svg.track viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.rail x="0" y="2.5" width="100" height="3" {}
            rect.fill x="0" y="2.5" width=(at(value)) height="3" {}
            @if let Some((low, high)) = interval {
                line.whisker x1=(at(low)) x2=(at(high)) y1="4" y2="4" {}
            }
            @for (class, fraction) in [("chance", chance), ("control", control)] {
                @if let Some(fraction) = fraction {
                    line class=(class) x1=(at(fraction)) x2=(at(fraction)) y1="0" y2="8" {}
                }
            }
        }
    }
}
