//! Vectors as Parquet: what tables are made of elsewhere (pandas, DuckDB, clip-retrieval).

use super::table::Table;
use crate::Item;
use std::io::{Result, Write};
use unisono_datasets::parquet::{ByteArray, Column, TableWriter};

/// Rows of a group: a reader holds one group at a time.
const GROUP: usize = 16 << 10;

/// `id`, `modality`, `path` and `text` (either may be null), `embedding` (a list of floats).
const COLUMNS: [(&str, Column); 5] = [
    ("id", Column::Text),
    ("modality", Column::Text),
    ("path", Column::OptionalText),
    ("text", Column::OptionalText),
    ("embedding", Column::Vector),
];

/// Writes the rows and their items, a group in memory at a time.
pub(super) fn write(out: &mut (dyn Write + Send), table: Table<'_>) -> Result<()> {
    let mut file = TableWriter::plain(out, &COLUMNS)?;
    let dim = table.dim.max(1);
    let mut rows = vec![0f32; GROUP.min(table.count) * dim];
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
        let text = |text: String| ByteArray::from(text.into_bytes());
        let mut group = file.group()?;
        group.values(items.iter().map(|i| Some(text(i.id.clone()))))?;
        group.values(items.iter().map(|i| Some(text(i.modality.name().to_owned()))))?;
        group.values(items.iter().map(|i| i.blob.as_ref().map(|b| text(b.name().display().to_string()))))?;
        group.values(items.iter().map(|i| i.text.clone().map(text)))?;
        group.vectors(values, dim)?;
        group.finish()?;
    }
    file.finish()
}
