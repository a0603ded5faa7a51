//! Which line of a file is of which record.

use super::form::Said;
use crate::lines::{Lined, Words};
use crate::source::{Key, Source};
use crate::{Error, Result, plain};
use rayon::prelude::*;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// Lines and records that are taken at once, by all threads.
const CHUNK: u32 = 1 << 16;

/// What tells an id from others. Keyed at random: nobody writes two ids of one sum.
type Sum = [u64; 2];

/// How sums are made.
#[derive(Debug, Default)]
struct Sums([RandomState; 2]);

impl Sums {
    fn of(&self, id: &str) -> Sum {
        [self.0[0].hash_one(id), self.0[1].hash_one(id)]
    }
}

/// What lines say that decides which parts of a source a record belongs to: the split's and the language's numbers from 1, and which media
/// and texts there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    split: u16,
    lang: u16,
    has: u8,
}

impl Change {
    /// What a later file says outweighs.
    fn then(self, later: Self) -> Self {
        let last = |a: u16, b: u16| if b > 0 { b } else { a };
        Self {
            split: last(self.split, later.split),
            lang: last(self.lang, later.lang),
            has: self.has | later.has,
        }
    }

    /// The key of a record of which this is said.
    pub(super) fn over<'a>(&self, key: Key<'a>, splits: &'a [String], langs: &'a [String]) -> Key<'a> {
        let word = |words: &'a [String], number: u16| {
            usize::from(number).checked_sub(1).and_then(|i| words.get(i)).map(String::as_str)
        };
        let bit = |bit: u8| self.has & 1 << bit != 0;
        Key {
            split: word(splits, self.split).or(key.split),
            lang: word(langs, self.lang).or(key.lang),
            text: key.text || bit(0),
            image: key.image || bit(1),
            audio: key.audio || bit(2),
            video: key.video || bit(3),
        }
    }
}

/// The lines of a file by their ids' sums: 32 bytes each, while records are joined with them.
struct Table<'a> {
    file: &'a Lined<Said>,
    lines: Vec<(Sum, u32, Change)>,
    /// Of each whether a record has this id.
    met: Vec<bool>,
}

impl<'a> Table<'a> {
    fn new(file: &'a Lined<Said>, sums: &Sums, splits: &mut Words, langs: &mut Words) -> Result<Self> {
        let count = number(file)?;
        let mut lines = Vec::with_capacity(count as usize);
        for start in (0..count).step_by(CHUNK as usize) {
            let end = count.min(start.saturating_add(CHUNK));
            let sum = |line: u32| Ok(sums.of(&file.id(line as usize)?));
            let found: Vec<Sum> = (start..end).into_par_iter().map(sum).collect::<Result<_>>()?;
            for (line, sum) in (start..end).zip(found) {
                let key = file.key(line as usize);
                let bad = |message| Error::archive(file.path(), message);
                let word = |words: &mut Words, word: Option<&str>| match word {
                    Some(word) => words.number(Some(word.to_owned())).map_err(bad),
                    None => Ok(0),
                };
                let (split, lang) = (word(splits, key.split)?, word(langs, key.lang)?);
                let has = [key.text, key.image, key.audio, key.video];
                let has = has.iter().enumerate().fold(0, |has, (bit, is)| has | u8::from(*is) << bit);
                lines.push((sum, line, Change { split, lang, has }));
            }
        }
        lines.par_sort_unstable_by_key(|(sum, ..)| *sum);
        let met = vec![false; lines.len()];
        Ok(Self { file, lines, met })
    }

    /// The place of an id among the lines.
    fn find(&self, sum: &Option<Sum>) -> Option<usize> {
        let sum = sum.as_ref()?;
        self.lines.binary_search_by_key(sum, |(sum, ..)| *sum).ok()
    }

    /// Which of its ids no record has: how many, and the first.
    fn unmet(&self) -> Result<Option<(usize, String)>> {
        let unmet = || self.met.iter().zip(&self.lines).filter(|(met, _)| !**met).map(|(_, line)| line.1);
        match unmet().min() {
            None => Ok(None),
            Some(first) => Ok(Some((unmet().count(), self.file.id(first as usize)?.into_owned()))),
        }
    }
}

