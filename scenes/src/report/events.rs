//! Every event in a table.

use super::html::{Html, counted};
use super::scale::shown;
use crate::record::{Event, EventKind, Scene, VideoScenes};
use crate::write::exact::Exact;
use crate::write::text::line;

/// Rows on the page; `events.jsonl` has them all.
const MOST: usize = 2000;

pub(super) fn section(h: &mut Html, of: &VideoScenes) {
    if of.events.is_empty() {
        return;
    }
    h.el("section", &[("id", "events")], |h| {
        h.say("h2", &[], "Events");
        if of.events.len() > MOST {
            let lead = format!("The first {MOST} of {}; events.jsonl has them all.", counted(of.events.len(), "event", "events"));
            h.say("p", &[("class", "lead")], &lead);
        }
        h.el("div", &[("class", "scroll")], |h| {
            h.el("table", &[], |h| {
                h.raw("<thead><tr><th>Event<th class=\"number\">Time<th class=\"number\">Frame<th class=\"number\">Length<th class=\"number\">Score<th>Detector<th class=\"number\">Scene</thead>");
                h.el("tbody", &[], |h| {
                    for event in of.events.iter().take(MOST) {
                        row(h, event, scene_of(of, event));
                    }
                });
            });
        });
    });
}

fn scene_of<'a>(of: &'a VideoScenes, event: &Event) -> Option<&'a Scene> {
    let after = of.scenes.partition_point(|s| s.start.time <= event.start.time);
    of.scenes.get(after.checked_sub(1)?)
}

fn row(h: &mut Html, event: &Event, scene: Option<&Scene>) {
    let number = [("class", "number")];
    h.el("tr", &[], |h| {
        h.el("th", &[("scope", "row")], |h| {
            h.el("i", &[("class", event.kind.name())], |_| {});
            h.text(event.kind.name());
        });
        h.say("td", &number, &shown(event.start));
        h.say("td", &number, &event.start.frame.to_string());
        h.el("td", &number, |h| {
            let frames = event.end.frame.saturating_sub(event.start.frame);
            if event.kind != EventKind::Cut && frames > 0 {
                let seconds = Exact::of(event.end.time).minus(Exact::of(event.start.time)).value();
                h.text(&format!("{seconds:.2} s "));
                h.say(
                    "small",
                    &[],
                    &counted(usize::try_from(frames).unwrap_or(usize::MAX), "frame", "frames"),
                );
            }
        });
        h.say(
            "td",
            &number,
            &if event.score.is_finite() { format!("{:.2}", event.score) } else { String::new() },
        );
        h.say("td", &[("dir", "auto")], &line(&event.detector, 40));
        h.el("td", &number, |h| {
            if let Some(scene) = scene {
                let name = (scene.index + 1).to_string();
                h.say("a", &[("href", &format!("#scene-{name}"))], &name);
            }
        });
    });
}
