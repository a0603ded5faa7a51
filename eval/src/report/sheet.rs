//! The contact sheet of a search: the query and what the index holds nearest to it.

use maud::html;
use serde::{Deserialize, Serialize};
use unisono_page::{Fact, Page, banner, facts};

use super::STYLE;
use super::found::Search;
use super::search::cards;

/// What a contact sheet shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SheetData {
    /// The page's title; `Search` when empty.
    pub title: String,
    /// Index, model, number of items, time taken…
    pub facts: Vec<Fact>,
    /// One query or several, each with its results.
    pub searches: Vec<Search>,
}

/// The whole page, in the report's style. Everything in `data` is escaped.
pub fn contact_sheet(data: &SheetData) -> String {
    let title = if data.title.is_empty() { "Search" } else { &data.title };
    let body = html! {
        (banner(Some("Search"), title, &facts(&data.facts)))
        main { (cards(&data.searches, true)) }
    };
    Page { title, style: STYLE, body: &body }.render()
}
