//! A line of what is known of a record.

use crate::lines::Form;
use crate::manifest::line;
use crate::{Record, plain};
use serde_json::Value;
use std::path::{Path, PathBuf};
use unisono_media::video::Span;

/// Captions that are added to those that the record has.
const ADD: &str = "add_text";

/// Lines of JSON, or of ids.
#[derive(Debug)]
pub(super) struct Said {
    path: PathBuf,
    folder: PathBuf,
    ids: bool,
}

impl Said {
    /// Annotations: fields of records.
    pub(super) fn annotations(path: &Path) -> Self {
        Self { path: path.into(), folder: path.parent().unwrap_or(Path::new("")).into(), ids: false }
    }

    /// Ids alone, each in an object or by itself.
    pub(super) fn ids(path: &Path) -> Self {
        Self { ids: true, ..Self::annotations(path) }
    }

    fn id(&self, text: &str) -> Result<Record, String> {
        if !text.starts_with('{') {
            return Ok(Record { id: text.to_owned(), ..Record::default() });
        }
        match line::object(text, &self.path)?.shift_remove("id") {
            Some(Value::String(id)) if !id.is_empty() => Ok(Record { id, ..Record::default() }),
            Some(other) => Err(format!("\"id\" must be a string that is not empty, found {other}")),
            None => Err("the line has no \"id\"".into()),
        }
    }

    fn fields(&self, text: &str) -> Result<Record, String> {
        let mut record = line::fields(text, &self.path, &self.folder)?;
        let mut added = line::strings(&mut record.extra, ADD)?;
        added.retain(|text| !text.trim().is_empty());
        if record.text.is_empty() && !added.is_empty() {
            record.extra.insert(ADD.into(), Value::Bool(true));
        }
        record.text.extend(added);
        Ok(record)
    }
}

impl Form for Said {
    fn identity(&self) -> String {
        if self.ids { "ids 1".into() } else { "annotations 1".into() }
    }

    fn end(&self, bytes: &[u8], last: bool) -> Result<Option<usize>, String> {
        let end = bytes.iter().position(|b| *b == b'\n').map(|at| at + 1);
        Ok(end.or(last.then_some(bytes.len())))
    }

    fn record(&self, bytes: &[u8], _: u64) -> Result<Option<Record>, String> {
        match plain::utf8(bytes)?.trim() {
            "" => Ok(None),
            text if self.ids => self.id(text).map(Some),
            text => self.fields(text).map(Some),
        }
    }

    fn strict(&self) -> bool {
        true
    }

    fn advice(&self) -> &'static str {
        "of one record one line is expected"
    }
}

/// Puts what is said of a record in place of what it has.
///
/// # Errors
/// The part of a video that is said to be meant is none.
pub(super) fn apply(record: &mut Record, said: Record) -> Result<(), String> {
    let Record { id: _, text, image, audio, video, label, group, split, lang, span, mut extra } = said;
    if extra.shift_remove(ADD).is_some() {
        for text in text {
            if !record.text.contains(&text) {
                record.text.push(text);
            }
        }
    } else if !text.is_empty() {
        record.text = text;
    }
    if let Some(video) = video {
        (record.video, record.span) = (Some(video), span);
    } else if record.video.is_some() && ["start", "end"].iter().any(|key| extra.contains_key(*key)) {
        let (start, end) = (line::moment(&mut extra, "start")?, line::moment(&mut extra, "end")?);
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            return Err(format!("\"end\" must come after \"start\" {start}, found {end}"));
        }
        record.span = Span { start, end };
    }
    if !audio.is_empty() {
        record.audio = audio;
    }
    let outweigh = |old: &mut Option<String>, new: Option<String>| *old = new.or(old.take());
    record.image = image.or(record.image.take());
    outweigh(&mut record.label, label);
    outweigh(&mut record.group, group);
    outweigh(&mut record.split, split);
    outweigh(&mut record.lang, lang);
    record.extra.extend(extra);
    Ok(())
}
