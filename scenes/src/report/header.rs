//! The head of the page: which video, how long, how many of what, and what went wrong.

use super::clock::{short, shown};
use crate::record::{EventKind, VideoScenes};
use crate::write::exact::Exact;
use maud::{Markup, html};
use unisono_files::line;
use unisono_page::number::{counted, thousands};
use unisono_page::{Fact, banner, facts};

/// Places of missing frames that are named.
const PLACES: usize = 6;
/// The record keeps so many.
const KEPT: usize = 100;

pub(super) fn header(of: &VideoScenes) -> Markup {
    let folder = of.video.path.parent().filter(|f| !f.as_os_str().is_empty());
    let inside = html! {
        @if let Some(folder) = folder { p.where dir="auto" { (line(&folder.to_string_lossy(), 400)) } }
    };
    banner(Some("Scenes"), &line(&of.video.name(), 240), &inside)
}

/// Under the strip: images come first.
pub(super) fn about(of: &VideoScenes) -> Markup {
    html! { (facts(&known(of))) (failures(of)) }
}

fn known(of: &VideoScenes) -> Vec<Fact> {
    let video = &of.video;
    let start = Exact::of(video.start.time);
    let mut facts = vec![
        Fact::new("Scenes", thousands(of.scenes.len() as u64)),
        Fact::new("Shots", thousands(of.shots.len() as u64)),
    ];
    let names = ["Cuts", "Dissolves", "Fades", "Flashes"];
    for (kind, name) in EventKind::ALL.into_iter().zip(names) {
        let count = of.events.iter().filter(|e| e.kind == kind).count();
        if count > 0 {
            facts.push(Fact::new(name, thousands(count as u64)));
        }
    }
    facts.push(Fact::new("Length", short(Exact::of(video.end.time).minus(start))));
    facts.push(Fact::new("Frames", thousands(video.end.frame.saturating_sub(video.start.frame))));
    facts.push(Fact::new("Frame size", format!("{} × {}", video.size.0, video.size.1)));
    let rate = video.rate.map(|r| format!("{:.3}", r.value()));
    let rate = rate.map(|r| r.trim_end_matches('0').trim_end_matches('.').to_owned());
    let rate = match (rate, video.variable_rate) {
        (Some(rate), false) => format!("{rate} frames/s"),
        (Some(rate), true) => format!("changing, {rate} frames/s on average"),
        (None, true) => "changing".to_owned(),
        (None, false) => "not told".to_owned(),
    };
    facts.push(Fact::new("Frame rate", rate));
    facts.push(Fact::new("Audio", if video.audio { "yes" } else { "none" }));
    if start.num != 0 {
        facts.push(Fact::new("Clock starts at", shown(video.start)));
    }
    facts.push(Fact::new("Found by", line(&video.detector, 300)));
    facts
}

fn failures(of: &VideoScenes) -> Markup {
    let failures = &of.video.failures;
    if failures.count == 0 && failures.places.is_empty() {
        return html! {};
    }
    let broken = failures.places.is_empty() && failures.count <= failures.jumps.len();
    let what =
        if broken { "The clock of this file breaks." } else { "Not all of this file could be decoded." };
    html! {
        div.failures role="note" {
            strong { (what) }
            @if failures.count > 0 {
                " The decoder complained " (counted(failures.count, "time", "times"))
                @match &failures.first {
                    Some(first) => { ", first: " q dir="auto" { (line(first, 300)) } },
                    None => ".",
                }
            }
            @if !failures.places.is_empty() { " " (missing(of)) }
        }
    }
}

fn missing(of: &VideoScenes) -> String {
    let all = &of.video.failures.places;
    let most = if all.len() >= KEPT { "at least " } else { "" };
    let mut places: Vec<String> = all.iter().take(PLACES).map(|t| short(Exact::of(*t))).collect();
    if all.len() > PLACES {
        places.push("…".to_owned());
    }
    format!("Missing: {most}{}, at {}", counted(all.len(), "frame", "frames"), places.join(", "))
}
