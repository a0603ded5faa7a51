//! Writes Parquet files, a group of rows at a time.

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArrayType, FloatType};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes of a value.
pub use parquet::data_type::ByteArray;

/// A page ends behind the value that makes it as large: what somebody who wants one row reads beside it.
const PAGE: usize = 256 << 10;
/// The level of a list that is there and empty, and of a value in a list of such and in a list of structs.
const EMPTY: i16 = 1;

/// What a column holds; `struct` and list as Hugging Face's `datasets` has them. Each is written by the calls that are named here, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A text in every row: [`values`](GroupWriter::values).
    Text,
    /// A text, or none: [`values`](GroupWriter::values).
    OptionalText,
    /// One of few texts, or none: [`values`](GroupWriter::values).
    Word,
    /// A list of texts: [`lists`](GroupWriter::lists).
    Texts,
    /// A struct of `bytes` and `path`, or none: [`values`](GroupWriter::values) of each.
    Media,
    /// A list of structs of `bytes` and `path`: [`lists`](GroupWriter::lists) of each.
    MediaList,
    /// A list of structs of `name` and `bytes`: [`lists`](GroupWriter::lists) of each.
    Members,
    /// A list of floats: [`vectors`](GroupWriter::vectors).
    Vector,
}

impl Column {
    fn schema(self, name: &str) -> Parquet<TypePtr> {
        const REQUIRED: Repetition = Repetition::REQUIRED;
        const OPTIONAL: Repetition = Repetition::OPTIONAL;
        let string = Some(LogicalType::String);
        let text = |name, repetition| primitive(name, Physical::BYTE_ARRAY, repetition, string.clone());
        let bytes = |name| primitive(name, Physical::BYTE_ARRAY, OPTIONAL, None);
        match self {
            Self::Text => text(name, REQUIRED),
            Self::OptionalText | Self::Word => text(name, OPTIONAL),
            Self::Texts => list(name, OPTIONAL, text("element", OPTIONAL)?),
            Self::Media => of(name, vec![bytes("bytes")?, text("path", OPTIONAL)?]),
            Self::MediaList => {
                list(name, OPTIONAL, of("element", vec![bytes("bytes")?, text("path", OPTIONAL)?])?)
            }
            Self::Members => {
                list(name, OPTIONAL, of("element", vec![text("name", OPTIONAL)?, bytes("bytes")?])?)
            }
            Self::Vector => list(name, REQUIRED, primitive("element", Physical::FLOAT, REQUIRED, None)?),
        }
    }

    /// Media are packed already, and do not repeat.
    fn properties(self, name: &str, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        let path = |parts: &[&str]| ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect());
        match self {
            Self::Word => properties.set_column_dictionary_enabled(path(&[name]), true),
            Self::Media => {
                properties.set_column_compression(path(&[name, "bytes"]), Compression::UNCOMPRESSED)
            }
            Self::MediaList => {
                let path = path(&[name, "list", "element", "bytes"]);
                properties.set_column_compression(path, Compression::UNCOMPRESSED)
            }
            _ => properties,
        }
    }
}

fn primitive(
    name: &str,
    physical: Physical,
    repetition: Repetition,
    logical: Option<LogicalType>,
) -> Parquet<TypePtr> {
    let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
    Ok(Arc::new(builder.with_logical_type(logical).build()?))
}

fn of(name: &str, fields: Vec<TypePtr>) -> Parquet<TypePtr> {
    let builder = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
    Ok(Arc::new(builder.with_fields(fields).build()?))
}

fn list(name: &str, repetition: Repetition, element: TypePtr) -> Parquet<TypePtr> {
    let repeated = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![element])
        .build()?;
    let builder = Type::group_type_builder(name).with_repetition(repetition);
    let builder = builder.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(repeated)]);
    Ok(Arc::new(builder.build()?))
}

/// A full disk is told as one.
fn told(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(e) => match e.downcast::<io::Error>() {
            Ok(e) => *e,
            Err(e) => io::Error::other(e),
        },
        e => io::Error::other(e),
    }
}

