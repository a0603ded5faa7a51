//! `kind = "captioning"`: captions of held-out images and audio files against their true ones, beside two baselines that understand nothing.

use crate::captions::{Pair, bleu, cider_d};
use crate::items::{Captions, Choice, Item};
use crate::outcome::{Metric, Outcome};
use crate::side::{Embedded, Reading, Side, images, spectrograms};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use unisono_datasets::{Record, Skip, Source, SourceConfig};
use unisono_encoders::{Modality, Model};
use unisono_fusion::{FusionModel, Generation, Sequence};
use unisono_media::Blob;
use unisono_processors::Prepared;

/// What is captioned, as a recipe states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captioning {
    /// Name in tables.
    pub name: String,
    /// Where its records come from.
    pub source: SourceConfig,
    /// The split whose items are captioned.
    pub split: String,
    /// Images or audio files.
    pub from: Modality,
    /// Languages of the captions; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lang: Vec<String>,
    /// At most so many items, drawn by a hash of their ids; 0: all.
    #[serde(default)]
    pub limit: usize,
    /// The split that the baselines know.
    #[serde(default = "train")]
    pub known: String,
}

fn train() -> String {
    "train".into()
}

/// Scores of captions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// BLEU-4 over the corpus, 0 to 1.
    pub bleu4: f64,
    /// BLEU-1 over the corpus, 0 to 1.
    pub bleu1: f64,
    /// Mean CIDEr-D, 0 to 10.
    pub cider_d: f64,
    /// Share of captions that are a true one, word for word.
    pub exact: f64,
    /// Items.
    pub items: usize,
}

impl Scores {
    /// As an outcome: by name, CIDEr-D for the others.
    pub fn outcome(&self) -> Outcome {
        let figures =
            [("bleu1", self.bleu1), ("bleu4", self.bleu4), ("cider_d", self.cider_d), ("exact", self.exact)];
        let metric = |value| Metric { value, ..Metric::default() };
        Outcome {
            metrics: figures.into_iter().map(|(name, value)| (name.to_owned(), metric(value))).collect(),
            primary: "cider_d".into(),
            items: self.items,
        }
    }

    fn of<C: AsRef<[String]>>(captions: &[String], references: &[C]) -> Self {
        let pairs: Vec<Pair> =
            captions.iter().zip(references).map(|(c, r)| Pair::new(c, r.as_ref())).collect();
        let n = pairs.len().max(1) as f64;
        let [bleu1, _, _, bleu4] = bleu(&pairs);
        let exact = pairs.iter().filter(|p| p.references.contains(&p.candidate)).count() as f64 / n;
        let cider = cider_d(&pairs).into_iter().sum::<f64>() / n;
        Self { bleu4, bleu1, cider_d: cider, exact, items: pairs.len() }
    }
}

/// One item's caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captioned {
    /// The item's id.
    pub id: String,
    /// Its file.
    #[serde(rename = "path")]
    pub blob: Blob,
    /// What the model wrote.
    pub caption: String,
    /// What is true.
    pub references: Vec<String>,
}

/// A protocol whose items are listed.
#[derive(Debug)]
pub struct CaptioningTask {
    /// The protocol.
    pub protocol: Captioning,
    side: Side,
    /// What is true of each item.
    references: Vec<Vec<String>>,
}

/// The scores of the two baselines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// The caption that is most frequent among those known.
    pub frequent: Scores,
    /// The caption of the known item whose vector is nearest.
    pub nearest: Scores,
}

fn first(r: &Record) -> Option<String> {
    r.text.first().cloned()
}

impl Captioning {
    fn choice(&self) -> Choice<'static> {
        Choice { modality: self.from, langs: &[], captions: Captions::First, by_lang: false }
    }

    fn speaks(&self, record: &Record) -> bool {
        self.lang.is_empty() || record.lang.as_ref().is_some_and(|l| self.lang.contains(l))
    }

    /// Lists the items among `source`'s records.
    ///
    /// # Errors
    /// No item with a caption, texts or videos, or a model without the tower.
    pub fn task(
        &self,
        source: &dyn Source,
        model: &FusionModel,
        reading: &Reading,
    ) -> Result<CaptioningTask> {
        if !matches!(self.from, Modality::Image | Modality::Audio) {
            let found = self.from;
            let name = &self.name;
            return Err(Error::Input(format!(
                "captions {name}: expected images or audio files to caption, from = \"image\" or \"audio\", found {found}"
            )));
        }
        let records = source.records_of(&self.split)?;
        let records: Vec<&Record> = records
            .iter()
            .map(|r| &**r)
            .filter(|r| !r.text.is_empty() && (r.image.is_some() || self.from != Modality::Image))
            .filter(|r| (!r.audio.is_empty() || self.from != Modality::Audio) && self.speaks(r))
            .collect();
        let mut chosen: Vec<&Record> = records.clone();
        if self.limit > 0 && chosen.len() > self.limit {
            chosen.sort_by_key(|r| (spread(&r.id), r.id.clone()));
            chosen.truncate(self.limit);
        }
        let side = Side::of(model.towers(), &chosen, &self.choice(), reading)?;
        // A thing that several records show has all their captions.
        let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for r in &records {
            known.entry(r.key()).or_default().extend(first(r));
        }
        // Records that name one file are of one item: what any of them says of it is true.
        let mut named: BTreeMap<&Blob, BTreeSet<&str>> = BTreeMap::new();
        for r in &records {
            for blob in r.image.iter().chain(&r.audio) {
                named.entry(blob).or_default().insert(r.key());
            }
        }
        let of = |item: &Item| -> Vec<String> {
            let keys = item.blob.as_ref().and_then(|blob| named.get(blob)).into_iter().flatten();
            let all: BTreeSet<&String> = keys.filter_map(|key| known.get(key)).flatten().collect();
            all.into_iter().cloned().collect()
        };
        let references = side.items.iter().map(of).collect::<Vec<_>>();
        if references.is_empty() {
            return Err(self.nothing());
        }
        Ok(CaptioningTask { protocol: self.clone(), side, references })
    }

    fn nothing(&self) -> Error {
        let Self { name, split, from, .. } = self;
        Error::Input(format!("captions {name}: split {split:?} has no {from} with a caption"))
    }
}

