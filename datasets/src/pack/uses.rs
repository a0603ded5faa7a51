//! What the records of a source have at all: a table needs its columns before its first row.

use super::progress::PackProgress;
use super::sample::is_place;
use crate::{Part, Record};
use rayon::prelude::*;
use std::ops::ControlFlow;

/// Records that are looked at together, on all cores.
const BLOCK: usize = 1 << 13;

/// What any record has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) text: bool,
    pub(super) image: bool,
    pub(super) audio: bool,
    /// One record has several audio files.
    pub(super) several: bool,
    pub(super) video: bool,
    pub(super) start: bool,
    pub(super) end: bool,
    pub(super) label: bool,
    pub(super) group: bool,
    pub(super) split: bool,
    pub(super) lang: bool,
    pub(super) extra: bool,
    /// Files that are no field.
    pub(super) members: bool,
    /// Bits: which modalities records have that have not all of these.
    missing: u8,
}

impl Uses {
    /// Some records have a modality that others have not.
    pub(super) fn differ(&self) -> bool {
        let any = bits([self.text, self.image, self.audio, self.video]);
        self.missing & any != 0
    }

    fn of_record(record: &Record) -> Self {
        let key = record.part_key();
        let members = record.extra.values().filter(|value| is_place(value)).count();
        Self {
            text: key.text,
            image: key.image,
            audio: key.audio,
            several: record.audio.len() > 1,
            video: key.video,
            start: record.span.start.is_some(),
            end: record.span.end.is_some(),
            label: record.label.is_some(),
            group: record.group.is_some(),
            split: record.split.is_some(),
            lang: record.lang.is_some(),
            // A place that turns out to be none stays among the others.
            extra: !record.extra.is_empty(),
            members: members > 0,
            missing: bits([!key.text, !key.image, !key.audio, !key.video]),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            text: self.text | other.text,
            image: self.image | other.image,
            audio: self.audio | other.audio,
            several: self.several | other.several,
            video: self.video | other.video,
            start: self.start | other.start,
            end: self.end | other.end,
            label: self.label | other.label,
            group: self.group | other.group,
            split: self.split | other.split,
            lang: self.lang | other.lang,
            extra: self.extra | other.extra,
            members: self.members | other.members,
            missing: self.missing | other.missing,
        }
    }
}

fn bits(of: [bool; 4]) -> u8 {
    of.into_iter().enumerate().map(|(bit, is)| u8::from(is) << bit).sum()
}

/// Looks at all records, not at their media; such as cannot be read say nothing. `None`: `progress` stopped it.
pub(super) fn of(source: &Part, progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>) -> Option<Uses> {
    let (mut uses, len) = (Uses::default(), source.len());
    for first in (0..len).step_by(BLOCK) {
        if progress(PackProgress { records: 0, total: len as u64 }).is_break() {
            return None;
        }
        let records = (first..(first + BLOCK).min(len)).into_par_iter();
        let of = |i| source.record(i).map_or_else(|_| Uses::default(), |record| Uses::of_record(&record));
        uses = uses.and(records.map(of).reduce(Uses::default, Uses::and));
    }
    Some(uses)
}
