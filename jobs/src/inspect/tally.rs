//! What is counted while records come by. What is held does not grow with them.

use super::counts::{Distinct, Names, SPLITS};
use super::found::{Captions, Counts, Images, Inspection, Labels, Lengths, Misnamed};
use super::groups::Crossings;
use super::see::{File, Measure, Seen};
use super::spread::{Spread, Tallied};
use crate::Skip;
use crate::named::{Kind, number};
use std::collections::BTreeMap;
use unisono_datasets::Record;

/// Problems, and misnamed files, that are named; all are counted.
const NAMED: usize = 10_000;
/// Languages that are told apart; those that come after count under this name, and so do splits.
const LANGUAGES: usize = 2000;
const OTHERS: &str = "(others)";
/// Labels that are shown from each end.
const SHOWN: usize = 5;

#[derive(Default)]
pub(super) struct Tally {
    splits: Vec<String>,
    records: Vec<usize>,
    texts: Vec<usize>,
    languages: BTreeMap<String, usize>,
    /// Of records that name none, where it was looked for.
    detected: Option<BTreeMap<&'static str, usize>>,
    modalities: BTreeMap<String, usize>,
    keys: Distinct,
    images: Distinct,
    audio: Distinct,
    video: Distinct,
    labelled: usize,
    labels: Names,
    per_record: Tallied,
    words: Tallied,
    characters: Tallied,
    sizes: Vec<(u32, u32)>,
    seconds: [Vec<f64>; 2],
    unknown: [usize; 3],
    measured: usize,
    problems: Vec<Skip>,
    problem_count: usize,
    misnamed: Vec<Misnamed>,
    crossings: Crossings,
}

impl Tally {
    /// `detects`: languages are looked for in captions.
    pub(super) fn new(detects: bool) -> Self {
        Self { detected: detects.then(BTreeMap::new), ..Self::default() }
    }

    pub(super) fn add(&mut self, seen: Seen) {
        let record = match seen.record {
            Ok(record) => record,
            Err(skip) => return self.problem(skip),
        };
        let split = self.split(record.split.as_deref().unwrap_or_default());
        self.count(&record, split);
        if let Some(detected) =
            self.detected.as_mut().filter(|_| record.lang.is_none() && !record.text.is_empty())
        {
            *detected.entry(seen.spoken.unwrap_or_default()).or_insert(0) += 1;
        }
        for file in seen.files {
            self.file(file, split);
        }
    }

    pub(super) fn problem_count(&self) -> usize {
        self.problem_count
    }

    /// The number of a split.
    fn split(&mut self, name: &str) -> usize {
        let known = |splits: &[String], name: &str| splits.iter().position(|split| split == name);
        if let Some(place) = known(&self.splits, name) {
            return place;
        }
        let name = if self.splits.len() < SPLITS { name } else { OTHERS };
        known(&self.splits, name).unwrap_or_else(|| {
            self.splits.push(name.to_owned());
            self.records.push(0);
            self.texts.push(0);
            self.splits.len() - 1
        })
    }

    fn count(&mut self, record: &Record, split: usize) {
        self.records[split] += 1;
        self.texts[split] += record.text.len();
        let lang = record.lang.as_deref().unwrap_or_default();
        let known = self.languages.len() < LANGUAGES || self.languages.contains_key(lang);
        *self.languages.entry(if known { lang } else { OTHERS }.to_owned()).or_insert(0) += 1;
        let part = record.part_key();
        let has = [("text", part.text), ("image", part.image), ("audio", part.audio), ("video", part.video)];
        let has: Vec<&str> = has.into_iter().filter_map(|(name, there)| there.then_some(name)).collect();
        *self.modalities.entry(has.join(" + ")).or_insert(0) += 1;
        self.keys.add(number(record.key()), split);
        if let Some(label) = &record.label {
            self.labelled += 1;
            self.labels.add(label);
        }
        self.per_record.add(record.text.len());
        for text in &record.text {
            self.words.add(text.split_whitespace().count());
            self.characters.add(text.trim().chars().count());
        }
        self.crossings.add(record);
    }

    fn file(&mut self, file: File, split: usize) {
        let distinct = match file.kind {
            Kind::Image => &mut self.images,
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        };
        let new = distinct.add(file.identity, split);
        // Of parts of one video each has a length of its own.
        if !new && file.kind != Kind::Video {
            return;
        }
        match file.measured {
            Some(Measure::Size(width, height)) => self.sizes.push((width, height)),
            Some(Measure::Seconds(seconds)) => {
                self.seconds[usize::from(file.kind == Kind::Video)].push(seconds)
            }
            Some(Measure::Unknown) => self.unknown[file.kind as usize] += 1,
            None => {}
        }
        if !new {
            return;
        }
        self.measured += usize::from(file.measured.is_some());
        if let Some(skip) = file.problem {
            self.problem(skip);
        }
        if let Some((path, content)) = file.misnamed
            && self.misnamed.len() < NAMED
        {
            self.misnamed.push(Misnamed { path, content });
        }
    }

    fn problem(&mut self, skip: Skip) {
        self.problem_count += 1;
        if self.problems.len() < NAMED {
            self.problems.push(skip);
        }
    }

    /// What was found; of every `step`-th record the files' heads were read.
    pub(super) fn found(self, step: usize) -> Inspection {
        let of = |split: usize| Counts {
            records: self.records[split],
            labels: self.keys.within(split),
            text: self.texts[split],
            image: self.images.within(split),
            audio: self.audio.within(split),
            video: self.video.within(split),
        };
        let splits = self.splits.iter().enumerate().map(|(i, name)| (name.clone(), of(i))).collect();
        let total = Counts {
            records: self.records.iter().sum(),
            labels: self.keys.all(),
            text: self.texts.iter().sum(),
            image: self.images.all(),
            audio: self.audio.all(),
            video: self.video.all(),
        };
        let at_most =
            [&self.keys, &self.images, &self.audio, &self.video].iter().any(|distinct| distinct.is_over());
        let complete = !self.labels.is_over();
        let labels_distinct = self.labels.len();
        let [most_frequent, least_frequent] = self.labels.ends(SHOWN);
        let labels = Labels {
            records: self.labelled,
            distinct: labels_distinct,
            complete,
            most_frequent,
            least_frequent,
        };
        let one = |numbers: Vec<f64>| Spread::of(numbers.into_iter().map(|n| (n, 1)), false);
        let side = |pick: fn(&(u32, u32)) -> u32| {
            Spread::of(self.sizes.iter().map(|size| (f64::from(pick(size)), 1)), true)
        };
        let images = Images { unknown: self.unknown[0], width: side(|s| s.0), height: side(|s| s.1) };
        let [audio, video] = self.seconds;
        Inspection {
            total,
            at_most,
            splits,
            languages: self.languages,
            languages_detected: self
                .detected
                .map(|found| found.into_iter().map(|(tag, n)| (tag.to_owned(), n)).collect()),
            modalities: self.modalities,
            labels,
            captions: Captions {
                per_record: self.per_record.spread(),
                words: self.words.spread(),
                characters: self.characters.spread(),
            },
            images,
            audio: Lengths { unknown: self.unknown[1], seconds: one(audio) },
            video: Lengths { unknown: self.unknown[2], seconds: one(video) },
            measured_files: self.measured,
            measured_every: step,
            problem_count: self.problem_count,
            problems: self.problems,
            misnamed: self.misnamed,
            crossing_groups: self.crossings.found(),
        }
    }
}
