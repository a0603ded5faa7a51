//! From files, folders, texts and a source of records to a list of items.

use crate::{Error, Item, Items, Result, Skip, kind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use unisono_datasets::{Key, Part, Record, SourceConfig};
use unisono_encoders::Modality;
use unisono_media::Blob;
use unisono_media::video::Span;
use walkdir::{DirEntry, WalkDir};

/// What to embed, as a user says it. The items come in this order: the source's, those of `paths`, `texts`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// Videos are items of images' or audio files' modality: their frames where images are wanted, or else their audio. Without this they
    /// are items of their own where [`Modality::Video`] is wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub videos: bool,
    /// A source of records.
    #[serde(alias = "manifest", skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceConfig>,
    /// Only its records of this split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Files, and folders with all that lies below them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Texts by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// Only these modalities; empty: all that the model has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<Modality>,
    /// Items keep the further keys of their records, to be filtered by.
    #[serde(skip)]
    pub meta: bool,
}

/// Everything found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// In order.
    pub items: Items,
    /// What cannot be used and was asked for.
    pub skipped: Vec<Skip>,
    /// What nobody asked for.
    pub left_out: LeftOut,
}

/// Files in folders that are no media, or of a modality that is not wanted, and what a source passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// How many.
    #[serde(rename = "left_out")]
    pub count: usize,
    /// The same by the endings of their names: `.psd`, 7.
    #[serde(rename = "left_out_kinds")]
    pub kinds: BTreeMap<String, usize>,
    /// What should be known of the source, a line each ([`unisono_datasets::Source::notes`]).
    #[serde(rename = "source_notes", skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LeftOut {
    fn add(&mut self, path: &Path, regular: bool) {
        self.count += 1;
        // What stands behind a dot is not always an ending.
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
        let ending = ending.filter(|e| e.len() <= 10 && e.chars().all(char::is_alphanumeric));
        let kind = match ending {
            _ if !regular => "pipe or device".to_owned(),
            Some(ending) => format!(".{ending}"),
            None => "without an ending".to_owned(),
        };
        *self.kinds.entry(kind).or_insert(0) += 1;
    }

    /// In a line: `12 other files: 7 .psd, 5 .txt`. None: nothing.
    pub fn line(&self) -> Option<String> {
        const SHOWN: usize = 6;
        let mut kinds: Vec<(&String, &usize)> = self.kinds.iter().collect();
        // The most frequent first, and those as frequent by name.
        kinds.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut parts: Vec<String> =
            kinds.iter().take(SHOWN).map(|(kind, n)| format!("{n} {kind}")).collect();
        if kinds.len() > SHOWN {
            parts.push(format!("{} of other kinds", kinds[SHOWN..].iter().map(|(_, n)| *n).sum::<usize>()));
        }
        let files = if self.count == 1 { "file" } else { "files" };
        (self.count > 0).then(|| format!("{} other {files}: {}", self.count, parts.join(", ")))
    }
}

impl Inputs {
    /// Files, and folders with all that lies below them.
    pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Lists the items for a model that has the modalities `has`.
    ///
    /// Folders are walked to their ends in the order of names. Hidden files are passed over, links followed, every
    /// folder entered once, so that links cannot lead in circles.
    ///
    /// # Errors
    /// A file or folder that is not there, a broken source, an empty split, a modality that the model lacks, or no item at all.
    pub fn list(&self, has: &[Modality]) -> Result<Listing> {
        if let Some(missing) = self.modalities.iter().find(|m| !has.contains(m)) {
            return Err(Error::Input(format!("this model has no {missing} tower; it has: {}", names(has))));
        }
        let wanted: &[Modality] = if self.modalities.is_empty() { has } else { &self.modalities };
        let mut listing = Listing::default();
        if let Some(config) = &self.source {
            self.list_source(config, wanted, &mut listing)?;
        }
        for path in &self.paths {
            list_path(path, wanted, self.videos, &mut listing)?;
        }
        if !self.texts.is_empty() && !wanted.contains(&Modality::Text) {
            return Err(Error::Input(format!("texts were given, but only {} is embedded", names(wanted))));
        }
        listing.items.extend(self.texts.iter().enumerate().map(|(i, t)| Item::text(format!("text:{i}"), t)));
        if listing.items.is_empty() && listing.skipped.is_empty() {
            let others = listing.left_out.line().map(|others| format!(" ({others})")).unwrap_or_default();
            return Err(Error::Input(format!(
                "nothing to embed: the inputs hold no {}{others}",
                names(wanted)
            )));
        }
        Ok(listing)
    }

