//! The recall table: every number with its interval, chance and control.

use maud::{Markup, html};

use super::{data::RecallRow, headlines::track, page::Section};
use crate::{metrics::RetrievalMetrics, stats::Estimate, svg, table::percent};

pub(super) fn section(rows: &[RecallRow]) -> Option<Section> {
    if rows.is_empty() {
        return None;
    }
    let groups: Vec<&[RecallRow]> = rows.chunk_by(|a, b| a.protocol == b.protocol).collect();
    let control = rows.iter().any(|row| row.control.is_some());
    let body = html! {
        div.scroll {
            table.recall {
                thead {
                    tr {
                        th scope="col" { "Query → gallery" }
                        th.number scope="col" { "Queries" }
                        th.number scope="col" { "Gallery" }
                        @for k in [1, 5, 10] { th.recall scope="col" { "R@" (k) " %" } }
                        th.number scope="col" { "Median rank" }
                    }
                }
                @for group in groups {
                    tbody {
                        tr.group { th colspan="7" scope="rowgroup" { (group[0].protocol) } }
                        @for row in group { (measured(row)) }
                    }
                }
            }
        }
        p.key {
            span.fill { "measured, with its 95 % interval" }
            span.chance { "chance: random order" }
            @if control {
                span.control {
                    "duration: a control that sees how long a clip lasts, not what it says; “+ language”: it also knows how fast "
                    "that language is spoken"
                }
            }
        }
    };
    Some(Section::new("recall", "Recall", "How often the right answer is among the first k.", body))
}

fn measured(row: &RecallRow) -> Markup {
    let m = &row.metrics;
    let three = |m: &RetrievalMetrics| [m.r1.value, m.r5.value, m.r10.value];
    let (duration, language) = (row.control.as_ref().map(three), row.language_control.as_ref().map(three));
    html! {
        tr {
            th scope="row" { (m.from) " → " (m.to) }
            td.number data-label="queries" {
                (svg::thousands(m.queries as u64))
                @if m.left_out > 0 { small { (m.left_out) " without answer" } }
            }
            td.number data-label="gallery" { (svg::thousands(m.gallery.round() as u64)) }
            @for (index, (k, value, chance)) in m.recalls().into_iter().enumerate() {
                (cell(k, &value, chance, duration.map(|c| c[index]), language.map(|c| c[index])))
            }
            td.number data-label="median rank" {
                b { (rank(m.median_rank.value)) }
                small { (rank(m.median_rank.low)) " – " (rank(m.median_rank.high)) }
            }
        }
    }
}

fn cell(k: usize, value: &Estimate, chance: f64, control: Option<f64>, language: Option<f64>) -> Markup {
    html! {
        td.recall data-label={ "R@" (k) } {
            b { (percent(value.value)) }
            small.interval { (percent(value.low)) " – " (percent(value.high)) }
            (track(value.value, Some((value.low, value.high)), Some(chance), control))
            small { span.chance { "chance " (percent(chance)) } }
            @if let Some(control) = control {
                small.controls {
                    span.control { "duration " (percent(control)) }
                    @if let Some(language) = language { " " span.control { "+ language " (percent(language)) } }
                }
            }
        }
    }
}

/// Ranks are whole but for ties and for the middle of an even number.
pub(super) fn rank(rank: f64) -> String {
    if !rank.is_finite() {
        return "–".to_owned();
    }
    if rank.fract().abs() < 0.05 { svg::thousands(rank.round() as u64) } else { format!("{rank:.1}") }
}
