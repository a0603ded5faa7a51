//! What a worker sees of one record. A file that several records name is looked into once.

use super::open::{Content, Opened, open, open_part, sum_of_texts};
use super::options::Opening;
use crate::named::{Kind, files, identity, number};
use crate::{Result, Skip};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use unisono_datasets::{Record, Source};
use unisono_media::Blob;
use unisono_media::video::{Ffmpeg, Span};

/// Files that are remembered: 16 million, some 300 MB. One that is named again after so many others is looked into again.
const MOST: usize = 1 << 24;

/// What all workers share.
pub(super) struct Workers<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) opening: &'a Opening,
    pub(super) ffmpeg: Option<Ffmpeg>,
    pub(super) known: Mutex<HashSet<u64>>,
}

/// A record, or why it cannot be read, and what is seen of what it names.
pub(super) struct Seen {
    pub(super) record: Result<Record, Skip>,
    pub(super) things: Vec<Thing>,
}

/// A file that a record names; or all its texts, where it names none.
pub(super) struct Thing {
    /// `None`: texts.
    pub(super) kind: Option<Kind>,
    pub(super) identity: u64,
    pub(super) name: String,
    /// `None`: another record's worker looks into it, or did.
    pub(super) opened: Option<Opened>,
    /// What is wrong with the part of it that is meant.
    pub(super) part: Option<String>,
}

impl<'a> Workers<'a> {
    /// Finds the program, where files are met that it decodes: any video, or an audio file where the user named it.
    ///
    /// # Errors
    /// It is not there.
    pub(super) fn new(source: &'a dyn Source, opening: &'a Opening) -> Result<Self> {
        let named = opening.ffmpeg.as_deref();
        let wanted = |index: usize| {
            let key = source.key(index);
            key.video || named.is_some() && key.audio
        };
        let ffmpeg = if (0..source.len()).any(wanted) { Some(Ffmpeg::find(named)?) } else { None };
        Ok(Self { source, opening, ffmpeg, known: Mutex::default() })
    }

    /// Looks into a record's files.
    pub(super) fn see(&self, index: usize) -> Seen {
        let record = match self.source.record(index) {
            Ok(record) => record.into_owned(),
            Err(e) => {
                let skip = Skip { id: format!("record {index}"), reason: e.to_string() };
                return Seen { record: Err(skip), things: Vec::new() };
            }
        };
        let mut things: Vec<Thing> = files(&record)
            .map(|(kind, blob, span)| {
                let identity = identity(kind, blob);
                // Of several runs: a copy on the disk, where one is needed, is written once.
                let _lent = (kind == Kind::Video).then(|| blob.lend());
                let new = self.is_new(identity);
                let opened = new.then(|| open(kind, blob, self.opening, self.ffmpeg.as_ref()));
                let broken = opened.as_ref().is_some_and(|opened| !opened.problems.is_empty());
                let part = if broken { None } else { self.part(kind, blob, span, identity) };
                Thing { kind: Some(kind), identity, name: blob.name().display().to_string(), opened, part }
            })
            .collect();
        if things.is_empty() {
            let content: Content = sum_of_texts(&record.text);
            let opened = Opened { content: Some(content), ..Opened::default() };
            let (identity, name) = (number((index, "texts")), record.text.join(" | "));
            things.push(Thing { kind: None, identity, name, opened: Some(opened), part: None });
        }
        Seen { record: Ok(record), things }
    }

    /// What is wrong with a part of a video, if it is met for the first time.
    fn part(&self, kind: Kind, blob: &Blob, span: Span, identity: u64) -> Option<String> {
        let ffmpeg = self.ffmpeg.as_ref().filter(|_| kind == Kind::Video && !span.is_whole())?;
        let new = self.is_new(number((identity, span.to_string())));
        new.then(|| open_part(blob, span, self.opening, ffmpeg)).flatten()
    }

    fn is_new(&self, number: u64) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST { known.insert(number) } else { !known.contains(&number) }
    }
}
