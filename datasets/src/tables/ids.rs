//! Whether ids are unique, in bounded memory however many there are.

use crate::plain::quoted;
use crate::{Error, Result};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Sums of ids that are held at once; of more ids the rows are gone through several times.
const HELD: u64 = 1 << 24;

/// Of each the file and row that it stands in.
type Id<'a> = Result<(&'a Path, u64, String)>;

fn sum(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Refuses an id that stands twice.
///
/// # Errors
/// Both places; what `ids` says.
pub(super) fn unique<'a, I: Iterator<Item = Id<'a>>>(rows: u64, ids: &dyn Fn() -> I) -> Result<()> {
    let passes = rows / HELD + 1;
    for pass in 0..passes {
        let mut sums = Vec::new();
        for id in ids() {
            let sum = sum(&id?.2);
            if sum % passes == pass {
                sums.push(sum);
            }
        }
        sums.sort_unstable();
        let twice: Vec<u64> = sums.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
        if !twice.is_empty() {
            same(&twice, ids())?;
        }
    }
    Ok(())
}

/// Ids with one sum are not always the same.
fn same<'a>(twice: &[u64], ids: impl Iterator<Item = Id<'a>>) -> Result<()> {
    let mut seen: HashMap<String, (&Path, u64)> = HashMap::new();
    for id in ids {
        let (path, row, id) = id?;
        if twice.binary_search(&sum(&id)).is_err() {
            continue;
        }
        if let Some((first, at)) = seen.get(&id) {
            let message = format!(
                "row {row}: the id {} stands in row {at} of {} already: ids must be unique; without columns.id rows are told apart by their numbers",
                quoted(&id),
                first.display()
            );
            return Err(Error::archive(path, message));
        }
        seen.insert(id, (path, row));
    }
    Ok(())
}
