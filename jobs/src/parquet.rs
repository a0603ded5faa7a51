//! Vectors as Parquet: what tables are made of elsewhere (pandas, DuckDB, clip-retrieval).

use crate::{Embedded, Item};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use std::io::Write;
use std::sync::Arc;

/// Rows of a group: a reader holds one group at a time.
const GROUP: usize = 16 << 10;

fn text(name: &str, repetition: Repetition) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, Physical::BYTE_ARRAY);
    Ok(Arc::new(builder.with_repetition(repetition).with_logical_type(Some(LogicalType::String)).build()?))
}

/// `id`, `modality`, `path` and `text` (either may be null), `embedding` (a list of floats).
fn schema() -> Result<TypePtr> {
    let element = Type::primitive_type_builder("element", Physical::FLOAT)
        .with_repetition(Repetition::REQUIRED)
        .build()?;
    let list = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    let embedding = Type::group_type_builder("embedding")
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list)])
        .build()?;
    let fields = vec![
        text("id", Repetition::REQUIRED)?,
        text("modality", Repetition::REQUIRED)?,
        text("path", Repetition::OPTIONAL)?,
        text("text", Repetition::OPTIONAL)?,
        Arc::new(embedding),
    ];
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

/// Writes the rows and their items.
pub(crate) fn write(out: &mut dyn Write, embedded: &Embedded) -> std::io::Result<()> {
    // Put together in memory: the library's writer must be able to move between threads, which `out` cannot.
    out.write_all(&file(embedded).map_err(std::io::Error::other)?)
}

fn file(embedded: &Embedded) -> Result<Vec<u8>> {
    // Floats of vectors do not compress; pages without a codec are read the fastest.
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties))?;
    let dim = embedded.vectors.dim.max(1);
    for (items, rows) in embedded.items.chunks(GROUP).zip(embedded.vectors.data.chunks(GROUP * dim)) {
        let mut group = file.next_row_group()?;
        strings(&mut group, items.iter().map(|i| Some(i.id.clone())), false)?;
        strings(&mut group, items.iter().map(|i| Some(i.modality.name().to_owned())), false)?;
        strings(&mut group, items.iter().map(|i| i.path.as_ref().map(|p| p.display().to_string())), true)?;
        strings(&mut group, items.iter().map(|i: &Item| i.text.clone()), true)?;
        if let Some(mut column) = group.next_column()? {
            // Level 1 defines an element; a repetition of 0 begins a row's list.
            let repetition: Vec<i16> = (0..rows.len()).map(|i| i16::from(i % dim != 0)).collect();
            column.typed::<FloatType>().write_batch(rows, Some(&vec![1; rows.len()]), Some(&repetition))?;
            column.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}

fn strings<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<String>>,
    optional: bool,
) -> Result<()> {
    let values: Vec<Option<String>> = values.collect();
    let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let bytes: Vec<ByteArray> =
        values.into_iter().flatten().map(|s| ByteArray::from(s.into_bytes())).collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&bytes, optional.then_some(&levels[..]), None)?;
        column.close()?;
    }
    Ok(())
}
