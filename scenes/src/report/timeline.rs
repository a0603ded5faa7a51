//! The video from left to right: scenes as a strip of film, events under it.

use super::clock::{Clock, length, shown};
use super::image::Image;
use crate::record::{Event, EventKind, Scene, VideoScenes};
use maud::{Markup, html};
use std::fmt::Write;
use unisono_files::line;
use unisono_page::chart::{axis_names, percent};
use unisono_page::number::counted;

/// Narrower scenes are colour only: an image of three pixels is none, and two thousand of them are heavy.
const NARROWEST: f64 = 0.004;
/// Narrower scenes have no number, and those below the second only in a wide window.
const NUMBERED: (f64, f64) = (0.03, 0.085);
/// Width of the drawing's own units.
const WIDE: f64 = 10_000.0;

pub(super) fn section(of: &VideoScenes, images: &[Option<Image>], clock: &Clock) -> Markup {
    html! {
        section #timeline.timeline aria-label="Timeline" {
            div.strip {
                @for (scene, image) in of.scenes.iter().zip(images) { (tile(scene, image.as_ref(), clock)) }
            }
            @if !of.events.is_empty() {
                svg.marks viewBox="0 0 10000 20" preserveAspectRatio="none" role="img"
                    aria-label={ (counted(of.events.len(), "event", "events")) " between shots or within them" } {
                    @for kind in EventKind::ALL { (marks(of.events.iter().filter(|e| e.kind == kind), kind, clock)) }
                }
            }
            (axis_names(&clock.laid))
            (legend(of))
        }
    }
}

fn tile(scene: &Scene, image: Option<&Image>, clock: &Clock) -> Markup {
    let (left, right) = (clock.place(scene.start.time), clock.place(scene.end.time));
    let wide = right - left;
    let mut style = format!("left:{};width:{}", percent(left), percent(wide));
    if let Some(image) = image.filter(|_| wide >= NARROWEST) {
        let _ = write!(style, ";background-image:url({})", image.strip);
    }
    let number = scene.index + 1;
    let caption = scene.caption.as_deref().map(|c| format!("\n{}", line(c, 160))).unwrap_or_default();
    let title =
        format!("Scene {number}: {}, {}{caption}", shown(scene.start), length(scene.start, scene.end));
    html! {
        a href={ "#scene-" (number) } style=(style) title=(title) aria-label=(title) {
            @if wide >= NUMBERED.0 { span class=[(wide < NUMBERED.1).then_some("wide")] aria-hidden="true" { (number) } }
        }
    }
}

/// One path a kind. Shapes differ as well as colours: cuts hang from the strip, flashes stand below, the others are blocks as long as they last.
fn marks<'a>(events: impl Iterator<Item = &'a Event>, kind: EventKind, clock: &Clock) -> Markup {
    let mut path = String::new();
    for event in events {
        let x = clock.place(event.start.time) * WIDE;
        let _ = match kind {
            EventKind::Cut => write!(path, "M{x:.1} 0V9"),
            EventKind::Flash => write!(path, "M{x:.1} 15v1"),
            EventKind::Dissolve | EventKind::Fade => {
                // At least three pixels of a screen's width.
                let right = (clock.place(event.end.time) * WIDE).max(x + 28.0);
                write!(path, "M{x:.1} 0H{right:.1}V13H{x:.1}Z")
            }
        };
    }
    html! { @if !path.is_empty() { path class=(kind.name()) d=(path) vector-effect="non-scaling-stroke" {} } }
}

fn legend(of: &VideoScenes) -> Markup {
    let names = [("cut", "cuts"), ("dissolve", "dissolves"), ("fade", "fades"), ("flash", "flashes")];
    html! {
        ul.legend.kinds {
            @for (kind, (one, many)) in EventKind::ALL.into_iter().zip(names) {
                @let count = of.events.iter().filter(|e| e.kind == kind).count();
                @if count > 0 { li { i class=(kind.name()) {} (counted(count, one, many)) } }
            }
        }
    }
}
