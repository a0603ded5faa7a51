//! What frozen towers make of the data, computed once and kept: a training of what stands behind them runs no tower.
//!
//! ```text
//! RUN/features/image.json   whose they are: sums over the tower, its processor, the augmentation and its views
//! RUN/features/image.rows   a row for each medium and view (store.rs)
//! ```
//!
//! A row is the pooled vector, from which a projection leads on. Rows are found by the medium, the length and time of its file, and the view;
//! those that are there already are not computed again, by a run that goes on or one that begins anew.

mod store;

pub(crate) use store::{Key, Store};

use crate::recipe::DataConfig;
use crate::{Error, Learner, Recipe, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use store::Rows;
use unisono_datasets::{Key as Has, Sampler};
use unisono_encoders::{Modality, Model, Precision, to_vec};
use unisono_processors::Medium;

/// The kept features of some towers. Shared by threads.
#[derive(Debug, Default)]
pub struct Features(BTreeMap<Modality, Kept>);

/// One tower's.
#[derive(Debug)]
struct Kept {
    rows: Rows,
    /// The row of a medium and a view of it.
    places: HashMap<Key, u32>,
    views: u32,
}

impl Features {
    /// Adds a tower's rows and where they are found.
    ///
    /// # Errors
    /// The file cannot be mapped.
    pub(crate) fn insert(
        &mut self,
        modality: Modality,
        store: Store,
        places: HashMap<Key, u32>,
        views: u32,
    ) -> Result<()> {
        self.0.insert(modality, Kept { rows: store.rows()?, places, views });
        Ok(())
    }

    /// How many views there are of each medium of a modality; 0: nothing of it is kept.
    pub(crate) fn views(&self, modality: Modality) -> u32 {
        self.0.get(&modality).map_or(0, |kept| kept.views)
    }

    /// Has the projections that standardise do so by these features.
    ///
    /// # Errors
    /// libtorch's.
    pub(crate) fn standardise(&self, model: &Model) -> Result<()> {
        for (modality, kept) in self.0.iter().filter(|(m, _)| model.standardises(**m)) {
            // By their keys: a sum must not depend on who came first.
            let mut places: Vec<(&Key, &u32)> = kept.places.iter().collect();
            places.sort_unstable();
            let (mut sums, mut squares, mut count) = (Vec::new(), Vec::new(), 0.0);
            for row in places.into_iter().filter_map(|(_, row)| kept.rows.get(*row)) {
                sums.resize(row.len(), 0.0);
                squares.resize(row.len(), 0.0);
                count += 1.0;
                for ((x, sum), square) in row.iter().zip(&mut sums).zip(&mut squares) {
                    *sum += f64::from(*x);
                    *square += f64::from(*x).powi(2);
                }
            }
            if count > 0.0 {
                let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
                let squares = squares.iter().zip(&means);
                let deviations: Vec<f64> =
                    squares.map(|(s, m)| (s / count - m * m).max(0.0).sqrt()).collect();
                model.standardise(*modality, &means, &deviations)?;
            }
        }
        Ok(())
    }

    /// The pooled vector `[W]` of a view of a medium.
    pub(crate) fn row(&self, modality: Modality, medium: &Medium, view: u32) -> Option<Vec<f32>> {
        let kept = self.0.get(&modality)?;
        kept.rows.get(*kept.places.get(&place(medium, view))?)
    }
}

/// Whose tower sees a medium.
pub(crate) fn modality(medium: &Medium) -> Modality {
    match medium {
        Medium::Text(_) => Modality::Text,
        Medium::Image(_) | Medium::Frames(..) => Modality::Image,
        Medium::Audio(_) | Medium::Track(..) => Modality::Audio,
        Medium::Video(..) => Modality::Video,
    }
}

/// The number of the random stream by which a view is made of a medium.
pub(crate) fn stream(medium: &Medium, view: u32) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = place(medium, view);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// What a view of a medium is known by while a run lasts.
pub(crate) fn place(medium: &Medium, view: u32) -> Key {
    shortened(Sha256::new_with_prefix(view.to_le_bytes()).chain_update(medium.key()))
}

/// What it is known by on the disk: its file must be the same, too.
pub(crate) fn lasting(place: &Key, medium: &Medium) -> Key {
    let stamp = match medium {
        Medium::Text(_) => None,
        Medium::Image(blob) | Medium::Audio(blob) => blob.stamp(),
        Medium::Video(blob, _) | Medium::Frames(blob, _) | Medium::Track(blob, _) => blob.stamp(),
    };
    let stamp = stamp.map(|stamp| stamp.to_string()).unwrap_or_default();
    shortened(Sha256::new_with_prefix(place).chain_update(stamp))
}

fn shortened(sum: Sha256) -> Key {
    let mut key = Key::default();
    key.iter_mut().zip(sum.finalize()).for_each(|(to, from)| *to = from);
    key
}

/// Whose features a file has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whose {
    /// A sum over the tower's weights, without its projection.
    weights: String,
    /// A sum over what else decides a feature: configuration, processor, augmentation, limits.
    settings: String,
    /// Width W.
    pub(crate) width: usize,
    /// Views of each medium.
    views: u32,
}

