//! The worst mistakes: what was asked, what came, what should have come.

use maud::{Markup, html};
use unisono_page::{Section, number::rank};

use super::data::Mistake;
use super::found::Hit;
use super::search::{query, tile};

pub(super) fn section(mistakes: &[Mistake]) -> Option<Section> {
    let body = html! { div.cards.mistakes { @for mistake in mistakes { (card(mistake)) } } };
    let lead = "Where the right answer ranked lowest. Some are the model's; some are the data's.";
    (!mistakes.is_empty()).then(|| Section::new("mistakes", "Worst mistakes", lead, body))
}

fn card(mistake: &Mistake) -> Markup {
    html! {
        article.card.mistake {
            div.query { (query(&mistake.query)) }
            div.pair {
                (side("found", None, &mistake.found))
                (side("right", Some((mistake.rank, mistake.gallery)), &mistake.right))
            }
        }
    }
}

fn side(label: &str, place: Option<(f64, Option<usize>)>, hit: &Hit) -> Markup {
    html! {
        div.side {
            p.label {
                (label)
                @if let Some((at, gallery)) = place {
                    span { "rank " (rank(at)) @if let Some(gallery) = gallery { " of " (rank(gallery as f64)) } }
                }
            }
            @if hit.media.is_some() {
                ol.tiles.one { (tile(hit, None)) }
            } @else {
                p.words dir="auto" { (hit.text.as_deref().or(hit.id.as_deref()).unwrap_or("–")) }
            }
        }
    }
}
