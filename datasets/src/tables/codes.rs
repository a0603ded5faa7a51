//! What decides which parts of a source a row belongs to, kept small: a number a row, or one for a whole group of rows.

use crate::columnar::{Table, Value};
use crate::{Error, Result};
use std::collections::HashMap;

/// A column of few different words, in memory.
#[derive(Debug, Default)]
pub(super) struct Codes {
    names: Vec<String>,
    groups: Vec<Group>,
}

#[derive(Debug)]
enum Group {
    /// One for all rows; the number after the last name: none.
    All(u16),
    Each(Box<[u16]>),
}

/// Rows without a word.
const NONE: u16 = u16::MAX;

impl Codes {
    /// Reads a column; `what` names the field.
    ///
    /// # Errors
    /// It cannot be read, or has more than 65,534 different words.
    pub(super) fn read(table: &Table, leaf: usize, what: &str) -> Result<Self> {
        let groups = table.store().groups();
        let mut codes = Self::default();
        let mut known = HashMap::new();
        for ends in groups.windows(2) {
            let mut each = Vec::with_capacity((ends[1] - ends[0]) as usize);
            for row in ends[0]..ends[1] {
                let found = table.find(leaf, row)?;
                let word =
                    found.slots().next().and_then(|s| s.value).and_then(word).filter(|w| !w.is_empty());
                let code = match word {
                    None => NONE,
                    Some(word) => match known.get(&word) {
                        Some(code) => *code,
                        None if codes.names.len() >= usize::from(NONE) => {
                            let name = &table.store().leaves()[leaf].name;
                            let message = format!(
                                "the column {} has more than {NONE} different words: it is no {what}; name another in columns.{what}",
                                crate::plain::quoted(name)
                            );
                            return Err(Error::archive(table.store().path(), message));
                        }
                        None => {
                            let code = codes.names.len() as u16;
                            codes.names.push(word.clone());
                            known.insert(word, code);
                            code
                        }
                    },
                };
                each.push(code);
            }
            codes.groups.push(match each.first().copied() {
                Some(first) if each.iter().all(|code| *code == first) => Group::All(first),
                None => Group::All(NONE),
                Some(_) => Group::Each(each.into()),
            });
        }
        Ok(codes)
    }

    /// The word of a row of a group.
    pub(super) fn get(&self, group: usize, row: u32) -> Option<&str> {
        let code = match self.groups.get(group)? {
            Group::All(code) => *code,
            Group::Each(codes) => *codes.get(row as usize)?,
        };
        self.names.get(usize::from(code)).map(String::as_str)
    }
}

/// A value as a word.
pub(super) fn word(value: Value) -> Option<String> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Value::Int(n) => Some(n.to_string()),
        Value::Float(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
    }
}
