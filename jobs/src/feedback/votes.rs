//! Votes: a line of JSON each, appended, on the disk before they are answered.

use crate::{Error, Item, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use unisono_files::{Budget, open_own};

/// What somebody thinks of a hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// The words that were searched with.
    pub query: String,
    /// 1: it is what was looked for; -1: it is not; 0: neither, an earlier vote is taken back.
    pub vote: i8,
    /// The hit.
    pub item: Item,
    /// Its cosine then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Its place among the hits, from 1 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// SHA-256 of the model that found it.
    pub model: String,
}

impl Vote {
    /// A vote of now.
    pub fn new(query: &str, item: Item, vote: i8, model: &str) -> Self {
        let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let (query, model) = (query.trim().to_owned(), model.to_owned());
        Self { at, query, vote, item, score: None, rank: None, model }
    }
}

/// The file that votes are appended to.
#[derive(Debug)]
pub struct Votes {
    path: PathBuf,
    file: Mutex<File>,
}

impl Votes {
    /// Opens the file, or makes it. A line that was cut off by the end of a process is ended, and passed over by whoever reads.
    ///
    /// # Errors
    /// It is no file of one's own.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = open_own(path)?;
        let io = |e| Error::io(path, "read")(e);
        if file.seek(SeekFrom::End(0)).map_err(io)? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1)).map_err(io)?;
            file.read_exact(&mut last).map_err(io)?;
            if last != *b"\n" {
                file.write_all(b"\n").map_err(Error::io(path, "write"))?;
            }
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Appends a vote; it is on the disk when this returns.
    ///
    /// # Errors
    /// The system's: nothing of it counts then.
    pub fn append(&self, vote: &Vote) -> Result<()> {
        let mut line = serde_json::to_vec(vote).map_err(|e| Error::format(&self.path, e.to_string()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let before = file.seek(SeekFrom::End(0)).map_err(Error::io(&self.path, "write"))?;
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            // A part of a line would spoil the next one.
            drop(file.set_len(before));
        }
        written.map_err(Error::io(&self.path, "write"))
    }
}

/// What is thought of the hits of one query: the last vote on each counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Voted {
    /// What was looked for.
    pub up: Vec<Item>,
    /// What was not.
    pub down: Vec<Item>,
}

/// The votes of these files by their queries, and how many lines are none.
///
/// # Errors
/// A file that cannot be read, or no vote in any of them.
pub fn read(paths: &[PathBuf]) -> Result<(BTreeMap<String, Voted>, usize)> {
    let (mut last, mut damaged) = (BTreeMap::<(String, String), Vote>::new(), 0);
    for path in paths {
        let text = unisono_files::read_text(path, &Budget::VOCABULARY)?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Vote>(line) {
                Ok(vote) => drop(last.insert((vote.query.clone(), vote.item.id.clone()), vote)),
                Err(_) => damaged += 1,
            }
        }
    }
    let mut queries = BTreeMap::<String, Voted>::new();
    for ((query, _), vote) in last {
        let of = queries.entry(query).or_default();
        match vote.vote {
            1.. => of.up.push(vote.item),
            0 => {}
            _ => of.down.push(vote.item),
        }
    }
    queries.retain(|_, voted| !voted.up.is_empty() || !voted.down.is_empty());
    match (queries.is_empty(), paths.first()) {
        (true, Some(first)) => Err(Error::format(
            first,
            format!("no vote in it ({damaged} lines that are none); `unisono serve --votes` writes them"),
        )),
        _ => Ok((queries, damaged)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_vote_counts_and_a_line_that_was_cut_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("votes.jsonl");
        let vote = |query: &str, id: &str, vote: i8| Vote::new(query, Item::text(id, id), vote, "sum");
        let votes = Votes::open(&path).unwrap();
        for (query, id, of) in [("a", "x", 1), ("a", "y", -1), ("b", "x", -1), ("a", "y", 1), ("b", "x", 0)] {
            votes.append(&vote(query, id, of)).unwrap();
        }
        drop(votes);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"at\": \"20"].concat()).unwrap();
        Votes::open(&path).unwrap().append(&vote(" c ", "z", -1)).unwrap();
        let (found, damaged) = read(std::slice::from_ref(&path)).unwrap();
        let ids = |all: &[Item]| all.iter().map(|i| i.id.clone()).collect::<Vec<_>>();
        assert_eq!((found.len(), damaged), (2, 1));
        assert_eq!(ids(&found["a"].up), ["x", "y"]);
        assert_eq!((ids(&found["c"].up), ids(&found["c"].down)), (vec![], vec!["z".to_owned()]));
        std::fs::write(&path, "no votes\n").unwrap();
        assert!(read(&[path]).unwrap_err().to_string().contains("no vote in it (1 lines"));
    }
}
