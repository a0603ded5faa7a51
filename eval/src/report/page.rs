//! The page around everything: head, styles, policy, contents.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// A part of the page that the contents list.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) markup: Markup,
}

impl Section {
    /// A section with its heading and one sentence under it.
    pub(super) fn new(id: &'static str, title: &'static str, lead: &str, body: Markup) -> Self {
        let markup = html! {
            section #(id) {
                h2 { (title) }
                @if !lead.is_empty() { p.lead { (lead) } }
                (body)
            }
        };
        Self { id, title, markup }
    }
}

/// Links to the sections that are there; nothing for a page of one.
pub(super) fn contents(sections: &[Option<Section>]) -> Markup {
    let here: Vec<&Section> = sections.iter().flatten().collect();
    html! {
        @if here.len() > 1 {
            nav.contents aria-label="Contents" { @for section in here { a href={ "#" (section.id) } { (section.title) } } }
        }
    }
}

/// The complete HTML document.
pub(super) fn page(title: &str, body: &Markup) -> String {
    // The policy holds even if an escape were forgotten: no script runs, nothing is fetched.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; form-action 'none'; base-uri 'none'";
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="Unisono";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { div.page { (body) footer { "Made by Unisono. This file is complete: it loads nothing and runs nothing." } } }
        }
    };
    page.into_string()
}
