//! A page about one video. Images first. How it looks is [`unisono_page`]'s, as all pages; here is what it shows.

mod cards;
mod clock;
mod curves;
mod events;
mod header;
mod image;
mod options;
mod timeline;

pub use options::{Curve, Options};

use crate::record::VideoScenes;
use clock::Clock;
use image::Image;
use maud::html;
use std::path::Path;
use unisono_files::line;
use unisono_page::{Page, contents};

const STYLE: &str = include_str!("style.css");

/// The whole page. Thumbnails are read from `dir`, the folder of the video's files; one that is missing, broken or elsewhere leaves a
/// place that says so.
pub fn render(of: &VideoScenes, dir: &Path, options: &Options) -> String {
    let images: Vec<Option<Image>> =
        of.scenes.iter().map(|s| s.thumbnail.as_deref().and_then(|t| image::read(dir, t))).collect();
    let clock = Clock::of(&of.video);
    let sections = [
        Some(cards::section(of, &images)),
        curves::section(of, &options.curves, &clock),
        events::section(of),
    ];
    let body = html! {
        (header::header(of))
        main {
            @if !of.scenes.is_empty() { (timeline::section(of, &images, &clock)) }
            (header::about(of))
            (contents(&sections))
            @for section in sections.iter().flatten() { (section.markup) }
        }
    };
    let title = format!("Scenes of {}", line(&of.video.name(), 120));
    Page { title: &title, style: STYLE, body: &body }.render()
}
