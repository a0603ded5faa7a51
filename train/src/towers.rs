//! From a recipe to its towers: new ones, those of a checkpoint, those of several.

use crate::recipe::{GroupRule, Recipe};
use crate::{Error, Result, checkpoint, speech, tuning};
use std::collections::{BTreeMap, BTreeSet};
use tch::Device;
use unisono_datasets::Sampler;
use unisono_encoders::config::{FramePooling, ImageConfig};
use unisono_encoders::{Borrowed, Modality, Model, ModelConfig, Params, Processors};
use unisono_nn::params::matches;
use unisono_processors::{Fit, ImageProcessor, LogMel, TextProcessor, train_tokenizer};

/// How sure a classifier is taken to be whose labels are read. Nets that were trained on photographs are too sure of drawings: of 1, 1.5, 2 and 4, labels
/// alone found most at 1 to 2 (recipes/quickstart.toml says of what).
const TEMPERATURE: f64 = 1.5;

/// A new model: its tokenizer trained on every caption that the chosen sources may draw, its weights a function of the seed.
///
/// # Errors
/// A tower without its processor, impossible sizes.
pub fn model(recipe: &Recipe, sampler: &Sampler, device: Device) -> Result<Model> {
    tuning::tuned(recipe, as_they_are(recipe, sampler, device)?)
}

/// The towers before they are tuned.
fn as_they_are(recipe: &Recipe, sampler: &Sampler, device: Device) -> Result<Model> {
    if let Some(init) = &recipe.init {
        // No objective trains a classifier: it would stay behind its tower.
        let model = Model::load(&checkpoint::model_dir(init), device)?.merged()?.without_classifier();
        return fitting(
            recipe,
            match &recipe.video {
                Some(video) => model.with_video(video.clone(), recipe.seed)?,
                None => model,
            },
        );
    }
    let config = recipe.model.as_ref().ok_or_else(|| Error::setting("model", "missing"))?;
    let processors = processors(recipe, config, sampler)?;
    if recipe.tower.is_empty() {
        return fitting(recipe, Model::new(config.clone(), processors, recipe.seed, device)?);
    }
    let mut from = BTreeMap::new();
    for (modality, tower) in &recipe.tower {
        let dir = checkpoint::model_dir(&tower.from);
        let model = Model::load(&dir, device)?.merged()?;
        if !model.modalities().contains(modality) {
            let found: Vec<&str> = model.modalities().iter().map(|m| m.name()).collect();
            let message = format!(
                "{}: expected a model with a tower for {modality}, found one for {}",
                tower.from.display(),
                found.join(", ")
            );
            return Err(Error::setting(format!("tower.{modality}.from"), message));
        }
        let decoder =
            tower.decoder.map(|task| speech::decoder(&dir, task, tower.reads, device)).transpose()?;
        let (projection, pooling, cut) = (tower.projection(), tower.pooling(), !tower.window.is_whole());
        let reading = (*modality == Modality::Image && tower.reads).then_some(TEMPERATURE);
        if reading.is_some() {
            let of = model.classifier().filter(|c| c.modality == Modality::Image);
            // What a file without names has in their place says nothing.
            let found = match of.map(|c| c.labels.iter().all(|label| label.starts_with("LABEL_"))) {
                None => "none",
                Some(true) => "labels without names (label_names and label_descriptions of its config.json)",
                Some(false) => "",
            };
            if !found.is_empty() {
                let message = format!(
                    "{}: expected a model with a classifier of images, whose labels are read; found {found}",
                    tower.from.display()
                );
                return Err(Error::setting("tower.image.reads", message));
            }
        }
        from.insert(*modality, Borrowed { model, projection, pooling, cut, decoder, reading });
    }
    fitting(recipe, Model::composed(config.clone(), processors, &from, recipe.seed, device)?)
}

/// The recipe's exceptions for parameters, and behind them what its frozen towers come to.
pub(crate) fn rules(recipe: &Recipe, params: &Params) -> Vec<GroupRule> {
    let mut rules = recipe.group.clone();
    let mut add = |pattern: String, freeze| {
        // A tower whose pooled vector is in the shared space has no projection.
        let before = |name: &str| rules.iter().any(|r: &GroupRule| matches(&r.pattern, name));
        let matched = |(name, _): (&str, _)| matches(&pattern, name) && !before(name);
        if params.iter().any(matched) {
            rules.push(GroupRule { freeze, ..GroupRule::of(pattern) });
        }
    };
    for (modality, tower) in recipe.tower.iter().filter(|(_, tower)| tower.frozen) {
        if tower.projection().is_some() {
            add(format!("{modality}.projection.*"), false);
        }
        add(format!("{modality}.*"), true);
    }
    tuning::rules(recipe).into_iter().for_each(|(pattern, freeze)| add(pattern, freeze));
    rules
}

/// The processors of new towers.
fn processors(recipe: &Recipe, config: &ModelConfig, sampler: &Sampler) -> Result<Processors> {
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
    Ok(processors)
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
