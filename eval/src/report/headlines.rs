//! Key numbers, large, each beside what guessing and the control reach.

use maud::{Markup, html};
use unisono_page::chart::Bullet;

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
    let interval = Some((value.low, value.high));
    let bullet = Bullet { value: value.value, interval, chance: headline.chance, control: headline.control };
    html! {
        div.card.headline {
            p.what { span { (headline.label) } span.metric { (headline.metric) } }
            p.value { (percent(value.value)) small { " %" } }
            p.interval { "95 % interval " span { (percent(value.low)) " – " (percent(value.high)) } }
            (bullet.render())
            p.against {
                @if let Some(chance) = headline.chance { span.chance { "chance " b { (percent(chance)) } } }
                @if let Some(control) = headline.control { span.control { "duration only " b { (percent(control)) } } }
            }
            @if let Some(detail) = &headline.detail { p.detail { (detail) } }
        }
    }
}
