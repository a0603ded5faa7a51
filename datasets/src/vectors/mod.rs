//! Vectors as data: what `unisono embed` wrote, or others in the same forms, as inputs of a training in place of media.
//!
//! ```text
//! v.safetensors (or .npy, .parquet)   rows of fp32 [N, D]
//! v.safetensors.jsonl                 what each row is: id, modality, part
//! v.safetensors.model.json            which model made them, and a sum over the rows: Origin
//! v.safetensors.view.json             of images that were changed first, how: View
//! ```
//!
//! Rows of `.safetensors` and `.npy` are mapped and not copied; those of Parquet are read by row group.

mod items;
mod origin;
mod rows;
mod view;

pub use origin::{Origin, origin_path};
pub use view::{SCALE, View, view_path};

use crate::{Error, Result};
use items::Lines;
use rows::Stored;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use unisono_files::Sum;

/// What a caller needs of vectors; what is `None` may be anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// The identity of the model that made them: vectors of other models do not compare.
    pub model: Option<&'a str>,
    /// Their width D.
    pub dim: Option<usize>,
}

/// Rows of fp32 `[N, D]` in a file, by number or by what they are of. Shared by threads.
#[derive(Debug)]
pub struct VectorFile {
    path: PathBuf,
    rows: Stored,
    lines: Option<Lines>,
    origin: Option<Origin>,
}

impl VectorFile {
    /// Opens a file of vectors with what lies beside it.
    ///
    /// # Errors
    /// Another ending than `.safetensors`, `.npy` and `.parquet`; a file that is cut or of another form; as many items as there are not rows;
    /// another model or width than `expected`, or nothing that says which model made them where one is expected.
    pub fn open(path: &Path, expected: &Expected) -> Result<Self> {
        let bad = |message: String| Err(Error::archive(path, message));
        let rows = Stored::open(path)?;
        if let Some(dim) = expected.dim.filter(|dim| *dim != rows.dim()) {
            return bad(format!("expected vectors of width {dim}, found width {}", rows.dim()));
        }
        let origin = Origin::beside(path)?;
        if let Some(model) = expected.model {
            match &origin {
                Some(origin) if origin.model == model => {}
                Some(origin) => {
                    return bad(format!(
                        "expected vectors of the model {model}, found those of {}: embed again with this model",
                        origin.model
                    ));
                }
                None => {
                    return bad(format!(
                        "expected vectors of the model {model}, and nothing says which model made these: {} is not there; embed again",
                        origin_path(path).display()
                    ));
                }
            }
        }
        if let Some(origin) = &origin
            && (origin.count, origin.dim) != (rows.len(), rows.dim())
        {
            let (count, dim) = (rows.len(), rows.dim());
            return bad(format!(
                "holds {count} vectors of width {dim}, {} was written for {} of width {}",
                origin_path(path).display(),
                origin.count,
                origin.dim
            ));
        }
        let lines = Lines::beside(path)?;
        if let Some(lines) = &lines
            && lines.len() != rows.len()
        {
            return bad(format!(
                "holds {} vectors, its .jsonl {} lines: of another file",
                rows.len(),
                lines.len()
            ));
        }
        Ok(Self { path: path.to_owned(), rows, lines, origin })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows N.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Width D.
    pub fn dim(&self) -> usize {
        self.rows.dim()
    }

    /// Which model made them, where that is told.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// A row `[D]`.
    ///
    /// # Errors
    /// There is none of this number; the file cannot be read.
    pub fn row(&self, index: usize) -> Result<Cow<'_, [f32]>> {
        self.rows.row(&self.path, index)
    }

    /// The number of the row of a record's medium or text: by its id, its modality (`image`, `text`, …) and, of several, which one.
    ///
    /// # Errors
    /// There is no `.jsonl` beside, or it cannot be read.
    pub fn find(&self, id: &str, modality: &str, part: usize) -> Result<Option<usize>> {
        let missing = || {
            let message = "nothing says which row is of what: the .jsonl beside it is not there";
            Error::archive(&self.path, message)
        };
        self.lines.as_ref().ok_or_else(missing)?.find(id, modality, part)
    }

    /// Refuses vectors whose rows are not those of these ids, in this order.
    ///
    /// # Errors
    /// The first row that is of something else; too few or too many.
    pub fn in_order<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let bad = |message: String| Err(Error::archive(&self.path, message));
        let mut count = 0;
        for id in ids {
            let found = match &self.lines {
                Some(lines) if count < self.len() => Some(lines.id(count)?),
                _ => None,
            };
            if let Some(found) = found.filter(|found| found != id) {
                let (found, id) = (crate::plain::quoted(&found), crate::plain::quoted(id));
                return bad(format!("row {count} is of {found}, expected {id}"));
            }
            count += 1;
        }
        match count == self.len() {
            true => Ok(()),
            false => bad(format!("holds {} vectors, expected {count}", self.len())),
        }
    }

    /// Compares the rows with the sum beside them; it takes a second for each gigabyte.
    ///
    /// # Errors
    /// Other rows than the model made; nothing to compare them with.
    pub fn verify(&self) -> Result<()> {
        let Some(origin) = &self.origin else {
            let message =
                format!("{} is not there: nothing to compare with", origin_path(&self.path).display());
            return Err(Error::archive(&self.path, message));
        };
        let mut sum = Sum::default();
        let mut bytes = Vec::new();
        for index in 0..self.len() {
            bytes.clear();
            bytes.extend(self.row(index)?.iter().flat_map(|v| v.to_le_bytes()));
            sum.update(&bytes);
        }
        let found = sum.letters();
        if found != origin.sum {
            let message =
                format!("its rows have the sum {found}, expected {}: damaged, or of another run", origin.sum);
            return Err(Error::archive(&self.path, message));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "../tests/vectors.rs"]
mod tests;
