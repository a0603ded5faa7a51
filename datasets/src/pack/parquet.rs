//! Writes a Parquet shard: the layout that Hugging Face's `datasets` reads by itself, with what it does not know in columns of their own.

use super::sample::{Content, Field, Medium, Sample};
use super::uses::Uses;
use super::writer::ShardWriter;
use crate::parquet::{ByteArray, Column, MARK, PACKED, PAGE, TableWriter};
use crate::tables::own::{EXTRA, MEMBERS, MODALITIES, word};
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A group of rows ends before the record that would make it larger: so much a reader takes who wants one row of a column of lists, and so much is in memory.
const GROUP: u64 = 16 << 20;
/// Most rows of a group.
const ROWS: usize = 4096;
/// Largest value, or list of values, that is read again: a page holds others beside it.
const LARGEST: u64 = PAGE - (4 << 20);

/// A column of the table.
type Named = (&'static str, Column);

/// The columns of a source.
fn columns(uses: &Uses) -> Vec<Named> {
    let audio = if uses.several { Column::MediaList } else { Column::Media };
    let all = [
        ("id", Column::OptionalText, true),
        ("text", Column::Texts, uses.text),
        ("image", Column::Media, uses.image),
        ("audio", audio, uses.audio),
        ("video", Column::Media, uses.video),
        ("start", Column::OptionalText, uses.start),
        ("end", Column::OptionalText, uses.end),
        ("label", Column::Word, uses.label),
        ("group", Column::OptionalText, uses.group),
        ("split", Column::Word, uses.split),
        ("lang", Column::Word, uses.lang),
        (MODALITIES, Column::Word, uses.differ()),
        (EXTRA, Column::OptionalText, uses.extra),
        (MEMBERS, Column::Members, uses.members),
    ];
    all.into_iter().filter_map(|(name, column, used)| used.then_some((name, column))).collect()
}

/// What `datasets` writes beside a table, and goes by when it reads one.
fn features(columns: &[Named]) -> Value {
    let string = json!({"dtype": "string", "_type": "Value"});
    let medium = |name: &str| match name {
        "image" => json!({"_type": "Image"}),
        "audio" => json!({"_type": "Audio"}),
        _ => json!({"_type": "Video"}),
    };
    // Read by its versions of before lists were `List`, too.
    let list = |of: Value| json!({"feature": of, "_type": "Sequence"});
    let of = |(name, column): &Named| {
        let feature = match column {
            Column::Texts => list(string.clone()),
            Column::Media => medium(name),
            Column::MediaList => list(medium(name)),
            Column::Members => json!([{"name": string, "bytes": {"dtype": "binary", "_type": "Value"}}]),
            Column::Text | Column::OptionalText | Column::Word | Column::Vector => string.clone(),
        };
        ((*name).to_owned(), feature)
    };
    json!({"info": {"features": Map::from_iter(columns.iter().map(of))}})
}

/// Why a record cannot be in a Parquet file, if so.
pub(super) fn refuses(sample: &Sample) -> Option<String> {
    let sum = |of: &dyn Fn(&Field) -> bool| -> u64 {
        sample.media.iter().filter(|medium| of(&medium.field)).map(|medium| medium.content.len()).sum()
    };
    let texts: usize = sample.record.text.iter().map(String::len).sum();
    let sizes = [
        ("texts", texts as u64),
        ("image", sum(&|field| *field == Field::Image)),
        ("audio", sum(&|field| *field == Field::Audio)),
        ("video", sum(&|field| *field == Field::Video)),
        ("other members", sum(&|field| matches!(field, Field::Extra(_)))),
    ];
    sizes.into_iter().find(|(_, size)| *size > LARGEST).map(|(name, size)| {
        format!(
            "its {name} have {size} bytes, the most that are read of a Parquet file's value are {LARGEST}: --format tar has no such limit"
        )
    })
}

/// Bytes of a file, and the last part of its name.
type File = (ByteArray, ByteArray);

/// A record, its media in memory.
struct Row {
    id: String,
    text: Vec<String>,
    image: Option<File>,
    audio: Vec<File>,
    video: Option<File>,
    /// By the names of their columns.
    words: [(&'static str, Option<String>); 8],
    members: Vec<File>,
}

impl Row {
    fn read(sample: Sample) -> std::io::Result<Self> {
        let record = sample.record;
        let extra = match sample.extra.is_empty() {
            true => None,
            false => Some(serde_json::to_string(&sample.extra)?),
        };
        let words = [
            ("start", record.span.start.map(|t| t.to_string())),
            ("end", record.span.end.map(|t| t.to_string())),
            ("label", record.label.clone()),
            ("group", record.group.clone()),
            ("split", record.split.clone()),
            ("lang", record.lang.clone()),
            (MODALITIES, Some(word(&record.part_key()))),
            (EXTRA, extra),
        ];
        let (id, text) = (record.id.clone(), record.text.clone());
        let mut row =
            Self { id, text, image: None, audio: Vec::new(), video: None, words, members: Vec::new() };
        for medium in sample.media {
            let (field, file) = (medium.field.clone(), file(medium)?);
            match field {
                Field::Image => row.image = Some(file),
                Field::Audio => row.audio.push(file),
                Field::Video => row.video = Some(file),
                Field::Extra(_) => row.members.push(file),
            }
        }
        Ok(row)
    }

    /// Bytes that it takes, about.
    fn bytes(&self) -> u64 {
        let media = self.image.iter().chain(&self.audio).chain(&self.video).chain(&self.members);
        let media: usize = media.map(|(bytes, name)| bytes.len() + name.len()).sum();
        let texts: usize = self.text.iter().map(String::len).sum();
        let words: usize = self.words.iter().filter_map(|(_, word)| word.as_ref()).map(String::len).sum();
        (self.id.len() + media + texts + words) as u64
    }

    fn files(&self, name: &str) -> Vec<&File> {
        match name {
            "image" => self.image.iter().collect(),
            "audio" => self.audio.iter().collect(),
            "video" => self.video.iter().collect(),
            _ => self.members.iter().collect(),
        }
    }

    fn word(&self, column: &str) -> Option<String> {
        match column {
            "id" => Some(self.id.clone()),
            _ => self.words.iter().find(|(name, _)| *name == column).and_then(|(_, word)| word.clone()),
        }
    }
}

fn text(text: impl Into<String>) -> ByteArray {
    ByteArray::from(text.into().into_bytes())
}

/// Reads a medium.
fn file(medium: Medium) -> std::io::Result<File> {
    let field = match &medium.field {
        Field::Image => "image",
        Field::Audio => "audio",
        Field::Video => "video",
        Field::Extra(key) => key,
    };
    let base = medium.name.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = match &medium.field {
        Field::Extra(key) => key.clone(),
        // A name of its own tells what has one apart from what is missing.
        _ => base.filter(|base| !base.is_empty() && !base.contains('\0')).unwrap_or_else(|| field.to_owned()),
    };
    let length = medium.content.len();
    let bytes = match medium.content {
        Content::Held(bytes) => bytes,
        Content::Open(opened) => {
            let mut bytes = Vec::new();
            opened.take(length).read_to_end(&mut bytes)?;
            if bytes.len() as u64 != length {
                return Err(std::io::Error::other("a medium has become shorter while it was read"));
            }
            bytes
        }
    };
    Ok((ByteArray::from(bytes), text(name)))
}

/// Rows of one group in memory, the groups before them written.
pub(super) struct ParquetWriter<'a> {
    path: PathBuf,
    columns: Vec<Named>,
    table: TableWriter<Box<dyn Write + Send + 'a>>,
    rows: Vec<Row>,
    /// Bytes of the rows in memory, and of all.
    held: u64,
    bytes: u64,
}

impl<'a> ParquetWriter<'a> {
    pub(super) fn new(path: &Path, out: Box<dyn Write + Send + 'a>, uses: &Uses) -> Result<Self> {
        let columns = columns(uses);
        let metadata = [("huggingface", features(&columns).to_string()), (MARK, PACKED.to_owned())];
        let table = TableWriter::packed(out, &columns, &metadata).map_err(Error::io(path, "write"))?;
        Ok(Self { path: path.to_owned(), columns, table, rows: Vec::new(), held: 0, bytes: 0 })
    }

    /// Writes the rows that are held.
    fn flush(&mut self) -> std::io::Result<()> {
        self.held = 0;
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.table.group()?;
        for (name, column) in &self.columns {
            let files = || rows.iter().map(|row| row.files(name));
            let bytes = |file: &File| file.0.clone();
            let names = |file: &File| file.1.clone();
            match column {
                Column::Texts => {
                    group.lists(rows.iter().map(|row| row.text.iter().map(text).collect()))?;
                }
                Column::Media => {
                    group.values(files().map(|files| files.first().copied().map(bytes)))?;
                    group.values(files().map(|files| files.first().copied().map(names)))?;
                }
                Column::MediaList => {
                    group.lists(files().map(|files| files.into_iter().map(bytes).collect()))?;
                    group.lists(files().map(|files| files.into_iter().map(names).collect()))?;
                }
                Column::Members => {
                    group.lists(files().map(|files| files.into_iter().map(names).collect()))?;
                    group.lists(files().map(|files| files.into_iter().map(bytes).collect()))?;
                }
                Column::Text | Column::OptionalText | Column::Word | Column::Vector => {
                    group.values(rows.iter().map(|row| row.word(name).map(text)))?;
                }
            }
        }
        group.finish()
    }
}

impl ShardWriter for ParquetWriter<'_> {
    fn add(&mut self, sample: Sample) -> Result<()> {
        let row = Row::read(sample).map_err(Error::io(&self.path, "write"))?;
        let bytes = row.bytes();
        if self.rows.len() == ROWS || self.held + bytes > GROUP {
            self.flush().map_err(Error::io(&self.path, "write"))?;
        }
        self.held += bytes;
        self.bytes += bytes;
        self.rows.push(row);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush().map_err(Error::io(&self.path, "write"))?;
        self.table.finish().map_err(Error::io(&self.path, "write"))
    }
}