    fn list_source(&self, config: &SourceConfig, wanted: &[Modality], listing: &mut Listing) -> Result<()> {
        let source = unisono_datasets::open(config)?;
        listing.left_out.notes = source.notes();
        let of_split = |key: &Key| self.split.is_none() || key.split == self.split.as_deref();
        let records = Part::of(source.clone(), of_split)?;
        if records.is_empty() {
            let splits: Vec<String> =
                source.splits().into_iter().map(|(name, n)| format!("{name} ({n})")).collect();
            let split = self.split.as_deref().unwrap_or_default();
            return Err(Error::format(
                source.path(),
                format!("no record of split {split:?}; it has: {}", splits.join(", ")),
            ));
        }
        for (number, record) in records.records().enumerate() {
            match record {
                Ok(record) => {
                    let meta = if self.meta { meta(&record) } else { Map::new() };
                    list_with(&record, &meta, wanted, self.videos, listing)
                }
                Err(e) => {
                    listing.skipped.push(Skip { id: format!("record {number}"), reason: e.to_string() })
                }
            }
        }
        Ok(())
    }

    /// The same inputs with every path absolute: what an index remembers.
    ///
    /// # Errors
    /// The current folder is gone.
    pub fn absolute(&self) -> Result<Self> {
        let absolute = |path: &PathBuf| std::path::absolute(path).map_err(Error::io(path, "resolve"));
        let from_anywhere = |source: &SourceConfig| -> Result<SourceConfig> {
            let paths = source.paths.iter().map(absolute).collect::<Result<_>>()?;
            let media = source.media.as_ref().map(absolute).transpose()?;
            let annotations = source.annotations.iter().map(absolute).collect::<Result<_>>()?;
            let only = source.only.as_ref().map(absolute).transpose()?;
            Ok(SourceConfig { paths, media, annotations, only, ..source.clone() })
        };
        Ok(Self {
            source: self.source.as_ref().map(from_anywhere).transpose()?,
            paths: self.paths.iter().map(absolute).collect::<Result<_>>()?,
            ..self.clone()
        })
    }
}

fn names(modalities: &[Modality]) -> String {
    modalities.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
}

/// What a video is taken as, if at all.
fn as_video(wanted: &[Modality], videos: bool) -> Option<Modality> {
    let kinds: &[Modality] = if videos { &[Modality::Image, Modality::Audio] } else { &[Modality::Video] };
    kinds.iter().copied().find(|m| wanted.contains(m))
}

/// One record's items: its image, its video, its audio files, its texts.
pub(crate) fn list_record(record: &Record, wanted: &[Modality], videos: bool, listing: &mut Listing) {
    list_with(record, &Map::new(), wanted, videos, listing);
}

/// Bytes of a value that is kept to be filtered by.
const MOST_META: usize = 1 << 10;

/// A record's further keys that an item can be filtered by: numbers, words, and short lists of them.
fn meta(record: &Record) -> Map<String, Value> {
    let mut meta = record.extra.clone();
    for (key, value) in [("split", &record.split), ("group", &record.group)] {
        meta.extend(value.iter().map(|value| (key.to_owned(), Value::from(value.as_str()))));
    }
    let short = |value: &Value| serde_json::to_vec(value).is_ok_and(|bytes| bytes.len() <= MOST_META);
    let plain = |value: &Value| !value.is_null() && !value.is_object() && !value.is_array();
    meta.retain(|_, value| match value {
        Value::Array(all) => all.iter().all(plain) && short(value),
        other => plain(other) && short(other),
    });
    meta
}

fn list_with(
    record: &Record,
    meta: &Map<String, Value>,
    wanted: &[Modality],
    videos: bool,
    listing: &mut Listing,
) {
    let mut push = |modality, part, from: Option<&Blob>, text: Option<&String>, span: Option<Span>| {
        if !wanted.contains(&modality) {
            return;
        }
        let blob = match from.map(absolute).transpose() {
            Ok(blob) => blob,
            Err(reason) => return listing.skipped.push(Skip { id: record.id.clone(), reason }),
        };
        let (label, lang) = (record.label.clone(), record.lang.clone());
        listing.items.push(&Item {
            id: record.id.clone(),
            modality,
            blob,
            text: text.cloned(),
            label,
            video: span.is_some() && modality != Modality::Video,
            span: span.unwrap_or_default(),
            lang,
            part,
            meta: meta.clone(),
        });
    };
    if let Some(image) = &record.image {
        push(Modality::Image, 0, Some(image), record.text.first(), None);
    }
    if let (Some(file), Some(modality)) = (&record.video, as_video(wanted, videos)) {
        push(modality, 0, Some(file), record.text.first(), Some(record.span));
    }
    for (part, audio) in record.audio.iter().enumerate() {
        push(Modality::Audio, part, Some(audio), record.text.first(), None);
    }
    for (part, text) in record.text.iter().enumerate() {
        push(Modality::Text, part, None, Some(text), None);
    }
}

