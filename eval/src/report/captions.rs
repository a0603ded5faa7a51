//! Captions: scores beside two baselines, and examples that nobody chose.

use super::{
    data::{CaptionCard, CaptionRow},
    page::Section,
    search::query,
};
use crate::captioning::Scores;
use crate::svg;
use maud::{Markup, html};

pub(super) fn section(rows: &[CaptionRow], cards: &[CaptionCard]) -> Option<Section> {
    if rows.is_empty() && cards.is_empty() {
        return None;
    }
    let body = html! {
        div.scroll {
            table.recall.captions {
                thead {
                    tr {
                        th scope="col" { "Captions by" }
                        th.number scope="col" { "Items" }
                        th.number scope="col" { "BLEU-4 %" }
                        th.number scope="col" { "CIDEr-D" }
                        th.number scope="col" { "Word for word %" }
                    }
                }
                @for row in rows {
                    tbody {
                        tr.group { th colspan="5" scope="rowgroup" { (row.protocol) } }
                        (line("this model", &row.model))
                        (line("the nearest known item", &row.nearest))
                        (line("the most frequent caption", &row.frequent))
                    }
                }
            }
        }
        div.mistakes { @for card in cards { (one(card)) } }
    };
    let lead = "What the fusion Transformer writes about things that it never saw or heard, beside what is true. BLEU-4 counts runs of \
                four words, of which short captions have few; CIDEr-D (0 to 10) weighs words by how rare they are.";
    Some(Section::new("captions", "Captions", lead, body))
}

fn line(who: &str, s: &Scores) -> Markup {
    html! {
        tr {
            th scope="row" { (who) }
            td.number data-label="items" { (svg::thousands(s.items as u64)) }
            td.number data-label="BLEU-4" { (format!("{:.1}", 100.0 * s.bleu4)) }
            td.number data-label="CIDEr-D" { b { (format!("{:.2}", s.cider_d)) } }
            td.number data-label="word for word" { (format!("{:.1}", 100.0 * s.exact)) }
        }
    }
}

fn one(card: &CaptionCard) -> Markup {
    html! {
        article.mistake {
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
