//! Arrow files as `datasets.save_to_disk` writes them: the heads of their messages are read when they are opened, rows by position. Batches are not
//! packed, so that an image lies in the file as it is.
//!
//! Read by hand and not by the `arrow` crates: they decode whole batches, and what is wanted is where one value lies. A file costs, whoever wrote it,
//! 64 MiB a message's head, and 512 MiB and 8 million elements for some rows of a column.

mod decode;
mod flat;
mod message;
mod schema;

use crate::columnar::{Cut, Leaf, Nulls, Piece, Store, Where, again};
use crate::{Error, Result};
use decode::Buffers;
use message::{Batch, Messages};
use schema::Schema;
use std::path::{Path, PathBuf};

/// Rows of a piece; of a column of bytes there are fewer, since each may be an image.
const ROWS: u32 = 256;
const MEDIA: u32 = 8;

/// An Arrow file.
#[derive(Debug)]
pub(crate) struct ArrowFile {
    path: PathBuf,
    length: u64,
    schema: Schema,
    batches: Vec<Batch>,
    groups: Vec<u64>,
    sum: String,
}

impl ArrowFile {
    /// Opens a file.
    ///
    /// # Errors
    /// See [`message::scan`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = unisono_files::open(path)?;
        let length = file.metadata().map_err(Error::io(path, "read"))?.len();
        let Messages { schema, batches, groups, sum } = message::scan(path, &file, length)?;
        Ok(Self { path: path.to_owned(), length, schema, batches, groups, sum })
    }
}

impl Store for ArrowFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn leaves(&self) -> &[Leaf] {
        &self.schema.leaves
    }

    fn features(&self) -> Option<&str> {
        self.schema.features.as_deref()
    }

    fn groups(&self) -> &[u64] {
        &self.groups
    }

    fn weight(&self, leaf: usize) -> u64 {
        let way = &self.schema.ways[leaf];
        let buffers = match way.form {
            schema::Form::None => return 0,
            schema::Form::Bytes(_) => 3,
            _ => 2,
        };
        let of =
            |batch: &Batch| batch.buffers.iter().skip(way.buffer).take(buffers).map(|(_, n)| *n).sum::<u64>();
        self.batches.iter().map(of).fold(0, u64::saturating_add)
    }

    fn nulls(&self, leaf: usize, group: usize) -> Nulls {
        let way = &self.schema.ways[leaf];
        let Some(batch) = self.batches.get(group) else { return Nulls::Some };
        let rows = self.groups[group + 1] - self.groups[group];
        match batch.nodes[way.node] {
            (nulls, long) if nulls == long && long == rows && rows > 0 => Nulls::All,
            (0, _) if way.steps.iter().all(|(_, node, _)| batch.nodes[*node].0 == 0) => Nulls::None,
            _ => Nulls::Some,
        }
    }

    fn sum(&self) -> &str {
        &self.sum
    }

    fn keep(&mut self, _wanted: &[bool]) {
        // Where a column lies is a few numbers a batch.
    }

    fn cut(&self, leaf: usize, group: usize) -> Result<Cut> {
        let rows = u32::try_from(self.groups[group + 1] - self.groups[group]).unwrap_or(u32::MAX);
        let of = &self.schema.leaves[leaf];
        let step = if of.kind == crate::columnar::Kind::Bytes { MEDIA } else { ROWS };
        let first = (0..rows).step_by(step as usize).chain([rows]).collect();
        Ok(Cut { first, ..Cut::default() })
    }

    fn piece(&self, leaf: usize, group: usize, cut: &Cut, number: usize) -> Result<Piece> {
        let rows = u64::from(cut.first[number])..u64::from(cut.first[number + 1]);
        let buffers =
            Buffers { path: &self.path, file: &again(&self.path, self.length)?, batch: &self.batches[group] };
        buffers.piece(&self.schema.ways[leaf], self.schema.leaves[leaf].full, rows)
    }

    fn part(&self, leaf: usize, group: usize, row: u32) -> Result<Where> {
        if self.schema.leaves[leaf].listed {
            return Ok(Where::Unknown);
        }
        let buffers =
            Buffers { path: &self.path, file: &again(&self.path, self.length)?, batch: &self.batches[group] };
        let place = buffers.place(&self.schema.ways[leaf], row.into())?;
        Ok(place.map_or(Where::Nowhere, |(offset, length)| Where::At(offset, length)))
    }
}
