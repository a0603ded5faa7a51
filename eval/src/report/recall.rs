//! The recall table: every number with its interval, chance and control.

use maud::{Markup, html};
use unisono_page::chart::Bullet;
use unisono_page::{
    Column, Section, Table,
    number::{rank, thousands},
};

use super::data::RecallRow;
use crate::{metrics::RetrievalMetrics, stats::Estimate, table::percent};

const COLUMNS: [Column; 7] = [
    Column::text("Query → gallery"),
    Column::number("Queries"),
    Column::number("Gallery"),
    Column::classed("R@1 %", "recall"),
    Column::classed("R@5 %", "recall"),
    Column::classed("R@10 %", "recall"),
    Column::number("Median rank"),
];

pub(super) fn section(rows: &[RecallRow]) -> Option<Section> {
    if rows.is_empty() {
        return None;
    }
    let mut table = Table::new(&COLUMNS).stacked();
    for group in rows.chunk_by(|a, b| a.protocol == b.protocol) {
        table.group(&group[0].protocol);
        for row in group {
            table.row(measured(row));
        }
    }
    let control = rows.iter().any(|row| row.control.is_some());
    let body = html! {
        (table.render())
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
    Some(Section::new("recall", "Recall", "How often a right answer is among the first k.", body))
}

fn measured(row: &RecallRow) -> [Markup; 7] {
    let m = &row.metrics;
    let three = |m: &RetrievalMetrics| [m.r1.value, m.r5.value, m.r10.value];
    let (duration, language) = (row.control.as_ref().map(three), row.language_control.as_ref().map(three));
    let [r1, r5, r10] = [0, 1, 2].map(|index| {
        let (_, value, chance) = m.recalls()[index];
        cell(&value, chance, duration.map(|c| c[index]), language.map(|c| c[index]))
    });
    [
        html! { (m.from) " → " (m.to) },
        html! {
            (thousands(m.queries as u64))
            @if m.left_out > 0 { small { (m.left_out) " without answer" } }
        },
        html! { (thousands(m.gallery.round() as u64)) },
        r1,
        r5,
        r10,
        html! {
            b { (rank(m.median_rank.value)) }
            small { (rank(m.median_rank.low)) " – " (rank(m.median_rank.high)) }
        },
    ]
}

fn cell(value: &Estimate, chance: f64, control: Option<f64>, language: Option<f64>) -> Markup {
    let interval = Some((value.low, value.high));
    let bullet = Bullet { value: value.value, interval, chance: Some(chance), control };
    html! {
        b { (percent(value.value)) }
        small.interval { (percent(value.low)) " – " (percent(value.high)) }
        (bullet.render())
        small { span.chance { "chance " (percent(chance)) } }
        @if let Some(control) = control {
            small.controls {
                span.control { "duration " (percent(control)) }
                @if let Some(language) = language { " " span.control { "+ language " (percent(language)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_protocol_stand_together() {
        let row = |protocol: &str| {
            let metrics = RetrievalMetrics {
                from: "text".into(),
                to: "image".into(),
                queries: 2000,
                left_out: 0,
                gallery: 99.6,
                relevant: 1.0,
                chance_r1: 0.01,
                chance_r5: 0.05,
                chance_r10: 0.1,
                r1: Estimate::exact(0.25),
                r5: Estimate::exact(0.5),
                r10: Estimate::exact(1.0),
                median_rank: Estimate::exact(5.5),
                mrr: Estimate::exact(0.4),
            };
            RecallRow { protocol: protocol.into(), metrics, control: None, language_control: None }
        };
        let drawn = section(&[row("a"), row("a"), row("b")]).unwrap().markup.into_string();
        assert_eq!(
            (drawn.matches("<tbody>").count(), drawn.matches("scope=\"row\"").count()),
            (2, 3),
            "{drawn}"
        );
        for shown in ["text → image", "2,000", "100", "25.0", "chance 5.0", "5.5", "data-label=\"R@5 %\""] {
            assert!(drawn.contains(shown), "{shown} in {drawn}");
        }
        // No control was measured: none is explained.
        assert!(!drawn.contains("duration"), "{drawn}");
        assert!(section(&[]).is_none());
    }
}
