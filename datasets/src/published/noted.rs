//! A source with a note.

use crate::source::{Key, Source};
use crate::{Record, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// A source of which something should be known that it does not know itself.
#[derive(Debug)]
pub(super) struct Noted<S> {
    source: S,
    note: String,
}

impl<S: Source> Noted<S> {
    pub fn new(source: S, note: String) -> Self {
        Self { source, note }
    }
}

impl<S: Source> Source for Noted<S> {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        self.source.record(index)
    }

    fn key(&self, index: usize) -> Key<'_> {
        self.source.key(index)
    }

    fn sum(&self) -> Result<String> {
        self.source.sum()
    }

    fn block(&self) -> usize {
        self.source.block()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.source.notes();
        notes.push(self.note.clone());
        notes
    }

    fn splits(&self) -> BTreeMap<String, usize> {
        self.source.splits()
    }
}
