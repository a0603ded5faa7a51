//! The video from left to right: scenes as a strip of film, events under it.

use super::html::{Html, counted};
use super::picture::Picture;
use super::scale::{Scale, length, percent, shown};
use crate::record::{Event, EventKind, VideoScenes};
use crate::write::text::line;
use std::fmt::Write;

/// Narrower scenes are colour only: a picture of three pixels is none, and two thousand of them are heavy.
const NARROWEST: f64 = 0.004;
/// Width of the drawing's own units.
const WIDE: f64 = 10_000.0;

pub(super) fn section(h: &mut Html, of: &VideoScenes, pictures: &[Option<Picture>], scale: &Scale) {
    h.el("section", &[("id", "timeline"), ("class", "timeline"), ("aria-label", "Timeline")], |h| {
        h.el("div", &[("class", "strip")], |h| {
            for (scene, picture) in of.scenes.iter().zip(pictures) {
                let (left, right) = (scale.place(scene.start.time), scale.place(scene.end.time));
                let mut style = format!("left:{};width:{}", percent(left), percent(right - left));
                if let Some(picture) = picture.as_ref().filter(|_| right - left >= NARROWEST) {
                    let _ = write!(style, ";background-image:url({})", picture.strip);
                }
                let caption =
                    scene.caption.as_deref().map(|c| format!("\n{}", line(c, 160))).unwrap_or_default();
                let title = format!(
                    "Scene {}: {}, {}{caption}",
                    scene.index + 1,
                    shown(scene.start),
                    length(scene.start, scene.end)
                );
                let to = format!("#scene-{}", scene.index + 1);
                h.el(
                    "a",
                    &[("href", &to), ("style", &style), ("title", &title), ("aria-label", &title)],
                    |h| {
                        if right - left >= 0.03 {
                            let class = if right - left < 0.085 { "wide" } else { "" };
                            let about = [("class", class), ("aria-hidden", "true")];
                            h.say("span", &about, &(scene.index + 1).to_string());
                        }
                    },
                );
            }
        });
        if !of.events.is_empty() {
            let said =
                format!("{} between shots or within them", counted(of.events.len(), "event", "events"));
            h.el("svg", &marks_frame(&said), |h| {
                for kind in EventKind::ALL {
                    marks(h, of.events.iter().filter(|e| e.kind == kind), kind, scale);
                }
            });
        }
        axis(h, scale);
        legend(h, of);
    });
}

fn marks_frame(said: &str) -> [(&'static str, &str); 5] {
    [
        ("class", "marks"),
        ("viewBox", "0 0 10000 20"),
        ("preserveAspectRatio", "none"),
        ("role", "img"),
        ("aria-label", said),
    ]
}

/// One path a kind. Shapes differ as well as colours: cuts hang from the strip, flashes stand below, the others are blocks as long as they last.
fn marks<'a>(h: &mut Html, events: impl Iterator<Item = &'a Event>, kind: EventKind, scale: &Scale) {
    let mut path = String::new();
    for event in events {
        let x = scale.place(event.start.time) * WIDE;
        let _ = match kind {
            EventKind::Cut => write!(path, "M{x:.1} 0V9"),
            EventKind::Flash => write!(path, "M{x:.1} 15v1"),
            EventKind::Dissolve | EventKind::Fade => {
                // At least three pixels of a screen's width.
                let right = (scale.place(event.end.time) * WIDE).max(x + 28.0);
                write!(path, "M{x:.1} 0H{right:.1}V13H{x:.1}Z")
            }
        };
    }
    if !path.is_empty() {
        h.el(
            "path",
            &[("class", kind.name()), ("d", &path), ("vector-effect", "non-scaling-stroke")],
            |_| {},
        );
    }
}

/// The times under a drawing.
pub(super) fn axis(h: &mut Html, scale: &Scale) {
    h.el("div", &[("class", "axis"), ("aria-hidden", "true")], |h| {
        for (place, name) in scale.ticks() {
            // The last name would reach over the edge.
            let class = if place > 0.97 {
                "end"
            } else if place < 0.03 {
                "start"
            } else {
                "mid"
            };
            h.say("span", &[("class", class), ("style", &format!("left:{}", percent(place)))], &name);
        }
    });
}

fn legend(h: &mut Html, of: &VideoScenes) {
    let names = [("cut", "cuts"), ("dissolve", "dissolves"), ("fade", "fades"), ("flash", "flashes")];
    h.el("ul", &[("class", "legend")], |h| {
        for (kind, (one, many)) in EventKind::ALL.into_iter().zip(names) {
            let count = of.events.iter().filter(|e| e.kind == kind).count();
            if count > 0 {
                h.el("li", &[], |h| {
                    h.el("i", &[("class", kind.name())], |_| {});
                    h.text(&counted(count, one, many));
                });
            }
        }
    });
}
