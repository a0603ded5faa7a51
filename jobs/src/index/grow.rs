//! What a listing adds to an index, a round after another: each is on the disk, whole, before the next begins.

use super::known::{Do, Plan, orphans, plan};
use super::{Built, Editor};
use crate::pipeline::{Round, Sink};
use crate::{EmbedOptions, Embedder, Error, Flow, Items, Listing, Progress, Result, Skip};
use serde::Serialize;
use std::collections::HashSet;
use unisono_index::{Facts, Key, NewSegment, Segment};

/// What came of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// Items that were embedded.
    pub embedded: usize,
    /// Items whose vector was there: their file was touched, renamed or said otherwise, and holds what it held.
    pub kept: usize,
    /// Items that hold what another item holds.
    pub copies: usize,
    /// Items that were there as they are.
    pub unchanged: usize,
    /// Items that the inputs name twice.
    pub repeated: usize,
    /// Inputs that could not be used, each with its reason.
    pub skipped: Vec<Skip>,
}

/// Rows that go into an index.
struct Rows<'a> {
    editor: &'a mut Editor<Built>,
    facts: Vec<(Facts, Option<usize>)>,
    at: usize,
    embedded: HashSet<Key>,
    count: usize,
    /// Rows that went.
    gone: Vec<usize>,
    skipped: Vec<Skip>,
}

impl Sink<Vec<f32>> for Rows<'_> {
    fn keep(&mut self, round: Round<'_, Vec<f32>>) -> Result<()> {
        let (mut segment, mut gone) = (self.editor.segment()?, Vec::new());
        for (item, outcome) in round.items.iter().zip(round.outcomes) {
            let Some((facts, old)) = self.facts.get(self.at).copied() else { break };
            self.at += 1;
            match outcome {
                Ok(row) => {
                    segment.push(item, &facts, &row)?;
                    gone.extend(old);
                    self.count += 1;
                    if facts.is_known() {
                        self.embedded.insert(facts.content);
                    }
                }
                Err(reason) => self.skipped.push(Skip { id: item.id.clone(), reason }),
            }
        }
        self.editor.commit(Some(segment), &gone)?;
        self.gone.extend(gone);
        Ok(())
    }
}

/// Adds what the index does not know as it is; what of it is done stays, whatever ends this. `plan` says what else was listed.
pub(super) fn grow(
    editor: &mut Editor<Built>,
    embedder: &Embedder,
    listing: &Listing,
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<(Growth, HashSet<Key>)> {
    let Plan { items, tasks, unchanged, repeated, listed } = plan(editor.index(), &listing.items, progress)?;
    let (mut new, mut facts) = (Items::default(), Vec::new());
    for (item, task) in items.iter().zip(&tasks) {
        if task.what == Do::Embed {
            new.push(&item);
            facts.push((task.facts, task.old));
        }
    }
    let (embedded, skipped) = (HashSet::new(), listing.skipped.clone());
    let mut rows = Rows { editor, facts, at: 0, embedded, count: 0, gone: Vec::new(), skipped };
    let listing = Listing { items: new, skipped: listing.skipped.clone(), ..Listing::default() };
    // Beside what is there already, nothing may be usable.
    let others = unchanged > 0 || tasks.len() > listing.items.len();
    if listing.items.is_empty() && others {
        crate::pipeline::check_skips(&listing.skipped, options.max_skip)?;
    } else {
        match crate::embed::run(embedder, &listing, options, &mut rows, progress) {
            Err(Error::AllSkipped { .. }) if others => {}
            run => drop(run?),
        }
    }
    let Rows { editor, embedded, count, mut gone, mut skipped, .. } = rows;
    let mut growth = Growth { embedded: count, unchanged, repeated, ..Growth::default() };
    let (mut segment, mut served) = (editor.segment()?, embedded);
    let live = if tasks.iter().any(|task| task.what == Do::Copy) { contents(editor) } else { HashSet::new() };
    for (item, task) in items.iter().zip(&tasks) {
        match task.what {
            Do::Embed => continue,
            Do::Take(row) => {
                let Some(vector) = editor.index().vector(row) else { continue };
                segment.push(&item, &task.facts, vector)?;
                served.insert(task.facts.content);
                growth.kept += 1;
            }
            Do::Copy => {
                if !served.contains(&task.facts.content) && !live.contains(&task.facts.content) {
                    let reason = "it holds what another input holds, which could not be used".to_owned();
                    skipped.push(Skip { id: item.id, reason });
                    continue;
                }
                segment.copy(item, task.facts);
                growth.copies += 1;
            }
        }
        gone.extend(task.old);
    }
    adopt(editor, &mut segment, &mut gone, &served)?;
    if !segment.is_empty() || !gone.is_empty() {
        editor.commit(Some(segment), &gone)?;
    }
    growth.skipped = skipped;
    Ok((growth, listed))
}

/// What the rows with a vector hold.
fn contents(editor: &Editor<Built>) -> HashSet<Key> {
    let found = |segment: &Segment| -> Vec<Key> {
        (0..segment.rows())
            .filter(|row| segment.is_found(*row))
            .map(|row| segment.facts(row).content)
            .collect()
    };
    editor.index().segments().iter().flat_map(found).collect()
}

/// Removes rows, and gives copies the vector that would go with them.
pub(super) fn remove(editor: &mut Editor<Built>, gone: &[usize]) -> Result<()> {
    let (mut segment, mut gone) = (editor.segment()?, gone.to_vec());
    adopt(editor, &mut segment, &mut gone, &HashSet::new())?;
    Ok(editor.commit(Some(segment), &gone)?)
}

fn adopt(
    editor: &Editor<Built>,
    segment: &mut NewSegment,
    gone: &mut Vec<usize>,
    served: &HashSet<Key>,
) -> Result<()> {
    let index = editor.index();
    for (copy, row) in orphans(index, gone, served) {
        let known = index.find(copy).map(|(_, segment, at)| segment.facts(at));
        if let (Some(item), Some(facts), Some(vector)) = (index.item(copy), known, index.vector(row)) {
            segment.push(&item, &facts, vector)?;
            gone.push(copy);
        }
    }
    Ok(())
}
