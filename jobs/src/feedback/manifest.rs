//! Votes as a manifest: pairs of words and what they were said to mean, and hard negatives.

use super::votes::{Voted, read};
use crate::curate::write_lines;
use crate::{Error, Item, Modality, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use unisono_datasets::reopened;
use unisono_files::{Sum, short_sum, write_atomic};
use unisono_media::Blob;

/// The splits of queries that are learned from, and of those that judge.
const SPLITS: [&str; 2] = ["train", "val"];

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fed {
    /// The manifest.
    pub out: PathBuf,
    /// Queries that something was found for, by split.
    pub queries: BTreeMap<&'static str, usize>,
    /// Records of votes.
    pub pairs: usize,
    /// Records of what was voted on with its own caption: what the model knows of it already.
    pub own: usize,
    /// Negatives in all.
    pub negatives: usize,
    /// Records of votes by what was found: text (two texts), image, audio, video.
    pub found: BTreeMap<&'static str, usize>,
    /// Files that were taken out of archives and tables, into the folder beside the manifest.
    pub taken_out: usize,
    /// Votes that make no record: on what is not there any more, on hits without a caption for words that nothing was found for.
    pub unused: usize,
    /// Lines that are no votes.
    pub damaged: usize,
}

/// Whether a query is of the share that judges and is not learned from: a function of its words alone.
pub fn is_held_out(query: &str, share: f64) -> bool {
    let letters = Sum::of(query.trim().as_bytes());
    let number = letters.get(..8).and_then(|first| u32::from_str_radix(first, 16).ok()).unwrap_or(0);
    (f64::from(number) + 0.5) / 4_294_967_296.0 < share
}

/// A record under construction.
struct Line {
    id: String,
    text: String,
    item: Item,
    /// The medium's file, as the manifest names it; none of a text.
    file: Option<PathBuf>,
    split: &'static str,
    negatives: Vec<String>,
}

impl Line {
    /// As a manifest has it; none of what is not there, and of a text that says nothing else than `text`.
    fn of(text: &str, item: &Item, split: &'static str, files: &mut Files) -> Option<Self> {
        let file = match &item.blob {
            Some(blob) => Some(files.of(blob)?),
            None => {
                item.text.as_deref().filter(|own| !own.trim().is_empty() && own.trim() != text.trim())?;
                None
            }
        };
        let mut sum = Sum::default();
        [text.as_bytes(), item.id.as_bytes()].into_iter().for_each(|part| sum.part(part));
        let id = short_sum(sum.letters().as_bytes());
        Some(Self { id, text: text.to_owned(), item: item.clone(), file, split, negatives: Vec::new() })
    }

    fn json(&self) -> Value {
        let mut line = Map::new();
        line.insert("id".into(), self.id.clone().into());
        let Some(file) = &self.file else {
            // The words, and what was found for them.
            line.insert("text".into(), json!([self.text, self.item.text]));
            return self.rest(line);
        };
        line.insert("text".into(), self.text.clone().into());
        line.insert(self.kind().into(), json!(file));
        for (key, time) in [("start", self.item.span.start), ("end", self.item.span.end)] {
            if let Some(time) = time {
                line.insert(key.into(), json!(time.seconds()));
            }
        }
        self.rest(line)
    }

    /// What was found, as a manifest calls it.
    fn kind(&self) -> &'static str {
        match self.item.modality {
            Modality::Text => "text",
            _ if self.item.video => "video",
            Modality::Image => "image",
            Modality::Audio => "audio",
            Modality::Video => "video",
        }
    }

    fn rest(&self, mut line: Map<String, Value>) -> Value {
        // Whatever was said of one thing is right of it.
        line.insert("label".into(), self.item.id.clone().into());
        line.insert("split".into(), self.split.into());
        if !self.negatives.is_empty() {
            line.insert("negatives".into(), json!(self.negatives));
        }
        Value::Object(line)
    }
}

/// Where a manifest finds media: their own files; of parts of archives and of values in tables copies, in a folder beside the manifest.
struct Files {
    /// The manifest's name, with another ending.
    folder: PathBuf,
    known: HashMap<Blob, Option<PathBuf>>,
}

impl Files {
    fn of(&mut self, blob: &Blob) -> Option<PathBuf> {
        if let Some(path) = blob.path() {
            return Some(path.to_owned());
        }
        if let Some(known) = self.known.get(blob) {
            return known.clone();
        }
        let taken = self.take_out(blob);
        self.known.insert(blob.clone(), taken.clone());
        taken
    }

    /// The copy's path from the manifest; none where there is nothing to copy any more.
    fn take_out(&self, blob: &Blob) -> Option<PathBuf> {
        let mut opened = reopened(blob).ok()?.open().ok()?;
        fs::create_dir_all(&self.folder).ok()?;
        let mut name = short_sum(Sum::of(&blob.identity()).as_bytes());
        if let Some(ending) = blob.name().extension().and_then(|ending| ending.to_str()) {
            name = format!("{name}.{ending}");
        }
        let copy = |out: &mut dyn Write| std::io::copy(&mut opened, out).map(drop);
        write_atomic(&self.folder.join(&name), copy).ok()?;
        Some(Path::new(self.folder.file_name()?).join(name))
    }

    fn taken_out(&self) -> usize {
        self.known.values().flatten().count()
    }
}