fn list_path(path: &Path, wanted: &[Modality], videos: bool, listing: &mut Listing) -> Result<()> {
    unisono_media::address::refuse(path)?;
    let meta = std::fs::metadata(path).map_err(Error::io(path, "read"))?;
    if meta.is_dir() {
        walk(path, wanted, videos, listing);
        return Ok(());
    }
    let skip = |reason: String| Skip { id: path.display().to_string(), reason };
    if !meta.is_file() {
        listing.skipped.push(skip("neither a file nor a folder".into()));
        return Ok(());
    }
    if let Some(modality) = as_video(wanted, videos)
        && kind::is_video(path)?
    {
        match absolute_utf8(path) {
            Ok(file) => listing.items.push(&Item::video(file, modality)),
            Err(reason) => listing.skipped.push(skip(reason)),
        }
        return Ok(());
    }
    match (kind::by_content(path)?, absolute_utf8(path)) {
        (_, Err(reason)) => listing.skipped.push(skip(reason)),
        (Some(modality), Ok(file)) if wanted.contains(&modality) => {
            listing.items.push(&Item::file(file, modality))
        }
        (Some(modality), Ok(_)) => {
            let reason = format!("its modality is {modality}; embedded are: {}", names(wanted));
            listing.skipped.push(skip(reason));
        }
        (None, Ok(_)) => {
            let what = if kind::is_video(path)? {
                "a video, which this model does not take"
            } else {
                "neither an image nor an audio file that Unisono reads"
            };
            listing.skipped.push(skip(what.into()))
        }
    }
    Ok(())
}

/// What a file in a folder is taken as, and whether it is a video.
fn ending(path: &Path, wanted: &[Modality], videos: bool) -> Option<(Modality, bool)> {
    let shown = as_video(wanted, videos);
    if kind::video_by_ending(path) {
        // An audio track is heard either way.
        let heard = shown != Some(Modality::Audio) && wanted.contains(&Modality::Audio);
        return match heard && kind::only_audio(path) {
            true => Some((Modality::Audio, false)),
            false => shown.map(|modality| (modality, true)),
        };
    }
    if let Some(modality) = shown.filter(|m| *m != Modality::Audio)
        && kind::hidden_video(path)
    {
        return Some((modality, true));
    }
    kind::by_ending(path).filter(|m| wanted.contains(m)).map(|modality| (modality, false))
}

fn walk(folder: &Path, wanted: &[Modality], videos: bool, listing: &mut Listing) {
    let mut entered = HashSet::new();
    let enter = move |entry: &DirEntry| {
        if entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.') {
            return false;
        }
        // A folder reached by two ways is walked once: links that cross could otherwise multiply without end.
        !entry.file_type().is_dir()
            || std::fs::canonicalize(entry.path()).is_ok_and(|real| entered.insert(real))
    };
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(enter) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => (),
            Ok(entry) if !entry.file_type().is_file() => listing.left_out.add(entry.path(), false),
            Ok(entry) => match ending(entry.path(), wanted, videos) {
                None => listing.left_out.add(entry.path(), true),
                Some((modality, video)) => match absolute_utf8(entry.path()) {
                    Ok(path) if video => listing.items.push(&Item::video(path, modality)),
                    Ok(path) => listing.items.push(&Item::file(path, modality)),
                    Err(reason) => {
                        listing.skipped.push(Skip { id: entry.path().display().to_string(), reason });
                    }
                },
            },
            // A link to a folder above: all that lies there is walked already.
            Err(e) if e.loop_ancestor().is_some() => (),
            Err(e) => {
                let id = e.path().unwrap_or(folder).display().to_string();
                let reason = e.io_error().map_or_else(|| e.to_string(), ToString::to_string);
                listing.skipped.push(Skip { id, reason });
            }
        }
    }
}

/// A record's file by its absolute path. A part of a file is taken as it is.
fn absolute(blob: &Blob) -> std::result::Result<Blob, String> {
    blob.path().map_or_else(|| Ok(blob.clone()), |path| absolute_utf8(path).map(Blob::from))
}

/// Ids and index lines are text: a path that is none cannot be written and found again.
fn absolute_utf8(path: &Path) -> std::result::Result<PathBuf, String> {
    let absolute = std::path::absolute(path).map_err(|e| e.to_string())?;
    match absolute.to_str() {
        Some(_) => Ok(absolute),
        None => Err("the path is not UTF-8 text: rename it".into()),
    }
}

#[cfg(test)]
#[path = "tests/inputs.rs"]
mod tests;
