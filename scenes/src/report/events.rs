//! Every event in a table.

use super::clock::shown;
use crate::record::{Event, EventKind, Scene, VideoScenes};
use crate::write::exact::Exact;
use maud::{Markup, html};
use unisono_files::line;
use unisono_page::number::{counted, thousands};
use unisono_page::{Column, Section, Table};

/// Rows on the page; `events.jsonl` has them all.
const MOST: usize = 2000;
const COLUMNS: [Column; 7] = [
    Column::text("Event"),
    Column::number("Time"),
    Column::number("Frame"),
    Column::number("Length"),
    Column::number("Score"),
    Column::text("Detector"),
    Column::number("Scene"),
];

pub(super) fn section(of: &VideoScenes) -> Option<Section> {
    if of.events.is_empty() {
        return None;
    }
    let lead = if of.events.len() > MOST {
        let all = counted(of.events.len(), "event", "events");
        format!("The first {} of {all}; events.jsonl has them all.", thousands(MOST as u64))
    } else {
        String::new()
    };
    let mut table = Table::new(&COLUMNS).tall();
    for event in of.events.iter().take(MOST) {
        table.row(row(event, scene_of(of, event)));
    }
    Some(Section::new("events", "Events", &lead, table.render()))
}

fn scene_of<'a>(of: &'a VideoScenes, event: &Event) -> Option<&'a Scene> {
    let after = of.scenes.partition_point(|s| s.start.time <= event.start.time);
    of.scenes.get(after.checked_sub(1)?)
}

fn row(event: &Event, scene: Option<&Scene>) -> [Markup; 7] {
    let frames = event.end.frame.saturating_sub(event.start.frame);
    let lasts = event.kind != EventKind::Cut && frames > 0;
    let seconds = Exact::of(event.end.time).minus(Exact::of(event.start.time)).value();
    let number = scene.map(|s| s.index + 1);
    [
        html! { i class=(event.kind.name()) {} (event.kind.name()) },
        html! { (shown(event.start)) },
        html! { (thousands(event.start.frame)) },
        html! {
            @if lasts {
                (format!("{seconds:.2} s"))
                small { (counted(usize::try_from(frames).unwrap_or(usize::MAX), "frame", "frames")) }
            }
        },
        html! { @if event.score.is_finite() { (format!("{:.2}", event.score)) } },
        html! { bdi { (line(&event.detector, 40)) } },
        html! { @if let Some(number) = number { a href={ "#scene-" (number) } { (number) } } },
    ]
}