/// A Parquet file that is being written.
pub struct TableWriter<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table of numbers and what they are of: no column is packed, which is read the fastest.
    ///
    /// # Errors
    /// No space.
    pub fn plain(out: W, columns: &[(&str, Column)]) -> io::Result<Self> {
        let properties = WriterProperties::builder().set_dictionary_enabled(false);
        Self::begin(out, columns, properties).map_err(told)
    }

    /// Begins a table of records: texts are packed with Snappy, media are as they are, pages are small. `metadata` stands at the file's end, by its keys.
    ///
    /// # Errors
    /// No space.
    pub fn packed(out: W, columns: &[(&str, Column)], metadata: &[(&str, String)]) -> io::Result<Self> {
        let keys = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_created_by("unisono".into())
            .set_key_value_metadata(Some(keys.collect()))
            .set_dictionary_enabled(false)
            .set_compression(Compression::SNAPPY)
            .set_data_page_size_limit(PAGE)
            // Whether a column has holes is worth knowing; the least image is not.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(16));
        let of = |properties, (name, column): &(&str, Column)| column.properties(name, properties);
        Self::begin(out, columns, columns.iter().fold(properties, of)).map_err(told)
    }

    fn begin(out: W, columns: &[(&str, Column)], properties: WriterPropertiesBuilder) -> Parquet<Self> {
        let fields = columns.iter().map(|(name, column)| column.schema(name)).collect::<Parquet<_>>()?;
        let schema = Type::group_type_builder("schema").with_fields(fields).build()?;
        SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build())).map(Self)
    }

    /// Begins a group of rows, whose columns are written one after another.
    ///
    /// # Errors
    /// No space.
    pub fn group(&mut self) -> io::Result<GroupWriter<'_, W>> {
        self.0.next_row_group().map(GroupWriter).map_err(told)
    }

    /// Writes the end of the file.
    ///
    /// # Errors
    /// No space.
    pub fn finish(self) -> io::Result<()> {
        self.0.close().map(drop).map_err(told)
    }
}

/// A group of rows that is being written.
pub struct GroupWriter<'a, W: Write + Send>(SerializedRowGroupWriter<'a, W>);

impl<W: Write + Send> GroupWriter<'_, W> {
    /// The next column: a value a row, or none.
    ///
    /// # Errors
    /// No space.
    pub fn values(&mut self, rows: impl IntoIterator<Item = Option<ByteArray>>) -> io::Result<()> {
        let (mut values, mut there) = (Vec::new(), Vec::new());
        for row in rows {
            there.push(row.is_some());
            values.extend(row);
        }
        self.bytes(&values, &mut |full| {
            let levels = there.iter().map(|there| if *there { full } else { 0 });
            ((full > 0).then(|| levels.collect()), None)
        })
    }

    /// The next column: a list of values a row.
    ///
    /// # Errors
    /// No space.
    pub fn lists(&mut self, rows: impl IntoIterator<Item = Vec<ByteArray>>) -> io::Result<()> {
        let (mut values, mut lengths) = (Vec::new(), Vec::new());
        for row in rows {
            lengths.push(row.len());
            values.extend(row);
        }
        self.bytes(&values, &mut |full| {
            let (mut levels, mut repeats) = (Vec::new(), Vec::new());
            for length in &lengths {
                levels.extend(std::iter::repeat_n(full, *length));
                repeats.extend((0..*length).map(|nth| i16::from(nth > 0)));
                if *length == 0 {
                    levels.push(EMPTY);
                    repeats.push(0);
                }
            }
            (Some(levels), Some(repeats))
        })
    }

    /// The next column: rows of `dim` floats, one after another.
    ///
    /// # Errors
    /// No space.
    pub fn vectors(&mut self, values: &[f32], dim: usize) -> io::Result<()> {
        // Level 1 defines an element; a repetition of 0 begins a row's list.
        let repeats: Vec<i16> = (0..values.len()).map(|i| i16::from(i % dim.max(1) != 0)).collect();
        let mut write = || {
            if let Some(mut column) = self.0.next_column()? {
                let levels = vec![1; values.len()];
                column.typed::<FloatType>().write_batch(values, Some(&levels), Some(&repeats))?;
                column.close()?;
            }
            Ok(())
        };
        write().map_err(told)
    }

    fn bytes(&mut self, values: &[ByteArray], levels: &mut dyn FnMut(i16) -> Levels) -> io::Result<()> {
        let mut write = || {
            if let Some(mut column) = self.0.next_column()? {
                let typed = column.typed::<ByteArrayType>();
                let (levels, repeats) = levels(typed.get_descriptor().max_def_level());
                typed.write_batch(values, levels.as_deref(), repeats.as_deref())?;
                column.close()?;
            }
            Ok(())
        };
        write().map_err(told)
    }

    /// Ends the group.
    ///
    /// # Errors
    /// No space; columns that are missing, or of different lengths.
    pub fn finish(self) -> io::Result<()> {
        self.0.close().map(drop).map_err(told)
    }
}

/// What is there of each value (Dremel's definition levels), and where rows begin (repetition levels).
type Levels = (Option<Vec<i16>>, Option<Vec<i16>>);
