//! Groups of near-copies among the stamps, and the splits made of them.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::super::groups::{UnionFind, choose};
use super::catalog::{Stamp, normalise};
use crate::similar::{self, Thumbnail};
use crate::{Error, Result};

/// Stamps in the test split, about a fifth.
const TEST: usize = 187;
/// Stamps in the validation split.
const VAL: usize = 47;
/// Larger groups are series (alphabets, coins): one would fill a test with near-copies of itself.
const LARGEST_TESTED: usize = 8;
/// Root mean square difference of thumbnails below which two images are the same drawing.
const SAME_IMAGE: f32 = 14.0;

/// Group name and split of each stamp.
pub(super) fn split(
    media: &Path,
    stamps: &[Stamp],
    thumbnails: &[Option<Thumbnail>],
) -> Result<(Vec<String>, Vec<&'static str>)> {
    let mut sets = UnionFind::new(stamps.len());
    // What is said: the same caption in any language that is spoken, so a sentence heard in training is not tested.
    let english = stamps.iter().enumerate().map(|(i, s)| (i, normalise(&s.english)));
    sets.union_by_key(english);
    let spoken = stamps.iter().enumerate().flat_map(|(i, s)| {
        let said = s.spoken.keys().filter_map(|lang| Some((lang.clone(), normalise(s.texts.get(lang)?))));
        said.map(move |key| (i, key))
    });
    sets.union_by_key(spoken);
    sets.union_by_key(stamps.iter().enumerate().filter_map(|(i, s)| Some((i, series(s)?))));
    sets.union_by_key(stamps.iter().enumerate().filter_map(|(i, s)| Some((i, siblings(&s.name)?))));
    sets.union_by_key(recordings(media, stamps)?);
    for (a, b) in similar::pairs(thumbnails, SAME_IMAGE) {
        sets.union(a, b);
    }
    let sets = sets.sets();
    let mut groups = vec![String::new(); stamps.len()];
    for members in sets.values() {
        // Members are in order of names: the first names the group.
        members.iter().for_each(|&m| groups[m] = stamps[members[0]].name.clone());
    }
    Ok((groups, assign(stamps, sets)))
}

fn assign(stamps: &[Stamp], sets: BTreeMap<usize, Vec<usize>>) -> Vec<&'static str> {
    let mut splits = vec!["train"; stamps.len()];
    let spoken = |members: &[usize]| members.iter().all(|&m| stamps[m].spoken.len() >= 4);
    let candidates: BTreeMap<&str, &Vec<usize>> = (sets.values())
        .filter(|members| members.len() <= LARGEST_TESTED && spoken(members))
        .map(|members| (stamps[members[0]].name.as_str(), members))
        .collect();
    let mut left = candidates.clone();
    for (split, target) in [("test", TEST), ("val", VAL)] {
        let sizes: Vec<(&str, usize)> = left.iter().map(|(name, members)| (*name, members.len())).collect();
        for name in choose(split, &sizes, target) {
            if let Some(members) = left.remove(name.as_str()) {
                members.iter().for_each(|&m| splits[m] = split);
            }
        }
    }
    splits
}

/// What stamps of a series have in common: folder and caption with letters, numbers and amounts blanked out.
fn series(stamp: &Stamp) -> Option<(String, String)> {
    const NUMBERS: [&str; 22] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve", "twenty", "fifty", "hundred", "half", "quarter", "first", "second", "third", "fourth",
    ];
    let text = normalise(&stamp.english);
    let mut blanks = false;
    let mut blank = |word: &str| {
        let letter = word.chars().count() == 1;
        let hit = letter || word.chars().any(|c| c.is_numeric()) || NUMBERS.contains(&word);
        blanks |= hit;
        if hit { "#".to_owned() } else { word.trim_end_matches('s').to_owned() }
    };
    let mut words: Vec<String> = text.split(' ').map(&mut blank).collect();
    words.dedup();
    // Letters' names and drawings repeat across the alphabets' folders (filled, outlined).
    let folder = match stamp.name.split('/').take(2).collect::<Vec<_>>()[..] {
        ["symbols", second] => format!("symbols/{second}"),
        _ => stamp.name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
    };
    let always = folder == "symbols/alphabets" || folder == "symbols/money" || folder == "symbols/math";
    if always {
        // Whatever their captions: "Two.", "Plus.", "The euro sign.".
        return Some((folder, String::new()));
    }
    blanks.then(|| (folder, words.join(" ")))
}

/// Folder and first word of the file name: `dreydl-hay` and `dreydl-nun`, `apple_fuji` and `apple_green`. Words of one or
/// two letters are prefixes that say nothing of the thing.
fn siblings(name: &str) -> Option<(String, String)> {
    let (folder, file) = name.rsplit_once('/')?;
    let word = file.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase();
    (word.chars().count() > 2).then(|| (folder.to_owned(), word))
}

/// Stamps by the content of their recordings.
fn recordings(media: &Path, stamps: &[Stamp]) -> Result<Vec<(usize, [u8; 32])>> {
    let files: Vec<_> = (stamps.iter().enumerate())
        .flat_map(|(i, s)| s.spoken.values().flatten().map(move |p| (i, p)))
        .collect();
    let hash = |&(i, path): &(usize, &std::path::PathBuf)| {
        let path = media.join(path);
        let bytes = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
        Ok((i, Sha256::digest(bytes).into()))
    };
    files.par_iter().map(hash).collect()
}

#[cfg(test)]
#[path = "../../tests/stamps_group.rs"]
mod tests;
