//! What a check finds.

use crate::inspect::Misnamed;
use serde::Serialize;

/// A source, checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Checked {
    /// Records, those that cannot be read among them.
    pub records: usize,
    /// Files that were decoded: images, audio files and videos, each once.
    pub files: usize,
    /// Records that cannot be read, or name a file that is broken.
    pub broken_records: usize,
    /// How many problems there are.
    pub problem_count: usize,
    /// The first ten thousand of them, by file.
    pub problems: Vec<Problem>,
    /// All of them, by where they were found and why, the most frequent first.
    pub causes: Vec<Cause>,
    /// Files whose content is not what their names' endings promise. They are read by their content.
    pub misnamed: Vec<Misnamed>,
    /// Files of equal bytes, and records of nothing but equal texts.
    pub exact: Duplicates,
    /// Images that look alike.
    pub alike: Duplicates,
    /// Files whose vectors are nearly the same; absent where no model was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vectors: Option<Duplicates>,
    /// Files that records of several splits name: those which no list of duplicates holds, being one file.
    pub shared: Duplicates,
    /// Groups of near-copies that stand in two splits, with those: what was learned would be tested.
    pub crossing_groups: Vec<(String, String, String)>,
    /// So many of the first images were compared by their looks, and so many files by their vectors, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<usize>,
}

impl Checked {
    /// Groups of duplicates of any kind.
    pub fn duplicates(&self) -> usize {
        self.exact.groups + self.alike.groups + self.vectors.as_ref().map_or(0, |found| found.groups)
    }

    /// What stands in several splits: duplicates of any kind, files, and groups.
    pub fn leaks(&self) -> usize {
        let vectors = self.vectors.as_ref().map_or(0, |found| found.leaks);
        self.exact.leaks + self.alike.leaks + vectors + self.shared.leaks + self.crossing_groups.len()
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, or the record that cannot be read.
    pub id: String,
    /// The first record that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Where it was found: `read` (the record), `open`, `decode`.
    pub stage: &'static str,
    /// What was wrong, in one line.
    pub reason: String,
}

/// How often something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Where it was found.
    pub stage: &'static str,
    /// What was wrong, without what is of one file only.
    pub cause: String,
    /// Problems.
    pub count: u64,
}

/// Duplicates of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Duplicates {
    /// How many groups there are.
    pub groups: usize,
    /// How many files, or records of texts, are in them.
    pub members: usize,
    /// Groups with members in several splits: what was learned is tested.
    pub leaks: usize,
    /// Groups whose members are not all of one `group` of the source: near-copies that it does not know of.
    pub unknown: usize,
    /// The first thousand groups: leaks first, then those that the source does not know of, the largest first.
    pub listed: Vec<Group>,
}

/// Duplicates of each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    /// Members in several splits.
    pub leak: bool,
    /// The source says of all of them that they are of one group.
    pub known: bool,
    /// How many there are.
    pub count: usize,
    /// The root mean square difference of the closest two, or their cosine; absent of equal ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<f32>,
    /// The first hundred.
    pub members: Vec<Member>,
}

/// One of several duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The record's id.
    pub record: String,
    /// The file; absent of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The record's split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
}
