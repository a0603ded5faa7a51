//! A page about one video: one file that loads nothing and runs nothing. Pictures first.
//!
//! Strangers' text (names, captions, transcripts) enters by one door that cleans and escapes it, and a content security policy forbids
//! scripts and requests even if that door failed. Colours and shapes are those of the training report.

mod cards;
mod curves;
mod events;
mod header;
mod html;
mod picture;
mod scale;
mod timeline;

use crate::record::VideoScenes;
use crate::write::text::line;
use html::Html;
use picture::Picture;
use scale::Scale;
use std::path::Path;

const STYLE: &str = include_str!("style.css");

/// A score to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its column in the scores.
    pub name: String,
    /// The line that it is measured against.
    pub threshold: Option<f64>,
}

/// What is on the page besides the video's record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Scores to draw, in this order. Empty: the first six that have any, without thresholds.
    pub curves: Vec<Curve>,
}

/// The whole page. Thumbnails are read from `dir`, the folder of the video's files; one that is missing, broken or elsewhere leaves a
/// place that says so.
pub fn render(of: &VideoScenes, dir: &Path, options: &Options) -> String {
    let pictures: Vec<Option<Picture>> =
        of.scenes.iter().map(|s| s.thumbnail.as_deref().and_then(|t| picture::read(dir, t))).collect();
    let scale = Scale::of(&of.video);
    let mut h = Html::default();
    h.raw("<!DOCTYPE html>");
    h.el("html", &[("lang", "en")], |h| {
        h.el("head", &[], |h| head(h, of));
        h.el("body", &[], |h| {
            h.el("div", &[("class", "page")], |h| {
                header::header(h, of);
                h.el("main", &[], |h| {
                    if !of.scenes.is_empty() {
                        timeline::section(h, of, &pictures, &scale);
                    }
                    header::about(h, of);
                    cards::section(h, of, &pictures);
                    curves::section(h, of, &options.curves, &scale);
                    events::section(h, of);
                });
                h.say(
                    "footer",
                    &[],
                    "Made by Unisono. This file is complete: it loads nothing and runs nothing.",
                );
            });
        });
    });
    h.into_string()
}

fn head(h: &mut Html, of: &VideoScenes) {
    // The policy holds even if an escape were forgotten: no script runs, nothing is fetched.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'";
    h.open("meta", &[("charset", "utf-8")]);
    h.open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", policy)]);
    h.open("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    h.open("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    h.open("meta", &[("name", "generator"), ("content", "Unisono")]);
    h.say("title", &[], &format!("Scenes of {}", line(&of.video.name(), 120)));
    h.el("style", &[], |h| h.raw(STYLE));
}
