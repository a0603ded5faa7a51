//! From a recipe to what the loop needs: records, tokenizer, model.

use crate::recipe::{DataConfig, Recipe};
use crate::{Error, Learner, Result, checkpoint};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::Device;
use unisono_datasets::{Key, Manifest, Part, Sampler, Share};
use unisono_encoders::config::{FramePooling, ImageConfig};
use unisono_encoders::{Modality, Model, Processors};
use unisono_processors::{Fit, ImageProcessor, LogMel, TextProcessor, train_tokenizer};

/// Manifests read once, however many sources and protocols name them.
#[derive(Debug, Default)]
pub struct Manifests(BTreeMap<PathBuf, Arc<Manifest>>);

impl Manifests {
    /// The manifest at `path`.
    ///
    /// # Errors
    /// Not there, or malformed, with the line.
    pub fn get(&mut self, path: &Path) -> Result<Arc<Manifest>> {
        if let Some(m) = self.0.get(path) {
            return Ok(m.clone());
        }
        let manifest = Arc::new(Manifest::load(path)?);
        self.0.insert(path.to_owned(), manifest.clone());
        Ok(manifest)
    }
}

/// The sources of a recipe, their records filtered.
///
/// # Errors
/// A manifest that cannot be read, or a source that nothing is left of.
pub fn sampler(recipe: &Recipe, manifests: &mut Manifests) -> Result<Sampler> {
    let mut shares = Vec::with_capacity(recipe.data.len());
    for config in &recipe.data {
        let manifest = manifests.get(&config.manifest)?;
        let split = Some(config.split.as_str());
        let records = Part::of(manifest.clone(), |key| key.split == split && wanted(key, config))?;
        if records.is_empty() {
            let splits: Vec<String> = manifest.splits().keys().cloned().collect();
            let found = splits.join(", ");
            return Err(Error::setting(
                format!("data.{}", config.name),
                format!(
                    "no record of split {:?} is left in {}; its splits are: {found}; look at lang, needs and uses",
                    config.split,
                    config.manifest.display()
                ),
            ));
        }
        let groups = if config.one_language { languages(&records) } else { Vec::new() };
        shares.push(Share { name: config.name.clone(), records, per_batch: config.per_batch, groups });
    }
    Ok(Sampler::new(shares, recipe.seed)?)
}

/// What is said of the sources of a run of so many steps.
pub(crate) fn describe(sampler: &Sampler, steps: u64) -> Vec<String> {
    let note = |(i, s): (usize, &Share)| {
        let (name, records, per_batch, epochs) =
            (&s.name, s.records.len(), s.per_batch, sampler.epoch(i, steps));
        format!("{name}: {records} records, {per_batch} a batch, {epochs:.1} epochs")
    };
    sampler.shares().iter().enumerate().map(note).collect()
}

/// What is trained and what follows it, of the last checkpoint of `run` or new.
pub(crate) fn learners(
    recipe: &Recipe,
    run: &Path,
    sampler: &Sampler,
    resumed: bool,
    device: Device,
) -> Result<(Learner, Learner)> {
    if resumed {
        let last = || Learner::load(&checkpoint::last(run), device);
        return Ok((last()?, last()?));
    }
    let towers = model(recipe, sampler, device)?;
    let twin = Model::new(towers.config().clone(), towers.processors().clone(), recipe.seed, device)?;
    let (model, shadow) = (Learner::new(towers, recipe)?, Learner::new(twin, recipe)?);
    shadow.follow(&model, 0.0, 0)?;
    Ok((model, shadow))
}

fn wanted(key: &Key, c: &DataConfig) -> bool {
    let lang = key.lang.unwrap_or_default().to_owned();
    let has = |m: &Modality| match m {
        Modality::Text => key.text,
        Modality::Image => key.image || key.video,
        Modality::Audio => key.audio,
        Modality::Video => key.video,
    };
    let used = |m: &Modality| c.uses.is_empty() || c.uses.contains(m);
    // Images and videos go through one tower: a record of both alone has nothing to be aligned with.
    let text = used(&Modality::Text) && has(&Modality::Text);
    let seen =
        used(&Modality::Image) && has(&Modality::Image) || used(&Modality::Video) && has(&Modality::Video);
    let heard = used(&Modality::Audio) && has(&Modality::Audio);
    (c.lang.is_empty() || c.lang.contains(&lang))
        && !c.without_lang.contains(&lang)
        && c.needs.iter().all(has)
        && [text, seen, heard].into_iter().filter(|there| *there).count() >= 2
}

