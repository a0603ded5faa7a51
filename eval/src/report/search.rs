//! Searches: one query and what it found, whatever the modalities.

use maud::{Markup, html};
use unisono_page::{Media, MediaKind, Section, number::rank, show};

use super::found::{Hit, Query, Search};
use super::language;

pub(super) fn section(
    id: &'static str,
    title: &'static str,
    lead: &str,
    searches: &[Search],
) -> Option<Section> {
    (!searches.is_empty()).then(|| Section::new(id, title, lead, cards(searches, false)))
}

/// The grid of cards; `sheet` adds ranks and ids.
pub(super) fn cards(searches: &[Search], sheet: bool) -> Markup {
    html! { div.cards.searches.sheet[sheet] { @for search in searches { (card(search, sheet)) } } }
}

fn card(search: &Search, sheet: bool) -> Markup {
    let images = search.hits.iter().any(|hit| hit.media.as_ref().is_some_and(is_image));
    html! {
        article.card.search {
            div.query {
                (query(&search.query))
                @if let Some(at) = search.rank {
                    p.outcome.first[at < 1.5] {
                        @if at < 1.5 { "first" } @else { "right one at rank " (rank(at)) }
                        @if let Some(gallery) = search.gallery { " of " (rank(gallery as f64)) }
                    }
                }
            }
            @if search.hits.is_empty() {
                p.empty { "Nothing found." }
            } @else if images {
                ol.tiles { @for (index, hit) in search.hits.iter().enumerate() { (tile(hit, sheet.then_some(index + 1))) } }
            } @else {
                ol.lines { @for (index, hit) in search.hits.iter().enumerate() { (line(hit, index + 1, sheet, search.query.lang())) } }
            }
        }
    }
}

/// The query as it was asked: words, image or player.
pub(super) fn query(query: &Query) -> Markup {
    html! {
        @match query {
            Query::Text { text, lang } => {
                (chip(lang.as_deref()))
                p.words dir="auto" lang=[lang.as_deref().and_then(language::tag)] { (text) }
            }
            Query::Image { media, text } => {
                div.asked { (show(media, text.as_deref().unwrap_or("query image"))) }
                @if let Some(text) = text { p.words dir="auto" { (text) } }
            }
            Query::Audio { media, text, lang, seconds } => {
                (chip(lang.as_deref()))
                @if let Some(seconds) = seconds { span.seconds { (format!("{seconds:.1} s")) } }
                @if let Some(text) = text { p.words dir="auto" lang=[lang.as_deref().and_then(language::tag)] { (text) } }
                (show(media, text.as_deref().unwrap_or("query audio")))
            }
        }
    }
}

/// A result as an image with its caption.
pub(super) fn tile(hit: &Hit, rank: Option<usize>) -> Markup {
    let name = hit.text.as_deref().or(hit.id.as_deref()).unwrap_or("result");
    html! {
        li class=(class(hit)) {
            div.frame {
                @match &hit.media { Some(media) => (show(media, name)), None => div.missing { "no image" } }
                @if hit.right == Some(true) { span.tick title="right" { "✓" } }
            }
            p.score { @if let Some(rank) = rank { span { (rank) } } @if let Some(score) = hit.score { (format!("{score:.2}")) } }
            @if let Some(text) = &hit.text { p.caption dir="auto" lang=[hit.lang.as_deref().and_then(language::tag)] { (text) } }
            @if let (Some(_), Some(id)) = (rank, &hit.id) { p.id { (breakable(id)) } }
        }
    }
}

/// A result as a line of text, with a player for audio files.
fn line(hit: &Hit, rank: usize, sheet: bool, asked: Option<&str>) -> Markup {
    // Naming the language on every line of one language would only be noise.
    let lang = hit.lang.as_deref().filter(|lang| asked != Some(*lang));
    html! {
        li class=(class(hit)) {
            span.rank { (rank) }
            div.what {
                @if let Some(text) = &hit.text { span dir="auto" lang=[hit.lang.as_deref().and_then(language::tag)] { (text) } }
                @if let Some(lang) = lang { span.lang { (language::name(lang)) } }
                @if let Some(media) = &hit.media { (show(media, hit.text.as_deref().unwrap_or("result"))) }
                @if let (true, Some(id)) = (sheet, &hit.id) { span.id { (breakable(id)) } }
            }
            @if hit.right == Some(true) { span.tick title="right" { "✓" } }
            @if let Some(score) = hit.score { span.score { (format!("{score:.2}")) } }
        }
    }
}

/// An id that may break after its slashes.
fn breakable(id: &str) -> Markup {
    html! { @for part in id.split_inclusive('/') { (part) wbr; } }
}

fn class(hit: &Hit) -> &'static str {
    match hit.right {
        Some(true) => "hit right",
        Some(false) => "hit wrong",
        None => "hit",
    }
}

fn chip(lang: Option<&str>) -> Markup {
    html! { @if let Some(lang) = lang { span.chip { (language::name(lang)) } } }
}

fn is_image(media: &Media) -> bool {
    matches!(media.kind(), MediaKind::Image(_))
}
