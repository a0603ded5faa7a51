//! A card a scene: its image first.

use super::clock::{length, shown};
use super::image::Image;
use crate::record::{Label, Scene, Spoken, VideoScenes};
use maud::{Markup, html};
use unisono_files::line;
use unisono_page::Section;
use unisono_page::chart::Bullet;
use unisono_page::number::{clock, counted};

/// Labels of a set that are shown: the best, and those after it that still mean something.
const LABELS: usize = 2;
const LEAST: f64 = 0.05;
/// Lines of a transcript before the rest is folded.
const LINES: usize = 5;

pub(super) fn section(of: &VideoScenes, images: &[Option<Image>]) -> Section {
    let lead = if of.scenes.is_empty() { "There is none: no frame was decoded." } else { "" };
    // Tall videos have tall images; a card is never taller than wide.
    let (width, height) = (of.video.size.0.max(1), of.video.size.1.max(1));
    let shape = (f64::from(width) / f64::from(height)).clamp(1.2, 2.4);
    let body = html! {
        div.cards.scenes style=(format!("--shape:{shape:.4}")) {
            @for (scene, image) in of.scenes.iter().zip(images) { (card(scene, image.as_ref())) }
        }
    };
    Section::new("scenes", "Scenes", lead, body)
}

fn card(scene: &Scene, image: Option<&Image>) -> Markup {
    let number = scene.index + 1;
    let shots = scene.shots.1.saturating_sub(scene.shots.0);
    html! {
        article.card.scene #{ "scene-" (number) } {
            div.image {
                @match image {
                    Some(image) => img src=(image.card) alt={ "Scene " (number) ", frame " (scene.key.frame) } loading="lazy" decoding="async";,
                    None => span.missing { "no image" },
                }
                b.number { (number) }
                span.length { (length(scene.start, scene.end)) }
            }
            div.about {
                h3.when {
                    b { (shown(scene.start)) } " – " (shown(scene.end))
                    span { (counted(shots, "shot", "shots")) }
                }
                @if let Some(caption) = &scene.caption { p.caption dir="auto" { (line(caption, 600)) } }
                @for (set, labels) in &scene.labels { (bars(set, labels)) }
                (bars("sounds", &scene.sounds))
                (transcript(&scene.transcript))
            }
        }
    }
}

fn bars(set: &str, labels: &[Label]) -> Markup {
    let shown = labels.iter().enumerate().filter(|(at, l)| *at == 0 || l.probability >= LEAST).take(LABELS);
    let known = |l: &Label| if l.probability.is_finite() { l.probability.clamp(0.0, 1.0) } else { 0.0 };
    html! {
        @if !labels.is_empty() {
            div.set {
                h4 dir="auto" title=(line(set, 40)) { (line(set, 40)) }
                ul {
                    @for (_, label) in shown {
                        li {
                            span.label dir="auto" title=(line(&label.label, 120)) { (line(&label.label, 120)) }
                            (Bullet::of(known(label)).render())
                            span.share { (format!("{:.0} %", known(label) * 100.0)) }
                        }
                    }
                }
            }
        }
    }
}

fn transcript(lines: &[Spoken]) -> Markup {
    // One line more is no reason to fold.
    let shown = if lines.len() > LINES + 1 { LINES } else { lines.len() };
    html! {
        @if !lines.is_empty() {
            div.said {
                ol { @for line in &lines[..shown] { (said(line)) } }
                @if shown < lines.len() {
                    details {
                        summary { (counted(lines.len() - shown, "more line", "more lines")) }
                        ol { @for line in &lines[shown..] { (said(line)) } }
                    }
                }
            }
        }
    }
}

fn said(spoken: &Spoken) -> Markup {
    html! {
        li {
            time { (clock(spoken.start.floor(), false)) }
            p dir="auto" {
                @if let Some(speaker) = &spoken.speaker { bdi.speaker { (line(speaker, 60)) } " " }
                (line(&spoken.text, 1000))
            }
        }
    }
}