impl Whose {
    pub(crate) fn of(recipe: &Recipe, model: &Model, modality: Modality, views: u32) -> Result<Self> {
        // What a decoder writes is read by the text tower.
        let reads = modality == Modality::Audio && model.config().reads(modality) > 0;
        let own = |name: &str| of_trunk(name, modality) || reads && name.starts_with("text.");
        let weights = model.params().iter().filter(|(name, _)| own(name));
        let mut sum = Sha256::new();
        for (name, param) in weights {
            sum.update(format!("{name} {:?}\0", param.tensor.size()));
            sum.update(bytemuck::cast_slice(&to_vec(&param.tensor.f_detach()?)?));
        }
        let width = model.config().projection(modality).map_or(0, |(width, _)| width);
        let augment = changes(recipe, modality).map(|changes| (changes, recipe.seed));
        let processors = model.processors();
        let (text, image, audio) = (processors.text.as_ref(), &processors.image, processors.audio.as_ref());
        let reader = || match text {
            Some(text) => Ok(serde_json::json!([
                model.config().text.as_ref().map(|c| &c.transformer),
                model.config().text.as_ref().map(|c| (&c.pooling, &c.modules)),
                text.to_json()?,
                text.context_length(),
                text.rules(),
                text.prompt(),
            ])),
            None => Ok::<_, Error>(serde_json::Value::Null),
        };
        let said = match modality {
            Modality::Text => reader()?,
            Modality::Image | Modality::Video => serde_json::json!([trunk(&model.config().image), image]),
            Modality::Audio => {
                serde_json::json!([
                    trunk(&model.config().audio),
                    audio.map(|a| a.config()),
                    format!("{:?}", audio.map(|a| a.window())),
                    if reads { reader()? } else { serde_json::Value::Null },
                ])
            }
        };
        let mut said = serde_json::json!([said, augment, recipe.limits]);
        let precision = recipe.loader.feature_precision.on(model.device());
        // Single precision is not said: what was kept before it could be another one stays known.
        if let (Some(list), false) = (said.as_array_mut(), precision == Precision::Fp32) {
            list.push(precision.to_string().into());
        }
        if let (Some(list), Modality::Image, Some(reading)) =
            (said.as_array_mut(), modality, &model.config().reading)
        {
            list.push(serde_json::json!(reading));
        }
        let (settings, weights) = (Sha256::digest(said.to_string()), sum.finalize());
        Ok(Self {
            weights: unisono_files::hex(&weights),
            settings: unisono_files::hex(&settings),
            width: usize::try_from(width).unwrap_or(0),
            views,
        })
    }
}

/// A tower's configuration without its projection, which no feature goes through.
fn trunk(config: &impl Serialize) -> serde_json::Value {
    let mut config = serde_json::json!(config);
    if let Some(fields) = config.as_object_mut() {
        fields.remove("projection");
    }
    config
}

/// What the augmentation does to a modality's media before a tower sees them; `None`: nothing.
fn changes(recipe: &Recipe, modality: Modality) -> Option<serde_json::Value> {
    let augment = &recipe.augment;
    let (image, heard) = (&augment.image, (&augment.audio, &augment.spectrogram));
    match modality {
        Modality::Image => (*image != Default::default()).then(|| serde_json::json!(image)),
        Modality::Audio => {
            let none = augment.audio == Default::default() && augment.spectrogram == Default::default();
            (!none).then(|| serde_json::json!(heard))
        }
        Modality::Text | Modality::Video => None,
    }
}

/// Whether a parameter is of a tower and not of its projection.
pub(crate) fn of_trunk(name: &str, modality: Modality) -> bool {
    let rest = name.strip_prefix(modality.name()).and_then(|rest| rest.strip_prefix('.'));
    rest.is_some_and(|rest| !rest.starts_with("projection."))
}

/// The towers whose features can be kept, each with its views: those of which nothing but a projection is trained, whose tokens nothing else
/// needs, and which see of each medium a number of views that is known.
pub(crate) fn kept_towers(recipe: &Recipe, model: &Learner, sampler: &Sampler) -> Vec<(Modality, u32)> {
    if !recipe.loader.keep_features {
        return Vec::new();
    }
    let trainable = model.towers().params().trainable();
    let still = |m: Modality| {
        let mut own = trainable.iter().filter(|(name, _)| of_trunk(name, m)).peekable();
        own.peek().is_some() && own.all(|(_, p)| !p.requires_grad())
    };
    let fused = recipe.fusion.as_ref().filter(|f| f.prefix == 0).map_or(&[][..], |f| &f.memory);
    // Videos go through the image tower frame by frame.
    let films = || {
        let of = |has: &Has| has.video && !has.image;
        let mut shares = sampler.shares().iter();
        shares.any(|share| (0..share.records.len()).any(|i| of(&share.records.key(i))))
    };
    let augment = &recipe.augment;
    let kept = |m: Modality| match m {
        Modality::Text => {
            // Parts of captions in random order are too many to be kept; second texts are other records'.
            let own = |d: &DataConfig| d.caption.parts == 0 && d.caption.second_lang.is_none();
            recipe.data.iter().all(own) && augment.text == Default::default()
        }
        // A teacher's views are other images than those that are kept; of two views of an image neither may be the other.
        Modality::Image => {
            let twice = recipe.objective.twice().contains(&Modality::Image);
            let viewed = twice || recipe.data.iter().any(|d| d.teacher_views);
            !viewed && model.towers().config().video.is_none() && !films()
        }
        Modality::Audio => !model.towers().listens(),
        Modality::Video => false,
    };
    let views = |m: Modality| match (changes(recipe, m), recipe.tower.get(&m)) {
        (Some(_), Some(tower)) => tower.views,
        // Nobody said how many are enough.
        (Some(_), None) => 0,
        (None, _) => 1,
    };
    let all = Modality::ALL.into_iter().filter(|m| still(*m) && !fused.contains(m) && kept(*m));
    all.map(|m| (m, views(m))).filter(|(_, views)| *views > 0).collect()
}
