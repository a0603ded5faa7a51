//! Records to look at and to listen to.

use super::drawn::drawn;
use super::link::link;
use super::options::PageOptions;
use crate::named::{Kind, absent, files};
use crate::sheet::{middle, shrunk, small, thumbnail};
use maud::{Markup, html};
use rayon::prelude::*;
use std::path::Path;
use unisono_datasets::{Record, Source};
use unisono_files::line;
use unisono_media::Blob;
use unisono_page::{Media, MediaKind, show};

/// Larger audio files and videos are not carried, and of all no more than this; in bytes.
pub(super) const LARGEST: u64 = 1 << 20;
pub(super) const ALL: u64 = 16 << 20;
/// Captions and audio files of a record that are shown, and characters of a caption and of a name.
const CAPTIONS: usize = 3;
const PLAYERS: usize = 3;
const CHARACTERS: usize = 240;
const NAME: usize = 120;

/// What is shown of a record.
pub(super) struct Card {
    id: String,
    shown: Result<Shown, String>,
}

struct Shown {
    record: Record,
    /// Its image, or a frame of its video; absent where it has neither.
    look: Option<Look>,
    players: Vec<Player>,
}

enum Look {
    Image(Media),
    /// Why there is none.
    Missing(String),
}

/// An audio file or a video.
struct Player {
    kind: Kind,
    /// Its file's name.
    name: String,
    bytes: u64,
    carried: Option<Media>,
    /// The way there from the page.
    link: Option<String>,
    /// Why it cannot be played.
    problem: Option<String>,
}

/// Records of a source, drawn by lot, each with what a page can show of it.
pub(super) fn read(source: &dyn Source, options: &PageOptions) -> Vec<Card> {
    let places: Vec<usize> = drawn(source.len(), options.samples, options.seed).into_iter().collect();
    let card = |place: &usize| match source.record(*place) {
        Ok(record) => {
            let record = record.into_owned();
            Card { id: record.id.clone(), shown: Ok(Shown::of(record, options.page)) }
        }
        Err(e) => Card { id: format!("record {place}"), shown: Err(e.to_string()) },
    };
    let mut cards: Vec<Card> = places.par_iter().map(card).collect();
    let mut left = ALL;
    let players = cards.iter_mut().filter_map(|card| card.shown.as_mut().ok());
    for player in players.flat_map(|shown| &mut shown.players) {
        match player.carried.as_ref().map(|media| left.checked_sub(media.bytes().len() as u64)) {
            Some(Some(rest)) => left = rest,
            _ => player.carried = None,
        }
    }
    cards
}

impl Shown {
    fn of(record: Record, page: &Path) -> Self {
        let look = match (&record.image, &record.video) {
            (Some(blob), _) => Some(Look::of(blob, thumbnail(blob))),
            // Where there is none its player says what is wrong with it.
            (None, Some(blob)) => middle(blob, &record.span).as_ref().and_then(shrunk).map(Look::Image),
            (None, None) => None,
        };
        let moving = files(&record).filter(|(kind, ..)| *kind != Kind::Image);
        let audio = moving.scan(0, |heard, (kind, blob, _)| {
            *heard += usize::from(kind == Kind::Audio);
            Some((kind != Kind::Audio || *heard <= PLAYERS).then_some((kind, blob)))
        });
        let players = audio.flatten().map(|(kind, blob)| Player::of(kind, blob, page)).collect();
        Self { record, look, players }
    }
}

impl Look {
    fn of(blob: &Blob, media: Option<Media>) -> Self {
        match media {
            Some(media) => Self::Image(media),
            None => Self::Missing(absent(blob).unwrap_or_else(|| "cannot be decoded".into())),
        }
    }
}

