//! How these numbers were made.

use maud::html;
use unisono_page::{Section, facts};

use super::data::Notes;

pub(super) fn section(notes: Option<&Notes>) -> Option<Section> {
    let notes = notes.filter(|notes| **notes != Notes::default())?;
    let body = html! {
        @for paragraph in &notes.paragraphs { p.note dir="auto" { (paragraph) } }
        @if !notes.commands.is_empty() { pre { code { (notes.commands.join("\n")) } } }
        (facts(&notes.facts))
    };
    Some(Section::new("notes", "How these numbers were made", "", body))
}
