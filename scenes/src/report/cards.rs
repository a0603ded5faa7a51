//! A card a scene: its picture first.

use super::html::{Html, counted};
use super::picture::Picture;
use super::scale::{length, shown, spoken};
use crate::record::{Label, Scene, Spoken, VideoScenes};
use crate::write::text::line;

/// Labels of a set that are shown: the best, and those after it that still mean something.
const LABELS: usize = 2;
const LEAST: f64 = 0.05;
/// Lines of a transcript before the rest is folded.
const LINES: usize = 5;

pub(super) fn section(h: &mut Html, of: &VideoScenes, pictures: &[Option<Picture>]) {
    h.el("section", &[("id", "scenes")], |h| {
        h.say("h2", &[], "Scenes");
        if of.scenes.is_empty() {
            h.say("p", &[("class", "lead")], "There is none: no frame was decoded.");
        }
        // Tall videos have tall pictures; a card is never taller than wide.
        let (width, height) = (of.video.size.0.max(1), of.video.size.1.max(1));
        let shape = f64::from(width) / f64::from(height);
        let shape = format!("--shape:{:.4}", shape.clamp(1.2, 2.4));
        h.el("div", &[("class", "cards"), ("style", &shape)], |h| {
            for (scene, picture) in of.scenes.iter().zip(pictures) {
                card(h, scene, picture.as_ref());
            }
        });
    });
}

fn card(h: &mut Html, scene: &Scene, picture: Option<&Picture>) {
    let number = (scene.index + 1).to_string();
    h.el("article", &[("class", "scene"), ("id", &format!("scene-{number}"))], |h| {
        h.el("div", &[("class", "picture")], |h| {
            match picture {
                Some(picture) => {
                    let what = format!("Scene {number}, frame {}", scene.key.frame);
                    h.open(
                        "img",
                        &[("src", &picture.card), ("alt", &what), ("loading", "lazy"), ("decoding", "async")],
                    );
                }
                None => h.say("span", &[("class", "missing")], "no picture"),
            }
            h.say("b", &[("class", "number")], &number);
            h.say("span", &[("class", "length")], &length(scene.start, scene.end));
        });
        h.el("div", &[("class", "about")], |h| {
            h.el("h3", &[("class", "when")], |h| {
                h.say("b", &[], &shown(scene.start));
                h.text(" – ");
                h.text(&shown(scene.end));
                let shots = scene.shots.1.saturating_sub(scene.shots.0);
                h.say("span", &[], &counted(shots, "shot", "shots"));
            });
            if let Some(caption) = &scene.caption {
                h.say("p", &[("class", "caption"), ("dir", "auto")], &line(caption, 600));
            }
            for (set, labels) in &scene.labels {
                bars(h, set, labels);
            }
            bars(h, "sounds", &scene.sounds);
            transcript(h, &scene.transcript);
        });
    });
}

fn bars(h: &mut Html, set: &str, labels: &[Label]) {
    if labels.is_empty() {
        return;
    }
    let shown = labels.iter().enumerate().filter(|(at, l)| *at == 0 || l.probability >= LEAST).take(LABELS);
    h.el("div", &[("class", "set")], |h| {
        h.say("h4", &[("dir", "auto")], &line(set, 40));
        h.el("ul", &[], |h| {
            for (_, label) in shown {
                let known =
                    if label.probability.is_finite() { label.probability.clamp(0.0, 1.0) } else { 0.0 };
                h.el("li", &[], |h| {
                    h.say("span", &[("class", "label"), ("dir", "auto")], &line(&label.label, 120));
                    h.el("span", &[("class", "bar"), ("aria-hidden", "true")], |h| {
                        h.el("i", &[("style", &format!("width:{:.1}%", known * 100.0))], |_| {});
                    });
                    h.say("span", &[("class", "share")], &format!("{:.0} %", known * 100.0));
                });
            }
        });
    });
}

fn transcript(h: &mut Html, lines: &[Spoken]) {
    if lines.is_empty() {
        return;
    }
    // One line more is no reason to fold.
    let shown = if lines.len() > LINES + 1 { LINES } else { lines.len() };
    h.el("div", &[("class", "said")], |h| {
        h.el("ol", &[], |h| lines[..shown].iter().for_each(|l| said(h, l)));
        if shown < lines.len() {
            h.el("details", &[], |h| {
                h.say("summary", &[], &counted(lines.len() - shown, "more line", "more lines"));
                h.el("ol", &[], |h| lines[shown..].iter().for_each(|l| said(h, l)));
            });
        }
    });
}

fn said(h: &mut Html, spoken_line: &Spoken) {
    h.el("li", &[], |h| {
        h.say("time", &[], &spoken(spoken_line.start));
        h.el("p", &[("dir", "auto")], |h| {
            if let Some(speaker) = &spoken_line.speaker {
                h.say("bdi", &[("class", "speaker")], &line(speaker, 60));
                h.text(" ");
            }
            h.text(&line(&spoken_line.text, 1000));
        });
    });
}
