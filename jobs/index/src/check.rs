//! Reading all of an index, to see that it is what was written.

use crate::edit::Editor;
use crate::new::sum_of;
use crate::{CODES, COLUMNS, Error, GRAPH, HEADER, ITEMS, Index, Item, Result, VECTORS, WORDS};
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// What was seen of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its folder within the index's.
    pub segment: String,
    /// Rows that it has.
    pub rows: usize,
    /// What is wrong with it; nothing: it is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// Reads every byte of the index in `folder` and compares it with its sums; each segment, whole or not.
///
/// # Errors
/// No index stands there; a header that is damaged.
pub fn check<B: DeserializeOwned + Serialize + Sync>(folder: &Path) -> Result<Vec<Checked>> {
    let index = Index::<B>::open(folder)?;
    let header = index.header();
    if header.format_version < 2 {
        // All of it was read as it was opened, but for the numbers.
        let finite = index.segments().iter().all(|s| s.vectors().iter().all(|v| v.is_finite()));
        let damage = (!finite).then(|| format!("{VECTORS}: holds numbers that are not finite"));
        return Ok(vec![Checked { segment: HEADER.into(), rows: header.count, damage }]);
    }
    let contract = header.model.contract();
    let seen = header.parts.segments.par_iter().map(|part| {
        let damage =
            index.damaged().iter().find(|(name, _)| *name == part.folder()).map(|(_, why)| why.clone());
        let damage = damage.or_else(|| whole(&index, folder, part, &contract).err().map(|e| e.to_string()));
        Checked { segment: part.folder(), rows: part.rows + part.copies, damage }
    });
    Ok(seen.collect())
}

fn whole<B: Sync>(index: &Index<B>, folder: &Path, part: &crate::SegmentRef, contract: &str) -> Result<()> {
    let at = folder.join(part.folder());
    let derived = [
        (CODES, part.codes.as_ref().map(|codes| &codes.sum)),
        (GRAPH, part.graph.as_ref()),
        (WORDS, part.words.as_ref()),
    ];
    let derived = derived.into_iter().filter_map(|(name, sum)| Some((name, sum?)));
    for (name, expected) in [(VECTORS, &part.vectors), (COLUMNS, &part.columns)].into_iter().chain(derived) {
        if sum_of(&at.join(name))? != *expected {
            return Err(Error::format(&at.join(name), "not the bytes that were written"));
        }
    }
    let path = at.join(ITEMS);
    let number = index
        .header()
        .parts
        .segments
        .iter()
        .filter(|p| !index.damaged().iter().any(|(d, _)| *d == p.folder()));
    let number = number.take_while(|p| p.number != part.number).count();
    let Some(segment) = index.segments().get(number) else { return Ok(()) };
    if crate::sum(segment.lines(), contract) != part.sum {
        return Err(Error::format(&path, "not the bytes that were written"));
    }
    let broken = |row: &usize| {
        let item = segment.line(*row).and_then(|line| serde_json::from_slice::<Item>(line).ok());
        item.is_none_or(|item| item.modality != segment.modality(*row))
    };
    if let Some(row) = (0..segment.len()).into_par_iter().find_first(broken) {
        return Err(Error::format(&path, format!("line {} is no item of its row", row + 1)));
    }
    if segment.vectors().iter().any(|value| !value.is_finite()) {
        return Err(Error::format(&at.join(VECTORS), "holds numbers that are not finite"));
    }
    Ok(())
}

/// Takes the damaged segments out of the index in `folder`; how many items are lost, whose files the next `add` embeds again.
///
/// # Errors
/// As [`check`]; no space.
pub fn repair<B: DeserializeOwned + Serialize>(folder: &Path, seen: &[Checked]) -> Result<usize> {
    let bad: Vec<String> = seen.iter().filter(|s| s.damage.is_some()).map(|s| s.segment.clone()).collect();
    if bad.is_empty() || bad.iter().any(|name| name == HEADER) {
        return Ok(0);
    }
    Ok(Editor::<B>::repair(folder, &bad)?.1)
}
