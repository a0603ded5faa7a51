//! A blob for a program of its own, which opens files by their paths and nothing else.

use super::place::{Blob, Place};
use crate::Result;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use unisono_files::{Scratch, Stamp};

/// Copies that somebody holds, by what they are copies of.
static COPIES: Mutex<Vec<(Of, Weak<Copy>)>> = Mutex::new(Vec::new());

/// What a copy is of: a part of a file that has changed is another.
type Of = (Vec<u8>, Option<Stamp>);

/// Written by the first who needs it; the others wait.
#[derive(Debug, Default)]
struct Copy {
    file: OnceLock<Scratch>,
    writing: Mutex<()>,
}

impl Copy {
    fn path(&self) -> Option<&Path> {
        self.file.get().map(Scratch::path)
    }
}

/// A blob as a file on the disk, for as long as this is held: its own file, or a copy that goes with the last who holds it.
#[derive(Debug, Clone)]
pub(crate) struct OnDisk {
    blob: Blob,
    copy: Option<Arc<Copy>>,
}

impl OnDisk {
    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        self.copy.as_ref().and_then(|copy| copy.path()).unwrap_or(self.blob.name())
    }
}

/// Holds a blob on the disk for several programs, one after another: they read one copy.
#[derive(Debug)]
pub struct Lent(#[expect(dead_code, reason = "held for its end")] OnDisk);

impl Blob {
    /// Copies parts and bytes to the disk, where nobody has done so already; the copy stays there until nobody holds it.
    pub(crate) fn on_disk(&self) -> Result<OnDisk> {
        let copy = match self.0.place {
            Place::File => None,
            _ => Some(self.copy()?),
        };
        Ok(OnDisk { blob: self.clone(), copy })
    }

    fn copy(&self) -> Result<Arc<Copy>> {
        let of = (self.identity().into_owned(), self.stamp());
        let copy = {
            let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
            copies.retain(|(_, copy)| copy.strong_count() > 0);
            let held = copies.iter().find(|(held, _)| *held == of).and_then(|(_, copy)| copy.upgrade());
            held.unwrap_or_else(|| {
                let copy = Arc::default();
                copies.push((of, Arc::downgrade(&copy)));
                copy
            })
        };
        let writing = copy.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if copy.file.get().is_none() {
            let file = Scratch::write(self.name(), &mut self.open()?)?;
            // Nobody else writes it now.
            drop(copy.file.set(file));
        }
        drop(writing);
        Ok(copy)
    }

    /// What FFmpeg reads of it while this is held is written once: a part or bytes cost a copy on the disk, a file costs nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open); no space is left.
    pub fn lend(&self) -> Result<Lent> {
        self.on_disk().map(Lent)
    }
}
