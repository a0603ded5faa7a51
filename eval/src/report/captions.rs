//! Captions: scores beside two baselines, and examples that nobody chose.

use super::{
    data::{CaptionCard, CaptionRow},
    search::query,
};
use crate::captioning::Scores;
use maud::{Markup, html};
use unisono_page::{Column, Section, Table, number::thousands};

const COLUMNS: [Column; 5] = [
    Column::text("Captions by"),
    Column::number("Items"),
    Column::number("BLEU-4 %"),
    Column::number("CIDEr-D"),
    Column::number("Word for word %"),
];

pub(super) fn section(rows: &[CaptionRow], cards: &[CaptionCard]) -> Option<Section> {
    if rows.is_empty() && cards.is_empty() {
        return None;
    }
    let mut table = Table::new(&COLUMNS).stacked();
    for row in rows {
        table.group(&row.protocol);
        table.row(line("this model", &row.model));
        table.row(line("the nearest known item", &row.nearest));
        table.row(line("the most frequent caption", &row.frequent));
    }
    let body = html! {
        @if !rows.is_empty() { (table.render()) }
        @if !cards.is_empty() { div.cards.mistakes { @for card in cards { (one(card)) } } }
    };
    let lead = "What the fusion Transformer writes about things that it never saw or heard, beside what is true. BLEU-4 counts runs of \
                four words, of which short captions have few; CIDEr-D (0 to 10) weighs words by how rare they are.";
    Some(Section::new("captions", "Captions", lead, body))
}

fn line(who: &str, s: &Scores) -> [Markup; 5] {
    [
        html! { (who) },
        html! { (thousands(s.items as u64)) },
        html! { (format!("{:.1}", 100.0 * s.bleu4)) },
        html! { b { (format!("{:.2}", s.cider_d)) } },
        html! { (format!("{:.1}", 100.0 * s.exact)) },
    ]
}

fn one(card: &CaptionCard) -> Markup {
    html! {
        article.card.mistake {
            div.query { (query(&card.query)) }
            div.pair {
                div.side {
                    p.label { "written" }
                    p.words dir="auto" { (if card.caption.is_empty() { "–" } else { card.caption.as_str() }) }
                }
                div.side {
                    p.label { "true" }
                    p.words dir="auto" { (card.truth) }
                }
            }
        }
    }
}
