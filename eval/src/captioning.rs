//! Captions of held-out pictures and sounds against their true ones, beside two baselines that understand nothing.

use crate::captions::{Pair, bleu, cider_d};
use crate::protocol::{Captions, Item, Side, Skipped, gather};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use unisono_datasets::{Manifest, Record};
use unisono_encoders::Modality;
use unisono_fusion::{FusionModel, Generation};
use unisono_media::MediaLimits;

/// What is captioned, as a recipe's `[[evaluate.captions]]` states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptionProtocol {
    /// Name in tables.
    pub name: String,
    /// The manifest.
    pub manifest: PathBuf,
    /// The split whose items are captioned.
    pub split: String,
    /// Pictures or sounds.
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
    fn of(captions: &[String], references: &[Vec<String>]) -> Self {
        let pairs: Vec<Pair> = captions.iter().zip(references).map(|(c, r)| Pair::new(c, r)).collect();
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
    pub path: Option<PathBuf>,
    /// What the model wrote.
    pub caption: String,
    /// What is true.
    pub references: Vec<String>,
}

/// A protocol with its items decoded and processed.
#[derive(Debug)]
pub struct PreparedCaptions {
    /// The protocol.
    pub protocol: CaptionProtocol,
    side: Side,
    references: Vec<Vec<String>>,
    limits: MediaLimits,
    /// What could not be used.
    pub skipped: Vec<Skipped>,
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

impl PreparedCaptions {
    /// Reads the protocol's items, files within `limits`.
    ///
    /// # Errors
    /// No item with a caption, or a model without the tower.
    pub fn new(
        protocol: &CaptionProtocol,
        manifest: &Manifest,
        model: &FusionModel,
        limits: &MediaLimits,
    ) -> Result<Self> {
        let records: Vec<&Record> = manifest
            .split(&protocol.split)
            .into_iter()
            .filter(|r| !r.text.is_empty() && (r.image.is_some() || protocol.from != Modality::Image))
            .filter(|r| !r.audio.is_empty() || protocol.from != Modality::Audio)
            .filter(|r| {
                protocol.lang.is_empty() || r.lang.as_ref().is_some_and(|l| protocol.lang.contains(l))
            })
            .collect();
        let mut ids: Vec<&Record> = records.clone();
        if protocol.limit > 0 && ids.len() > protocol.limit {
            ids.sort_by_key(|r| (spread(&r.id), r.id.clone()));
            ids.truncate(protocol.limit);
        }
        let mut skipped = Vec::new();
        let side = gather(model.towers(), &ids, protocol.from, &[], Captions::First, limits, &mut skipped)?;
        // A thing that several records show has all their captions.
        let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for r in &records {
            known.entry(r.key()).or_default().extend(first(r));
        }
        // Records that name one file are of one item: what any of them says of it is true.
        let mut named: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
        for r in &records {
            for path in r.image.iter().chain(&r.audio) {
                named.entry(path).or_default().insert(r.key());
            }
        }
        let of = |item: &Item| -> Vec<String> {
            let keys = item.path.as_deref().and_then(|path| named.get(path)).into_iter().flatten();
            let all: BTreeSet<&String> = keys.filter_map(|key| known.get(key)).flatten().collect();
            all.into_iter().cloned().collect()
        };
        let references = side.items.iter().map(of).collect::<Vec<_>>();
        if references.is_empty() {
            return Err(Error::Input(format!(
                "captions {}: split {:?} has no {} with a caption",
                protocol.name, protocol.split, protocol.from
            )));
        }
        Ok(Self { protocol: protocol.clone(), side, references, limits: *limits, skipped })
    }

    /// Items.
    pub fn len(&self) -> usize {
        self.references.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }

    /// Captions every item, `batch` at a time.
    ///
    /// # Errors
    /// A model that writes no captions, or libtorch's.
    pub fn run(
        &self,
        model: &FusionModel,
        options: &Generation,
        batch: usize,
    ) -> Result<(Scores, Vec<Captioned>)> {
        let prompt = model.caption_prompt("")?;
        let mut captions = Vec::with_capacity(self.len());
        for from in (0..self.len()).step_by(batch.max(1)) {
            let part = from..(from + batch.max(1)).min(self.len());
            let sequence = self.side.tokens(model, part)?;
            let memory = model.cross_kv(&[sequence])?;
            for text in model.caption(&memory, &prompt, options, from as u64, None)? {
                captions.push(model.say(&text)?);
            }
        }
        let scores = Scores::of(&captions, &self.references);
        let made = self.side.items.iter().zip(captions).zip(&self.references).map(
            |((item, caption), references)| Captioned {
                id: item.id.clone(),
                path: item.path.clone(),
                caption,
                references: references.clone(),
            },
        );
        Ok((scores, made.collect()))
    }

    /// What the most frequent caption and the nearest known item's caption would score.
    ///
    /// # Errors
    /// No known item, or libtorch's.
    pub fn baselines(&self, manifest: &Manifest, model: &FusionModel, batch: usize) -> Result<Baselines> {
        let towers = model.towers();
        let lang = &self.protocol.lang;
        let records: Vec<&Record> = manifest
            .split(&self.protocol.known)
            .into_iter()
            .filter(|r| lang.is_empty() || r.lang.as_ref().is_some_and(|l| lang.contains(l)))
            .filter(|r| !r.text.is_empty())
            .collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for r in &records {
            *counts.entry(first(r).unwrap_or_default()).or_default() += 1;
        }
        // The first of equals by spelling.
        let frequent = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        let frequent = frequent.map(|(c, _)| c.clone()).unwrap_or_default();
        let mut skipped = Vec::new();
        let (from, first_ones) = (self.protocol.from, Captions::First);
        let known = gather(towers, &records, from, &[], first_ones, &self.limits, &mut skipped)?;
        let caption_of: BTreeMap<&str, String> =
            records.iter().map(|r| (r.id.as_str(), first(r).unwrap_or_default())).collect();
        if known.items.is_empty() {
            return Err(Error::Input(format!("captions {}: nothing is known", self.protocol.name)));
        }
        let dim = towers.config().embed_dim as usize;
        let (asks, answers) = (self.side.embed(towers, batch)?, known.embed(towers, batch)?);
        let nearest = asks.chunks(dim).map(|q| {
            let cosine = |v: &[f32]| q.iter().zip(v).map(|(a, b)| a * b).sum::<f32>();
            let best = answers.chunks(dim).map(cosine).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            best.and_then(|(i, _)| caption_of.get(known.items[i].id.as_str()).cloned()).unwrap_or_default()
        });
        let nearest: Vec<String> = nearest.collect();
        Ok(Baselines {
            frequent: Scores::of(&vec![frequent; self.len()], &self.references),
            nearest: Scores::of(&nearest, &self.references),
        })
    }
}

/// Spreads ids, so that those taken are chosen by nobody.
fn spread(id: &str) -> u64 {
    let h = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    (h ^ (h >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}