/// Writes a manifest of the votes in these files: a record for each query and each hit that was said to be right for it; for each hit its own caption, too; and as `negatives` of
/// a hit's records the words that it was said to be wrong for. A share of the queries is held out (split `val`), by their words. What lies in archives and tables is copied into a folder beside
/// the manifest, called as it is but for `.media`; a record of a text has both texts.
///
/// # Errors
/// Files without votes; no query that is learned from, or none that is held out.
pub fn from_feedback(paths: &[PathBuf], out: &Path, held_out: f64) -> Result<Fed> {
    let (votes, damaged) = read(paths)?;
    let mut made = Fed {
        out: out.to_owned(),
        queries: BTreeMap::new(),
        pairs: 0,
        own: 0,
        negatives: 0,
        found: BTreeMap::new(),
        taken_out: 0,
        unused: 0,
        damaged,
    };
    let mut files = Files { folder: out.with_extension("media"), known: HashMap::new() };
    // By what they say of which item; of each query the first of its records, which has its words.
    let (mut lines, mut of_query) = (BTreeMap::<(String, String), Line>::new(), BTreeMap::new());
    for (query, Voted { up, .. }) in &votes {
        let split = SPLITS[usize::from(is_held_out(query, held_out))];
        for item in up {
            let Some(line) = Line::of(query, item, split, &mut files) else {
                made.unused += 1;
                continue;
            };
            of_query.entry(query).or_insert_with(|| (line.id.clone(), split));
            *made.found.entry(line.kind()).or_default() += 1;
            lines.insert((item.id.clone(), query.clone()), line);
            made.pairs += 1;
        }
    }
    for (_, split) in of_query.values() {
        *made.queries.entry(*split).or_default() += 1;
    }
    for (query, Voted { up, down }) in &votes {
        if is_held_out(query, held_out) {
            continue;
        }
        for item in up.iter().chain(down) {
            let own = item.text.as_ref().filter(|text| !text.trim().is_empty());
            let key = |text: &String| (item.id.clone(), text.clone());
            if let Some(text) = own.filter(|text| !lines.contains_key(&key(text)))
                && let Some(line) = Line::of(text, item, SPLITS[0], &mut files)
            {
                lines.insert(key(text), line);
                made.own += 1;
            }
        }
    }
    for (query, Voted { down, .. }) in &votes {
        for item in down {
            let wrong = of_query.get(query);
            let used = wrong.map_or(0, |(id, split)| {
                let of = lines.range_mut((item.id.clone(), String::new())..);
                let of = of.take_while(|((owner, _), _)| *owner == item.id).map(|(_, line)| line);
                let mut count = 0;
                for line in of.filter(|line| line.split == *split && line.text != *query) {
                    line.negatives.push(id.clone());
                    count += 1;
                }
                count
            });
            made.negatives += used;
            made.unused += usize::from(used == 0);
        }
    }
    for split in SPLITS {
        if !made.queries.contains_key(split) {
            let (path, all) = (out.display(), of_query.len());
            let what = if split == SPLITS[0] { "learned from" } else { "held out" };
            return Err(Error::Input(format!(
                "{path}: of {all} queries with a right hit none is {what} at --held-out {held_out}: give another share, or gather more votes"
            )));
        }
    }
    made.taken_out = files.taken_out();
    let mut ids = BTreeSet::new();
    let unique = lines.values().filter(|line| ids.insert(line.id.clone()));
    write_lines(out, unique.map(|line| Ok(line.json())))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::super::{Vote, Votes};
    use super::*;

    #[test]
    fn texts_and_parts_of_archives_make_records() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("shard.tar"), "headonetwo").unwrap();
        let part = |offset, name: &str| {
            let blob = Blob::part(at("shard.tar"), offset, 3, name);
            Item {
                id: name.into(),
                text: Some(format!("caption of {name}")),
                ..Item::file(blob, Modality::Image)
            }
        };
        let (one, two) = (part(4, "a/one.jpg"), part(7, "a/two.jpg"));
        let gone = Item {
            id: "gone".into(),
            ..Item::file(Blob::part(at("none.tar"), 0, 3, "x.png"), Modality::Image)
        };
        let votes = Votes::open(&at("votes.jsonl")).unwrap();
        let said = |query: &str, item: &Item, vote: i8| {
            votes.append(&Vote::new(query, item.clone(), vote, "sum")).unwrap()
        };
        for n in 0..8 {
            said(&format!("first {n}"), &one, 1);
            said(&format!("first {n}"), &two, -1);
            said(&format!("words {n}"), &Item::text(format!("t{n}"), format!("a text about {n}")), 1);
        }
        said("first 0", &gone, 1);
        // Words that say what the text says teach nothing.
        said("the same", &Item::text("same", "the same"), 1);
        let out = at("fed.jsonl");
        let made = from_feedback(&[at("votes.jsonl")], &out, 0.4).unwrap();
        assert_eq!((made.pairs, made.taken_out, made.found["text"], made.found["image"]), (16, 2, 8, 8));
        assert!(made.own == 2 && made.unused >= 2 && made.negatives > 0, "{made:?}");
        let records = unisono_datasets::Manifest::load(&out).unwrap().records;
        assert_eq!(records.len(), 18);
        let images: Vec<_> =
            records.iter().filter_map(|r| r.image.as_ref()?.path().map(Path::to_owned)).collect();
        let bytes: BTreeSet<Vec<u8>> = images.iter().map(|path| fs::read(path).unwrap()).collect();
        assert_eq!(bytes, BTreeSet::from([b"one".to_vec(), b"two".to_vec()]));
        assert!(
            images.iter().all(|path| path.starts_with(at("fed.media")) && path.extension().unwrap() == "jpg")
        );
        let text = records.iter().find(|r| r.label.as_deref() == Some("t3")).unwrap();
        assert_eq!(text.text, ["words 3", "a text about 3"]);
        // Once more: the same bytes.
        let before = fs::read(&out).unwrap();
        from_feedback(&[at("votes.jsonl")], &out, 0.4).unwrap();
        assert_eq!(fs::read(&out).unwrap(), before);
    }
}
