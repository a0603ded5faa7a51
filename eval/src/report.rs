//! The report: one self-contained HTML file that shows what a model learned.
//!
//! What is shown, and in which words; how it looks is [`unisono_page`]'s. Every section is optional: a run without speech
//! or without images still gives a whole page.

mod captions;
mod curves;
mod data;
mod found;
mod header;
mod headlines;
mod language;
mod mistakes;
mod notes;
mod recall;
mod search;
mod sheet;
mod time;
mod write;

pub use data::{
    CaptionCard, CaptionRow, Curves, DataSet, Header, Headline, Mistake, Notes, RecallPoint, RecallRow,
    ReportData, Throughput, TimeSpent, TrainPoint, ValPoint,
};
pub use found::{Hit, Query, Search};
pub use language::name as language_name;
pub use sheet::{SheetData, contact_sheet};
// Part of what is shown.
pub use unisono_page::{Fact, Media, MediaKind};
pub use write::{write, write_text};

use maud::html;
use unisono_page::{Page, contents};

const STYLE: &str = include_str!("report/style.css");

/// The whole page. Everything in `data` is escaped.
pub fn render(data: &ReportData) -> String {
    let sections = [
        curves::section(data.curves.as_ref()),
        recall::section(&data.recall),
        search::section(
            "searches",
            "Searches",
            "A sentence in, images out, the nearest first, each with its cosine similarity. The ring marks what was asked for.",
            &data.searches,
        ),
        search::section(
            "spoken",
            "Spoken queries",
            "A recording in, images out. The model hears the audio only; its words are printed for you.",
            &data.spoken,
        ),
        search::section(
            "sounds",
            "Audio to text",
            "A recording in, captions out, best first.",
            &data.audio_to_text,
        ),
        captions::section(&data.captions, &data.captioned),
        mistakes::section(&data.mistakes),
        time::section(data.time.as_ref()),
        notes::section(data.notes.as_ref()),
    ];
    let body = html! {
        (header::header(&data.header))
        (headlines::section(&data.headlines))
        (contents(&sections))
        main { @for section in sections.iter().flatten() { (section.markup) } }
    };
    Page { title: &data.header.title, style: STYLE, body: &body }.render()
}
