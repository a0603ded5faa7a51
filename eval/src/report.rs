//! The report: one self-contained HTML file that shows what a model learned.
//!
//! Inline styles, inline SVG, pictures and sounds as `data:` URIs; no script, no request to anywhere (a content security
//! policy forbids both), readable on a phone, in the dark and on paper. Every section is optional: a run without speech
//! or without pictures still gives a whole page.

mod captions;
mod curves;
mod data;
mod header;
mod headlines;
mod language;
mod media;
mod mistakes;
mod notes;
mod page;
mod recall;
mod search;
mod sheet;
mod time;
mod write;

pub use data::{
    CaptionCard, CaptionRow, Curves, DataSet, Fact, Header, Headline, Mistake, Notes, RecallRow, ReportData,
    Throughput, TimeSpent, TrainPoint, ValPoint,
};
pub use language::name as language_name;
pub use media::{Media, MediaKind};
pub use search::{Hit, Query, Search};
pub use sheet::{SheetData, contact_sheet};
pub use write::{write, write_text};

use maud::html;

/// The whole page. Everything in `data` is escaped.
pub fn render(data: &ReportData) -> String {
    let sections = [
        curves::section(data.curves.as_ref()),
        recall::section(&data.recall),
        search::section(
            "searches",
            "Searches",
            "A sentence in, pictures out. The ring marks what was asked for.",
            &data.searches,
        ),
        search::section(
            "spoken",
            "Spoken queries",
            "A recording in, pictures out. The model hears the sound only; its words are printed for you.",
            &data.spoken,
        ),
        search::section(
            "sounds",
            "Sounds to words",
            "A recording in, captions out, best first.",
            &data.sound_to_text,
        ),
        captions::section(&data.captions, &data.captioned),
        mistakes::section(&data.mistakes),
        time::section(data.time.as_ref()),
        notes::section(data.notes.as_ref()),
    ];
    let body = html! {
        (header::header(&data.header))
        (headlines::section(&data.headlines))
        (page::contents(&sections))
        main { @for section in sections.iter().flatten() { (section.markup) } }
    };
    page::page(&data.header.title, &body)
}
