//! A row as a record.

use super::codes::word;
use super::fields::{Fields, Media};
use crate::columnar::{Kind, Leaf, Nulls, Slot, Table, Value, Where};
use crate::manifest::line::object;
use crate::plain::quoted;
use crate::{Error, Record, Result};
use serde_json::{Map, Value as Json};
use std::path::Path;
use std::sync::Arc;
use unisono_media::video::{Span, Time};
use unisono_media::{Blob, address};

/// A row of a table that becomes a record.
pub(super) struct Row<'a> {
    pub(super) table: &'a Arc<Table>,
    pub(super) fields: &'a Fields,
    pub(super) row: u64,
}

impl Row<'_> {
    fn path(&self) -> &Path {
        self.table.store().path()
    }

    fn bad(&self, message: String) -> Error {
        Error::archive(self.path(), format!("row {}: {message}", self.row))
    }

    fn leaf(&self, leaf: usize) -> &Leaf {
        &self.table.store().leaves()[leaf]
    }

    /// The record, but for its id, split and language.
    ///
    /// # Errors
    /// What it needs cannot be read; a value is not what its column should hold; there is nothing in it.
    pub(super) fn record(&self, id: String) -> Result<Record> {
        let fields = self.fields;
        let mut record = Record { id, ..Record::default() };
        for leaf in &fields.text {
            let found = self.table.find(*leaf, self.row)?;
            for value in found.slots().filter_map(|slot| slot.value) {
                let text = self.text(*leaf, value)?;
                if !text.trim().is_empty() {
                    record.text.push(text);
                }
            }
        }
        for media in &fields.image {
            if record.image.is_none() {
                record.image = self.media(media)?.into_iter().next();
            }
        }
        for media in &fields.audio {
            record.audio.extend(self.media(media)?);
        }
        for media in &fields.video {
            if record.video.is_none() {
                record.video = self.media(media)?.into_iter().next();
            }
        }
        if record.video.is_some() {
            record.span = Span { start: self.time(fields.start)?, end: self.time(fields.end)? };
            if let Span { start: Some(start), end: Some(end) } = record.span
                && start >= end
            {
                return Err(self.bad(format!("its end must come after its start {start}, found {end}")));
            }
        }
        record.label = self.label()?;
        record.group = self.word(fields.group)?;
        for leaf in &fields.extra {
            let of = self.leaf(*leaf);
            if let Some(value) = self.json(*leaf, of)? {
                record.extra.insert(of.name.clone(), value);
            }
        }
        self.own(&mut record.extra)?;
        if !record.has_modality() {
            return Err(self.bad("has neither a text nor an image, audio or a video".into()));
        }
        Ok(record)
    }

    /// What only tables of our own have: the other keys of a record as they were, and where the files lie that are no field.
    fn own(&self, extra: &mut Map<String, Json>) -> Result<()> {
        let Some(own) = self.fields.own else { return Ok(()) };
        if let Some(leaf) = own.extra
            && let Some(value) = self.table.find(leaf, self.row)?.slots().next().and_then(|slot| slot.value)
        {
            let said = object(&self.text(leaf, value)?, self.path());
            extra.extend(
                said.map_err(|e| self.bad(format!("the column {}: {e}", quoted(&self.leaf(leaf).name))))?,
            );
        }
        let Some((names, bytes)) = own.members else { return Ok(()) };
        let (found, exists) = (self.table.find(names, self.row)?, self.leaf(names).exists);
        for (nth, slot) in found.slots().filter(|slot| slot.level >= exists).enumerate() {
            let Some(value) = slot.value else { continue };
            let (name, column) = (self.text(names, value)?, format!("{}[{nth}]", self.leaf(bytes).name));
            let blob = Blob::row(self.table.clone(), self.row, &column, &format!("{}/{name}", self.row));
            let place = serde_json::to_value(&blob).map_err(|e| self.bad(e.to_string()))?;
            extra.insert(name, place);
        }
        Ok(())
    }

    fn text(&self, leaf: usize, value: Value) -> Result<String> {
        let name = || quoted(&self.leaf(leaf).name);
        match value {
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err(self.bad(format!("the column {} is not UTF-8 text", name()))),
            },
            _ => Err(self.bad(format!("the column {} holds no text", name()))),
        }
    }

    /// The only value of a column as a word.
    pub(super) fn word(&self, leaf: Option<usize>) -> Result<Option<String>> {
        let Some(leaf) = leaf else { return Ok(None) };
        let found = self.table.find(leaf, self.row)?;
        let value = found.slots().next().and_then(|slot| slot.value);
        Ok(match value {
            Some(Value::Int(n)) if self.leaf(leaf).kind == Kind::Natural => Some((n as u64).to_string()),
            value => value.and_then(word),
        }
        .filter(|word| !word.is_empty()))
    }

    fn label(&self) -> Result<Option<String>> {
        let Some((leaf, names)) = &self.fields.label else { return Ok(None) };
        let found = self.table.find(*leaf, self.row)?;
        let value = found.slots().next().and_then(|slot| slot.value);
        match (names, value) {
            // -1: the label is not told, as in test splits.
            (Some(_), Some(Value::Int(-1))) => Ok(None),
            (Some(names), Some(Value::Int(n))) => {
                let name = usize::try_from(n).ok().and_then(|n| names.get(n));
                let missing = || self.bad(format!("the label {n} has no name, of {}", names.len()));
                Ok(Some(name.ok_or_else(missing)?.clone()))
            }
            _ => self.word(Some(*leaf)),
        }
    }

    fn time(&self, leaf: Option<usize>) -> Result<Option<Time>> {
        let text = self.word(leaf)?;
        text.map(|text| text.parse().map_err(|message: String| self.bad(message))).transpose()
    }

    /// A column as JSON: a value, or a list of them.
    fn json(&self, leaf: usize, of: &Leaf) -> Result<Option<Json>> {
        let found = self.table.find(leaf, self.row)?;
        let json = |slot: Slot| match slot.value {
            None => Json::Null,
            Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned().into(),
            Some(Value::Int(n)) if of.kind == Kind::Natural => (n as u64).into(),
            Some(Value::Int(n)) => n.into(),
            Some(Value::Float(n)) => n.into(),
            Some(Value::Bool(b)) => b.into(),
        };
        if of.listed {
            let items: Vec<Json> = found.slots().filter(|slot| slot.level >= of.exists).map(json).collect();
            return Ok((!items.is_empty()).then(|| items.into()));
        }
        Ok(found.slots().next().map(json).filter(|value| !value.is_null()))
    }

    /// The media of a column, each where it lies. Nothing is read of them but where only that tells whether there is something.
    fn media(&self, media: &Media) -> Result<Vec<Blob>> {
        let paths = media.path.map(|leaf| self.table.find(leaf, self.row)).transpose()?;
        let store = self.table.store();
        let Some(leaf) = media.bytes else {
            let paths = paths.iter().flat_map(|found| found.slots()).filter_map(|slot| slot.value);
            return paths.map(|path| self.external(media, path)).collect();
        };
        let of = self.leaf(leaf);
        let (group, at) = self.table.group(self.row)?;
        if !of.listed {
            let path = || paths.iter().flat_map(|found| found.slots()).find_map(|slot| slot.value);
            match store.part(leaf, group, at)? {
                Where::At(offset, length) => {
                    return Ok(vec![Blob::part(self.path(), offset, length, &self.name(media, path()))]);
                }
                Where::Nowhere => return path().map(|path| self.external(media, path)).into_iter().collect(),
                Where::Unknown => {}
            }
        }
        // Whether there are bytes in each place: known for the whole group, or to be looked for.
        let there: Vec<Option<bool>> = match (store.nulls(leaf, group), &paths) {
            // What has a name has bytes.
            (_, Some(paths)) if self.fields.own.is_some() => {
                let exists = media.path.map_or(of.exists, |leaf| self.leaf(leaf).exists);
                let elements = paths.slots().filter(|slot| slot.level >= exists);
                elements.map(|slot| slot.value.is_some().then_some(true)).collect()
            }
            (Nulls::None, _) if !of.listed => vec![Some(true)],
            (Nulls::All, None) => return Ok(Vec::new()),
            (nulls @ (Nulls::All | Nulls::None), Some(paths)) => {
                let of_path = media.path.map_or(of, |leaf| self.leaf(leaf));
                let elements = paths.slots().filter(|slot| slot.level >= of_path.exists);
                elements.map(|slot| (slot.level >= of_path.parent).then_some(nulls == Nulls::None)).collect()
            }
            _ => {
                let found = self.table.find(leaf, self.row)?;
                let elements = found.slots().filter(|slot| slot.level >= of.exists);
                elements.map(|slot| (slot.level >= of.parent).then_some(slot.value.is_some())).collect()
            }
        };
        let mut names: Vec<Option<Value>> = Vec::new();
        if let (Some(paths), Some(leaf)) = (&paths, media.path) {
            let exists = self.leaf(leaf).exists;
            names.extend(paths.slots().filter(|slot| slot.level >= exists).map(|slot| slot.value));
        }
        let mut blobs = Vec::new();
        for (nth, there) in there.into_iter().enumerate() {
            let name = names.get(nth).copied().flatten();
            match (there, name) {
                (Some(true), path) => {
                    let column = if of.listed { format!("{}[{nth}]", of.name) } else { of.name.clone() };
                    blobs.push(Blob::row(self.table.clone(), self.row, &column, &self.name(media, path)));
                }
                (Some(false), Some(path)) => blobs.push(self.external(media, path)?),
                _ => {}
            }
        }
        Ok(blobs)
    }

    /// What messages call bytes in the table: the row, and what their path ends in.
    fn name(&self, media: &Media, path: Option<Value>) -> String {
        // Only the last part of it: it may be a stranger's, and lead anywhere.
        let base = match path {
            Some(Value::Bytes(path)) => {
                std::str::from_utf8(path).ok().and_then(|p| p.rsplit(['/', '\\']).next())
            }
            _ => None,
        };
        let base = base.filter(|base| !base.is_empty() && !base.contains('\0')).unwrap_or(&media.name);
        format!("{}/{base}", self.row)
    }

    /// A file beside the table.
    fn external(&self, media: &Media, path: Value) -> Result<Blob> {
        let text = match path {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        let named = || quoted(&media.name);
        let text = text.filter(|text| !text.is_empty() && !text.contains('\0'));
        let text = text.ok_or_else(|| self.bad(format!("the column {} holds no path", named())))?;
        if let Some(advice) = address::advice(text) {
            return Err(self.bad(format!("the column {}: {} is {advice}", named(), quoted(text))));
        }
        Ok(self.path().parent().unwrap_or(Path::new("")).join(text).into())
    }
}