impl CaptioningTask {
    /// Items.
    pub fn len(&self) -> usize {
        self.references.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }

    /// Decodes one of the first items.
    ///
    /// # Errors
    /// None of them can be used.
    pub(crate) fn probe(&self, model: &Model) -> Result<()> {
        let mut skipped = Vec::new();
        match (self.side.probe(model, &mut skipped), skipped.first()) {
            (false, Some(s)) => {
                Err(Error::Input(format!("{}; {}: {}", self.protocol.nothing(), s.id, s.reason)))
            }
            _ => Ok(()),
        }
    }

    /// Captions every item that can be used, `batch` at a time; the others are named in `skipped`.
    ///
    /// # Errors
    /// Nothing that can be used, a model that writes no captions, or libtorch's.
    pub fn run(
        &self,
        model: &FusionModel,
        options: &Generation,
        batch: usize,
        skipped: &mut Vec<Skip>,
    ) -> Result<(Scores, Vec<Captioned>)> {
        let (prompt, batch) = (model.caption_prompt("")?, batch.max(1));
        let (mut made, mut held, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let write = |held: Vec<Prepared>, made: &mut Vec<String>| -> Result<()> {
            let memory = model.cross_kv(&[self.tokens(model, held)?])?;
            for text in model.caption(&memory, &prompt, options, made.len() as u64, None)? {
                made.push(model.decode(&text)?);
            }
            Ok(())
        };
        self.side.each(model.towers(), skipped, |at, prepared| {
            held.push(prepared);
            places.push(at);
            if held.len() == batch { write(std::mem::take(&mut held), &mut made) } else { Ok(()) }
        })?;
        if !held.is_empty() {
            write(held, &mut made)?;
        }
        if made.is_empty() {
            return Err(self.protocol.nothing());
        }
        let scores = Scores::of(&made, &self.references_at(&places));
        let captioned = made.into_iter().zip(places).filter_map(|(caption, at)| {
            let Item { id, blob, .. } = self.side.items[at].clone();
            Some(Captioned { id, blob: blob?, caption, references: self.references[at].clone() })
        });
        Ok((scores, captioned.collect()))
    }

    fn tokens(&self, model: &FusionModel, inputs: Vec<Prepared>) -> Result<Sequence> {
        Ok(match self.side.modality {
            Modality::Audio => model.encode_audio(&spectrograms(inputs))?,
            _ => model.encode_images(&images(inputs))?,
        })
    }

    fn references_at(&self, places: &[usize]) -> Vec<&Vec<String>> {
        places.iter().map(|at| &self.references[*at]).collect()
    }

    /// What the most frequent caption and the nearest known item's caption would score.
    ///
    /// # Errors
    /// No known item, or libtorch's.
    pub fn baselines(
        &self,
        source: &dyn Source,
        model: &FusionModel,
        batch: usize,
        skipped: &mut Vec<Skip>,
    ) -> Result<Baselines> {
        let (towers, protocol) = (model.towers(), &self.protocol);
        let records = source.records_of(&protocol.known)?;
        let records: Vec<&Record> =
            records.iter().map(|r| &**r).filter(|r| protocol.speaks(r) && !r.text.is_empty()).collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for r in &records {
            *counts.entry(first(r).unwrap_or_default()).or_default() += 1;
        }
        // The first of equals by spelling.
        let frequent = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        let frequent = frequent.map(|(c, _)| c.clone()).unwrap_or_default();
        let caption_of: BTreeMap<&str, String> =
            records.iter().map(|r| (r.id.as_str(), first(r).unwrap_or_default())).collect();
        let known = self.side.among(&records, &protocol.choice()).embed(towers, batch, skipped)?;
        if known.items.is_empty() {
            return Err(Error::Input(format!("captions {}: nothing is known", protocol.name)));
        }
        let asks = self.side.embed(towers, batch, skipped)?;
        let nearest: Vec<String> = asks
            .vectors
            .chunks(asks.dim)
            .map(|q| caption_of.get(nearest(q, &known)).cloned().unwrap_or_default())
            .collect();
        let references = self.references_at(&asks.places);
        Ok(Baselines {
            frequent: Scores::of(&vec![frequent; references.len()], &references),
            nearest: Scores::of(&nearest, &references),
        })
    }
}

/// The id of the item nearest to a vector.
fn nearest<'a>(query: &[f32], among: &'a Embedded) -> &'a str {
    let cosine = |v: &[f32]| query.iter().zip(v).map(|(a, b)| a * b).sum::<f32>();
    let best = among.vectors.chunks(among.dim).map(cosine).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or("", |(i, _)| among.items[i].id.as_str())
}

/// Spreads ids, so that those taken are chosen by nobody.
fn spread(id: &str) -> u64 {
    let h = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    (h ^ (h >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}
