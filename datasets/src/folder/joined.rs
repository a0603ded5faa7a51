//! Sources one after another.

use crate::source::{self, Key, Source};
use crate::{Record, Result};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The records of several sources, whose ids do not meet.
#[derive(Debug)]
pub(crate) struct Joined {
    path: PathBuf,
    /// Each with the number of its first record.
    parts: Vec<(usize, Arc<dyn Source>)>,
    len: usize,
}

impl Joined {
    pub fn new(path: &Path, parts: Vec<Arc<dyn Source>>) -> Self {
        let mut len = 0;
        let parts = parts.into_iter().map(|part| {
            let first = len;
            len += part.len();
            (first, part)
        });
        Self { path: path.into(), parts: parts.collect(), len }
    }

    /// Several parts as one source; one part is itself.
    pub fn of(path: &Path, mut parts: Vec<Arc<dyn Source>>) -> Arc<dyn Source> {
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                parts.extend(last);
                Arc::new(Self::new(path, parts))
            }
        }
    }

    fn part(&self, index: usize) -> Option<(&dyn Source, usize)> {
        let after = self.parts.partition_point(|(first, _)| *first <= index);
        let (first, part) = self.parts.get(after.checked_sub(1)?)?;
        Some((&**part, index - first))
    }
}

impl Source for Joined {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.len
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        match self.part(index).filter(|_| index < self.len) {
            Some((part, index)) => part.record(index),
            None => Err(source::missing(&self.path, index)),
        }
    }

    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        match self.part(index).filter(|_| index < self.len) {
            Some((part, index)) => part.id(index),
            None => Err(source::missing(&self.path, index)),
        }
    }

    fn key(&self, index: usize) -> Key<'_> {
        self.part(index).map(|(part, index)| part.key(index)).unwrap_or_default()
    }

    fn sum(&self) -> Result<String> {
        let mut sum = Sha256::new();
        for (_, part) in &self.parts {
            sum.update(part.sum()?);
        }
        Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    fn notes(&self) -> Vec<String> {
        self.parts.iter().flat_map(|(_, part)| part.notes()).collect()
    }

    fn splits(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (split, count) in self.parts.iter().flat_map(|(_, part)| part.splits()) {
            *counts.entry(split).or_insert(0) += count;
        }
        counts
    }
}
