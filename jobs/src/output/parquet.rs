//! Vectors as Parquet: what tables are made of elsewhere (pandas, DuckDB, clip-retrieval).

use super::table::Table;
use crate::Item;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::{ParquetError, Result};
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

/// Writes the rows and their items, a group in memory at a time.
pub(super) fn write(out: &mut (dyn Write + Send), table: Table<'_>) -> std::io::Result<()> {
    groups(out, table).map_err(|e| match e {
        // A full disk is told as one.
        ParquetError::External(e) => match e.downcast::<std::io::Error>() {
            Ok(e) => *e,
            Err(e) => std::io::Error::other(e),
        },
        e => std::io::Error::other(e),
    })
}

fn groups(out: &mut (dyn Write + Send), table: Table<'_>) -> Result<()> {
    // Floats of vectors do not compress; pages without a codec are read the fastest.
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut file = SerializedFileWriter::new(out, schema()?, Arc::new(properties))?;
    let dim = table.dim.max(1);
    // Level 1 defines an element; a repetition of 0 begins a row's list.
    let repetition: Vec<i16> = (0..GROUP.min(table.count) * dim).map(|i| i16::from(i % dim != 0)).collect();
    let (mut rows, defined) = (vec![0f32; repetition.len()], vec![1; repetition.len()]);
    let mut left = table.count;
    while left > 0 {
        let count = left.min(GROUP);
        left -= count;
        let values = &mut rows[..count * dim];
        table.rows.read_exact(bytemuck::cast_slice_mut(values))?;
        if cfg!(target_endian = "big") {
            values.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes()));
        }
        let items: Vec<Item> = (&mut *table.items).take(count).collect();
        let mut group = file.next_row_group()?;
        strings(&mut group, items.iter().map(|i| Some(i.id.clone())), false)?;
        strings(&mut group, items.iter().map(|i| Some(i.modality.name().to_owned())), false)?;
        strings(
            &mut group,
            items.iter().map(|i| i.blob.as_ref().map(|b| b.name().display().to_string())),
            true,
        )?;
        strings(&mut group, items.iter().map(|i: &Item| i.text.clone()), true)?;
        if let Some(mut column) = group.next_column()? {
            let levels = (&defined[..values.len()], &repetition[..values.len()]);
            column.typed::<FloatType>().write_batch(values, Some(levels.0), Some(levels.1))?;
            column.close()?;
        }
        group.close()?;
    }
    file.close().map(drop)
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