impl Player {
    fn of(kind: Kind, blob: &Blob, page: &Path) -> Self {
        let name =
            blob.name().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let problem = absent(blob);
        let bytes = blob.open().map_or(0, |opened| opened.len());
        let fits = |media: &Media| match media.kind() {
            MediaKind::Audio(_) => kind == Kind::Audio,
            MediaKind::Video(_) => kind == Kind::Video,
            _ => false,
        };
        let carried = small(blob, LARGEST).filter(fits);
        let link = blob.path().filter(|_| problem.is_none()).and_then(|file| link(page, file));
        Self { kind, name, bytes, carried, link, problem }
    }

    fn render(&self, record: &str, poster: Option<&Media>) -> Markup {
        let what = if self.kind == Kind::Video { "video" } else { "audio" };
        let label = format!("{what} of {record}: {}", line(&self.name, NAME));
        html! {
            @match (&self.carried, &self.problem) {
                (_, Some(problem)) => { p.broken { (line(&self.name, NAME)) ": " (line(problem, CHARACTERS)) } }
                (Some(media), None) => {
                    @match poster.and_then(Media::data_uri).zip(media.data_uri()) {
                        Some((still, uri)) => {
                            video controls="controls" preload="none" poster=(still) src=(uri) aria-label=(label) {}
                        }
                        None => { (show(media, &label)) }
                    }
                }
                (None, None) => {
                    p.none {
                        @match &self.link {
                            Some(way) => { a href=(way) aria-label={ (label) ", opens the file" } { (line(&self.name, NAME)) } }
                            None => { (line(&self.name, NAME)) }
                        }
                        " (" (what) ", " (size(self.bytes)) ")"
                    }
                }
            }
        }
    }
}

/// `3.4 MB`
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A tag that says in which language a text is to be read aloud.
fn tag(lang: Option<&String>) -> Option<&str> {
    let tag = |lang: &&str| {
        (2..36).contains(&lang.len()) && lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    lang.map(String::as_str).filter(tag)
}

impl Card {
    pub(super) fn render(&self) -> Markup {
        let id = line(&self.id, NAME);
        html! {
            article.card.record aria-label=(id) {
                @match &self.shown {
                    Ok(shown) => { (shown.render(&id)) }
                    Err(reason) => { div.about { p.broken { (line(reason, CHARACTERS)) } } }
                }
                p.id dir="auto" { (id) }
            }
        }
    }
}

impl Shown {
    fn render(&self, id: &str) -> Markup {
        let record = &self.record;
        let chips = [&record.split, &record.lang, &record.label];
        let alt = match record.text.first() {
            Some(text) => format!("{id}: {}", line(text, CHARACTERS)),
            None => id.to_owned(),
        };
        let still = match &self.look {
            Some(Look::Image(media)) => Some(media),
            _ => None,
        };
        let film = |player: &&Player| player.kind == Kind::Video;
        // A still of a video that is carried is what its player begins with.
        let begun = record.image.is_none() && self.players.iter().filter(film).any(|p| p.carried.is_some());
        let more = record.text.len().saturating_sub(CAPTIONS);
        let unheard = record.audio.len().saturating_sub(PLAYERS);
        html! {
            @if let Some(look) = self.look.as_ref().filter(|_| !begun) {
                div.frame {
                    @match look {
                        Look::Image(media) => { (show(media, &alt)) }
                        Look::Missing(reason) => { div.missing { (line(reason, CHARACTERS)) } }
                    }
                }
            }
            div.about {
                @for player in &self.players { (player.render(id, still.filter(|_| player.kind == Kind::Video))) }
                @if unheard > 0 { p.none { "and " (unheard) " more audio files" } }
                @if !record.span.is_whole() { p.none { "the part " (record.span.to_string()) } }
                @for text in record.text.iter().take(CAPTIONS) {
                    p.caption dir="auto" lang=[tag(record.lang.as_ref())] { (line(text, CHARACTERS)) }
                }
                @if more > 0 { p.none { "and " (more) " more captions" } }
                p.chips { @for chip in chips.into_iter().flatten() { span dir="auto" { (line(chip, 60)) } } }
            }
        }
    }
}