/// Which lines are of which records.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// The records that are kept, by their numbers in the source; `None`: all.
    pub(super) rows: Option<Vec<u32>>,
    /// For each file the line of each record that is kept, from 1; 0: none.
    pub(super) lines: Vec<Vec<u32>>,
    /// What is said of each record that is kept; empty where there is no file.
    pub(super) changes: Vec<Change>,
    pub(super) splits: Vec<String>,
    pub(super) langs: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// How many records there are, where they can be told apart by 32 bits.
pub(super) fn number(source: &dyn Source) -> Result<u32> {
    let len = source.len();
    u32::try_from(len).ok().filter(|len| *len < u32::MAX).ok_or_else(|| {
        let path = source.path().display();
        Error::Options(format!("{path}: expected less than 2^32 records for annotations, found {len}"))
    })
}

/// Joins the lines of `files` with the records of a source, and keeps those that `only` names.
///
/// # Errors
/// A file that cannot be read; `only` names no record.
pub(super) fn join(source: &dyn Source, files: &[Lined<Said>], only: Option<&Lined<Said>>) -> Result<Joined> {
    let (sums, count) = (Sums::default(), number(source)?);
    let (mut splits, mut langs) = (Words::default(), Words::default());
    let mut table = |file| Table::new(file, &sums, &mut splits, &mut langs);
    let mut tables: Vec<Table> = files.iter().map(&mut table).collect::<Result<_>>()?;
    let mut only = only.map(&mut table).transpose()?;
    let mut joined = Joined { lines: vec![Vec::new(); tables.len()], ..Joined::default() };
    let (mut rows, mut nameless) = (Vec::new(), 0usize);
    for start in (0..count).step_by(CHUNK as usize) {
        let end = count.min(start.saturating_add(CHUNK));
        let sum = |row: u32| source.id(row as usize).ok().map(|id| sums.of(&id));
        let found: Vec<Option<Sum>> = (start..end).into_par_iter().map(sum).collect();
        nameless += found.iter().filter(|sum| sum.is_none()).count();
        let kept: Option<Vec<bool>> = only.as_mut().map(|only| {
            let places: Vec<Option<usize>> = found.par_iter().map(|sum| only.find(sum)).collect();
            places.iter().flatten().for_each(|place| only.met[*place] = true);
            places.iter().map(Option::is_some).collect()
        });
        let kept = |at: usize| kept.as_ref().is_none_or(|kept| kept[at]);
        if only.is_some() {
            rows.extend((start..end).enumerate().filter(|(at, _)| kept(*at)).map(|(_, row)| row));
        }
        for (table, lines) in tables.iter_mut().zip(&mut joined.lines) {
            let places: Vec<Option<usize>> = found.par_iter().map(|sum| table.find(sum)).collect();
            places.iter().flatten().for_each(|place| table.met[*place] = true);
            for (_, place) in places.iter().enumerate().filter(|(at, _)| kept(*at)) {
                let (line, change) = place.map_or((0, Change::default()), |place| {
                    let (_, line, change) = table.lines[place];
                    (line + 1, change)
                });
                lines.push(line);
                match joined.changes.get_mut(lines.len() - 1) {
                    Some(before) => *before = before.then(change),
                    None => joined.changes.push(change),
                }
            }
        }
    }
    for table in tables.iter().chain(&only) {
        let Some((unmet, id)) = table.unmet()? else { continue };
        let (path, id) = (table.file.path(), plain::quoted(&id));
        joined.notes.push(format!(
            "{}: {unmet} of its {} ids are of no record of {}, the first is {id}",
            path.display(),
            table.lines.len(),
            source.path().display()
        ));
    }
    if let Some(only) = only {
        if rows.is_empty() {
            return Err(none_kept(source, only.file)?);
        }
        if nameless > 0 {
            let message = format!("{nameless} records cannot be read and have no id: they are left out");
            joined.notes.push(format!("{}: {message}", source.path().display()));
        }
        joined.rows = (rows.len() < count as usize).then_some(rows);
    }
    (joined.splits, joined.langs) = (splits.words, langs.words);
    Ok(joined)
}

/// What to say where nothing is left.
fn none_kept(source: &dyn Source, only: &Lined<Said>) -> Result<Error> {
    let name = |id: Result<std::borrow::Cow<'_, str>>| id.map(|id| plain::quoted(&id));
    let (wanted, there) = (name(only.id(0))?, name(source.id(0)).unwrap_or_else(|_| "none".into()));
    let path: &Path = source.path();
    let message = format!(
        "none of its ids is of a record of {}: its first is {wanted}, that of the first record there {there}",
        path.display()
    );
    Ok(Error::archive(only.path(), message))
}