fn languages(records: &Part) -> Vec<u32> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let number = |i| {
        let next = numbers.len() as u32;
        *numbers.entry(records.key(i).lang.unwrap_or_default()).or_insert(next)
    };
    (0..records.len()).map(number).collect()
}

/// What the records of each manifest add up to: a run that goes on is told when they are others.
///
/// # Errors
/// A source that cannot be read.
pub(crate) fn sums(sampler: &Sampler) -> Result<BTreeMap<PathBuf, String>> {
    let mut sums = BTreeMap::new();
    for source in sampler.shares().iter().map(|s| s.records.source()) {
        if !sums.contains_key(source.path()) {
            sums.insert(source.path().to_owned(), source.sum()?);
        }
    }
    Ok(sums)
}

/// A new model: its tokenizer trained on every caption that the chosen sources may draw, its weights a function of the seed.
///
/// # Errors
/// A tower without its processor, impossible sizes.
pub fn model(recipe: &Recipe, sampler: &Sampler, device: Device) -> Result<Model> {
    if let Some(init) = &recipe.init {
        // No objective trains a classifier: it would stay behind its tower.
        let model = Model::load(&checkpoint::model_dir(init), device)?.without_classifier();
        return fitting(
            recipe,
            match &recipe.video {
                Some(video) => model.with_video(video.clone(), recipe.seed)?,
                None => model,
            },
        );
    }
    let config = recipe.model.as_ref().ok_or_else(|| Error::setting("model", "missing"))?;
    let mut processors = Processors { image: recipe.processor.image.clone(), ..Processors::default() };
    processors.audio = recipe.processor.audio.clone().map(LogMel::new).transpose()?;
    if let Some(text) = &config.text {
        let chosen: Vec<bool> = match recipe.data.iter().any(|d| d.tokenizer) {
            true => recipe.data.iter().map(|d| d.tokenizer).collect(),
            false => vec![true; recipe.data.len()],
        };
        let shares = sampler.shares().iter().zip(chosen).filter_map(|(s, chosen)| chosen.then_some(s));
        // A record in several shares must not count twice.
        let mut distinct = BTreeSet::new();
        for record in shares.flat_map(|s| s.records.records()) {
            distinct.extend(record?.text.iter().cloned());
        }
        if distinct.is_empty() {
            return Err(Error::setting("model.text", "the data have no captions: leave the text tower out"));
        }
        let tokenizer = train_tokenizer(
            distinct.iter().map(String::as_str),
            text.vocab_size as usize,
            recipe.tokenizer.vocabulary,
        )?;
        processors.text = Some(TextProcessor::new(tokenizer, text.context_length as usize, text.vocab_size)?);
    }
    fitting(recipe, Model::new(config.clone(), processors, recipe.seed, device)?)
}

/// Images in whole patches of their own number are for a tower that takes them, of the same patches.
fn check_patches(image: &ImageConfig, processor: &ImageProcessor) -> Result<()> {
    if processor.fit != Fit::Patches {
        return Ok(());
    }
    let Some([h, w]) = image.flexible() else {
        let message = "patches gives images of many sizes, and the tower takes one: set model.image.flexible, or another fit";
        return Err(Error::setting("processor.image.fit", message));
    };
    match processor.patch {
        Some(p) if [h, w] != [i64::from(p); 2] => Err(Error::setting(
            "processor.image.patch",
            format!("{p}, and the tower's patches are {h} x {w}"),
        )),
        _ => Ok(()),
    }
}

/// The fusion part may not ask for more frames of a video than its video tower has places for.
fn fitting(recipe: &Recipe, model: Model) -> Result<Model> {
    if let (Some(image), Some(processor)) = (&model.config().image, &model.processors().image) {
        check_patches(image, processor)?;
    }
    let (asked, most) = (recipe.frames(&model), model.frames());
    let pooling = model.config().video.as_ref().map(|v| &v.pooling);
    if asked > most && pooling.is_some_and(|p| *p != FramePooling::Mean) {
        let message = format!("{asked}, but the video tower takes at most {most} (video.frames)");
        return Err(Error::setting("fusion.frames", message));
    }
    Ok(model)
}
