//! The head of the page: which video, how long, how many of what, and what went wrong.

use super::html::{Html, counted, thousands};
use super::scale::{short, shown};
use crate::record::{EventKind, VideoScenes};
use crate::write::exact::Exact;
use crate::write::text::line;

pub(super) fn header(h: &mut Html, of: &VideoScenes) {
    let video = &of.video;
    h.el("header", &[], |h| {
        h.el("p", &[("class", "eyebrow")], |h| {
            h.text("Unisono");
            h.say("span", &[], "Scenes");
        });
        let name = line(&video.name(), 240);
        // Long names are smaller, so that the pictures stay on the first screen.
        let class = if name.chars().count() > 60 { "long" } else { "" };
        h.say("h1", &[("class", class), ("dir", "auto")], &name);
        if let Some(folder) = video.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            h.say("p", &[("class", "where"), ("dir", "auto")], &line(&folder.to_string_lossy(), 400));
        }
    });
}

/// Under the strip: pictures come first.
pub(super) fn about(h: &mut Html, of: &VideoScenes) {
    h.el("dl", &[("class", "facts")], |h| {
        let facts = facts(of);
        for (name, value) in &facts {
            h.el("div", &[], |h| {
                h.say("dt", &[], name);
                h.say("dd", &[("dir", "auto")], value);
            });
        }
    });
    failures(h, of);
}

fn facts(of: &VideoScenes) -> Vec<(&'static str, String)> {
    let video = &of.video;
    let start = Exact::of(video.start.time);
    let mut facts =
        vec![("Scenes", thousands(of.scenes.len() as u64)), ("Shots", thousands(of.shots.len() as u64))];
    let names = ["Cuts", "Dissolves", "Fades", "Flashes"];
    for (kind, name) in EventKind::ALL.into_iter().zip(names) {
        let count = of.events.iter().filter(|e| e.kind == kind).count();
        if count > 0 {
            facts.push((name, thousands(count as u64)));
        }
    }
    facts.push(("Length", short(Exact::of(video.end.time).minus(start))));
    facts.push(("Frames", thousands(video.end.frame.saturating_sub(video.start.frame))));
    facts.push(("Picture", format!("{} × {}", video.size.0, video.size.1)));
    let rate = video.rate.map(|r| format!("{:.3}", r.value()));
    let rate = rate.map(|r| r.trim_end_matches('0').trim_end_matches('.').to_owned());
    facts.push(match (rate, video.variable_rate) {
        (Some(rate), false) => ("Rate", format!("{rate} frames/s")),
        (Some(rate), true) => ("Rate", format!("changing, {rate} frames/s on average")),
        (None, true) => ("Rate", "changing".to_owned()),
        (None, false) => ("Rate", "not told".to_owned()),
    });
    facts.push(("Sound", if video.sound { "yes" } else { "none" }.to_owned()));
    if start.num != 0 {
        facts.push(("Clock starts at", shown(video.start)));
    }
    facts.push(("Found by", line(&video.detector, 300)));
    facts
}

fn failures(h: &mut Html, of: &VideoScenes) {
    let failures = &of.video.failures;
    if failures.count == 0 && failures.places.is_empty() {
        return;
    }
    h.el("div", &[("class", "failures"), ("role", "note")], |h| {
        let broken = failures.places.is_empty() && failures.count <= failures.jumps.len();
        let what =
            if broken { "The clock of this file breaks." } else { "Not all of this file could be decoded." };
        h.say("strong", &[], what);
        h.text(" ");
        if failures.count > 0 {
            h.text(&format!("The decoder complained {}", counted(failures.count, "time", "times")));
            match &failures.first {
                Some(first) => {
                    h.text(", first: ");
                    h.say("q", &[("dir", "auto")], &line(first, 300));
                }
                None => h.text("."),
            }
            h.text(" ");
        }
        if !failures.places.is_empty() {
            // The record keeps the first hundred.
            let count = counted(failures.places.len(), "frame", "frames");
            let most = if failures.places.len() >= 100 { "at least " } else { "" };
            let mut places: Vec<String> =
                failures.places.iter().take(6).map(|t| short(Exact::of(*t))).collect();
            if failures.places.len() > 6 {
                places.push("…".to_owned());
            }
            h.text(&format!("Missing: {most}{count}, at {}", places.join(", ")));
        }
    });
}
