//! A folder's records.

use crate::fields::{Fields, Role, by_ending};
use crate::manifest::line;
use crate::source::{self, Key, Source};
use crate::{Error, Record, Result};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use unisono_files::Budget;

/// What a folder's name means.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Class {
    /// Its records' label.
    pub label: String,
    /// Their captions.
    pub text: Vec<String>,
}

/// What a file is, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Audio,
    Video,
    Text,
    Json,
}

impl Kind {
    pub fn of(file: &str) -> Option<Self> {
        match by_ending(Path::new(file)) {
            Some(Role::Image) => Some(Self::Image),
            Some(Role::Audio) => Some(Self::Audio),
            Some(Role::Video) => Some(Self::Video),
            _ if file.ends_with(".txt") => Some(Self::Text),
            _ if file.ends_with(".json") => Some(Self::Json),
            _ => None,
        }
    }

    pub fn is_medium(self) -> bool {
        matches!(self, Self::Image | Self::Audio | Self::Video)
    }

    pub fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A record: which files it has, and what their folders say.
#[derive(Debug)]
pub(super) struct Item {
    /// Its first place in the order, and how many it has.
    pub first: u32,
    pub count: u32,
    /// From 1; 0: none.
    pub class: u32,
    pub split: u16,
    pub has: u8,
}

/// A folder of media. In memory are the names of its files.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(super) path: PathBuf,
    pub(super) files: Vec<Box<str>>,
    /// The files' numbers, those of one record together.
    pub(super) order: Vec<u32>,
    pub(super) items: Vec<Item>,
    pub(super) splits: Vec<String>,
    pub(super) classes: Vec<Class>,
    pub(super) fields: Fields,
}

impl Folder {
    fn split(&self, item: &Item) -> Option<&str> {
        usize::from(item.split).checked_sub(1).and_then(|i| self.splits.get(i)).map(String::as_str)
    }

    fn class(&self, item: &Item) -> Option<&Class> {
        (item.class as usize).checked_sub(1).and_then(|i| self.classes.get(i))
    }

    fn files(&self, item: &Item) -> impl Iterator<Item = (&str, Kind)> {
        let (from, count) = (item.first as usize, item.count as usize);
        let numbers = self.order.iter().skip(from).take(count);
        let files = numbers.filter_map(|n| self.files.get(*n as usize));
        files.filter_map(|file| Kind::of(file).map(|kind| (&**file, kind)))
    }

    pub(super) fn read(&self, index: usize) -> Result<Record> {
        let item = self.items.get(index).ok_or_else(|| source::missing(&self.path, index))?;
        let split = self.split(item).map(str::to_owned);
        let class = self.class(item).cloned().unwrap_or_default();
        let label = Some(class.label).filter(|label| !label.is_empty());
        let mut record = Record { split, label, text: class.text, ..Record::default() };
        for (file, kind) in self.files(item) {
            let path = self.path.join(file);
            if kind.is_medium() && record.id.is_empty() {
                record.id = file.to_owned();
            }
            match kind {
                Kind::Image => record.image = Some(path.into()),
                Kind::Audio => record.audio.push(path.into()),
                Kind::Video => record.video = Some(path.into()),
                Kind::Text => self.captions(&path, &mut record)?,
                Kind::Json => self.values(&path, &mut record)?,
            }
        }
        Ok(record)
    }

    /// Captions, one a line, before those that other files have.
    fn captions(&self, path: &Path, record: &mut Record) -> Result<()> {
        let text = unisono_files::read_text(path, &Budget::LINE)?;
        let lines: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if lines.is_empty() {
            return Err(Error::archive(path, "expected captions, one a line, found none"));
        }
        let others = std::mem::replace(&mut record.text, lines);
        add(record, others);
        Ok(())
    }

    /// Keys and values: captions, label and group; the others are kept as they are, since what a file is and which split it is of is told by
    /// the folder.
    fn values(&self, path: &Path, record: &mut Record) -> Result<()> {
        let text = unisono_files::read_text(path, &Budget::LINE)?;
        let map = line::object(text.trim(), path).map_err(|message| Error::archive(path, message))?;
        let names: Vec<&str> = map.keys().map(String::as_str).collect();
        let roles = self.fields.roles(&names).into_iter().map(|role| match role {
            Role::Text | Role::Label | Role::Group => role,
            _ => Role::Extra,
        });
        let values = roles.zip(map).map(|(role, (name, value))| (role, name, value));
        let found = self.fields.record(values).map_err(|message| Error::archive(path, message))?;
        record.label = found.label.or(record.label.take());
        record.group = found.group;
        record.extra = found.extra;
        add(record, found.text);
        Ok(())
    }
}

/// More captions; the same one is kept once, as programs write it into two files.
fn add(record: &mut Record, texts: Vec<String>) {
    for text in texts {
        if !record.text.contains(&text) {
            record.text.push(text);
        }
    }
}

impl Source for Folder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        self.read(index).map(Cow::Owned)
    }

    /// The first of its media, by its name alone.
    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        let item = self.items.get(index).ok_or_else(|| source::missing(&self.path, index))?;
        let file = self.files(item).find(|(_, kind)| kind.is_medium());
        Ok(Cow::Borrowed(file.map_or("", |(file, _)| file)))
    }

    fn key(&self, index: usize) -> Key<'_> {
        let Some(item) = self.items.get(index) else { return Key::default() };
        let has = |kind: Kind| item.has & kind.bit() != 0;
        Key {
            split: self.split(item),
            lang: None,
            text: has(Kind::Text),
            image: has(Kind::Image),
            audio: has(Kind::Audio),
            video: has(Kind::Video),
        }
    }

    /// SHA-256 over the files' names in the folder, the lengths of those with captions, and the names of classes: media are not read.
    fn sum(&self) -> Result<String> {
        let mut sum = Sha256::new();
        for item in &self.items {
            for (file, kind) in self.files(item) {
                sum.update([0]);
                sum.update(file);
                if !kind.is_medium() {
                    let path = self.path.join(file);
                    let meta = std::fs::metadata(&path).map_err(Error::io(&path, "read"))?;
                    sum.update(meta.len().to_le_bytes());
                }
            }
            for text in self.class(item).into_iter().flat_map(|c| std::iter::once(&c.label).chain(&c.text)) {
                sum.update([1]);
                sum.update(text);
            }
            sum.update([2]);
        }
        Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}
