//! What several of these commands say.

use crate::style;
use unisono_jobs::inspect::{Misnamed, Spread};

/// Lines of one kind that are printed in full.
pub(super) const SHOWN: usize = 20;

/// Notes on files whose endings promise something else.
pub(super) fn misnamed(files: &[Misnamed]) -> String {
    let line =
        |file: &Misnamed| format!("note: {}: is {}, not what its ending says", file.path, file.content);
    list(files, line, files.len(), "such files")
}

/// Notes on groups that cross from one split to another.
pub(super) fn crossing(groups: &[(String, String, String)]) -> String {
    let Some((group, a, b)) = groups.first() else { return String::new() };
    let n = style::count(groups.len(), "group");
    format!("note: {n} in more than one split, such as {group:?} in {a} and {b}\n")
}

/// The first lines, and how many more there are.
pub(super) fn list<T>(all: &[T], line: impl Fn(&T) -> String, count: usize, what: &str) -> String {
    let mut text: String = all.iter().take(SHOWN).map(|one| line(one) + "\n").collect();
    if count > SHOWN.min(all.len()) {
        text += &format!("and {} more {what} (--json lists them)\n", count - SHOWN.min(all.len()));
    }
    text
}

/// `1 to 12, median 5, 95 % up to 9`.
pub(super) fn spread(of: &Spread, write: impl Fn(f64) -> String) -> String {
    if of.min == of.max {
        return write(of.min);
    }
    let [min, median, p95, max] = [of.min, of.median, of.p95, of.max].map(write);
    format!("{min} to {max}, median {median}, 95 % up to {p95}")
}

pub(super) fn named(name: &str) -> &str {
    if name.is_empty() { "(none)" } else { name }
}
