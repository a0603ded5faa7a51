//! From a recipe to what the loop needs: records, tokenizer, model.

use crate::recipe::{DataConfig, Ema, Recipe};
use crate::world::World;
use crate::{Error, Learner, Result, checkpoint, towers};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::Device;
use unisono_datasets::{Fault, Key, Manifest, Part, Rate, Retold, Sampler, Share, Source, SourceConfig};
use unisono_encoders::{Modality, Model, Prompt};

/// Sources opened once, however many shares and protocols name them.
#[derive(Debug, Default)]
pub struct Sources {
    opened: Vec<(SourceConfig, Arc<dyn Source>)>,
    gathered: Vec<(SourceConfig, Arc<Manifest>)>,
    notes: Vec<String>,
}

impl Sources {
    /// The source.
    ///
    /// # Errors
    /// Not there, or malformed, with the place.
    pub fn get(&mut self, config: &SourceConfig) -> Result<Arc<dyn Source>> {
        if let Some((_, source)) = self.opened.iter().find(|(known, _)| known == config) {
            return Ok(source.clone());
        }
        let source = unisono_datasets::open(config)?;
        self.notes.extend(source.notes());
        self.opened.push((config.clone(), source.clone()));
        Ok(source)
    }

    /// What should be known of the sources opened since this was last asked, a line each.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Its records in memory, but for those that cannot be read, of which the notes tell.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn records(&mut self, config: &SourceConfig) -> Result<Arc<Manifest>> {
        if let Some((_, records)) = self.gathered.iter().find(|(known, _)| known == config) {
            return Ok(records.clone());
        }
        let mut unread = Vec::new();
        let records = Arc::new(Manifest::of(&*self.get(config)?, &mut unread));
        if let Some(first) = unread.first() {
            let (name, n) = (config.name(), unread.len());
            self.notes.push(format!("{name}: records that cannot be read: {n}, the first: {}", first.reason));
        }
        self.gathered.push((config.clone(), records.clone()));
        Ok(records)
    }
}

/// The sources of a recipe, their records filtered.
///
/// # Errors
/// A source that cannot be read, or that nothing is left of.
pub fn sampler(recipe: &Recipe, sources: &mut Sources) -> Result<Sampler> {
    let (mut shares, twice) = (Vec::with_capacity(recipe.data.len()), recipe.objective.twice());
    for config in &recipe.data {
        let source = match &config.caption.lang {
            Some(lang) => Arc::new(Retold::new(sources.get(&config.source)?, lang)?),
            None => sources.get(&config.source)?,
        };
        let of_split = |key: &Key| config.split.is_none() || key.split == config.split.as_deref();
        let records = Part::of(source.clone(), |key| of_split(key) && wanted(key, config, &twice))?;
        if records.is_empty() {
            let splits: Vec<String> = source.splits().keys().cloned().collect();
            let found = splits.join(", ");
            return Err(Error::setting(
                format!("data.{}", config.name),
                format!(
                    "no record of split {:?} is left in {}; its splits are: {found}; look at lang, needs and uses",
                    config.split.as_deref().unwrap_or("(any)"),
                    config.source.name()
                ),
            ));
        }
        let groups = if config.one_language { languages(&records) } else { Vec::new() };
        let rate = match (&recipe.mixture, config.per_batch) {
            (Some(mixture), _) => Rate::Weight(weight(config, records.len(), mixture.temperature)),
            (None, per_batch) => Rate::PerBatch(per_batch.unwrap_or(0)),
        };
        let (order, tail) = (config.order, config.tail);
        shares.push(Share { name: config.name.clone(), records, rate, groups, order, tail });
    }
    Ok(match &recipe.mixture {
        Some(mixture) => Sampler::mixed(shares, recipe.seed, mixture.batch_size)?,
        None => Sampler::new(shares, recipe.seed)?,
    })
}

/// The recordings that a recipe's augmentation mixes into others.
///
/// # Errors
/// A source that cannot be read, or that has no audio files.
pub fn noises(recipe: &Recipe, sources: &mut Sources) -> Result<Option<Part>> {
    let audio = &recipe.augment.audio;
    let Some(config) = audio.noise_source.as_ref().filter(|_| audio.noise > 0.0) else { return Ok(None) };
    let noises = Part::of(sources.get(config)?, |key| key.audio)?;
    if noises.is_empty() {
        let message = format!("expected records with audio files, found none in {}", config.name());
        return Err(Error::setting("augment.audio.noise_source", message));
    }
    Ok(Some(noises))
}

/// A source's weight in a mixture: its own, or that of its records.
pub(crate) fn weight(config: &DataConfig, records: usize, temperature: f64) -> f64 {
    match (config.weight, config.epochs) {
        (Some(weight), _) => weight,
        (_, Some(epochs)) => epochs * records as f64,
        _ => (records as f64).powf(temperature.recip()),
    }
}

/// What is said of the sources of a run of so many steps.
pub(crate) fn describe(sampler: &Sampler, steps: u64) -> Vec<String> {
    let note = |(i, s): (usize, &Share)| {
        let (name, records, epochs) = (&s.name, s.records.len(), sampler.epoch(i, steps));
        let rate = match s.rate {
            Rate::PerBatch(n) => n.to_string(),
            Rate::Weight(_) => format!("{:.1}", epochs * records as f64 / steps.max(1) as f64),
        };
        format!("{name}: {records} records, {rate} a batch, {epochs:.1} epochs")
    };
    sampler.shares().iter().enumerate().map(note).collect()
}

/// The records that could not be used, a line for each source and cause; nothing where that was `told` before.
pub(crate) fn faults(faults: Vec<Fault>, told: &mut Vec<Fault>) -> Vec<String> {
    const SHOWN: usize = 10;
    if faults == *told {
        return Vec::new();
    }
    let line = |f: &Fault| format!("skipped {} of {} ({}): {}", f.count, f.source, f.stage, f.cause);
    let mut lines: Vec<String> = faults.iter().take(SHOWN).map(line).collect();
    if faults.len() > SHOWN {
        let rest: u64 = faults[SHOWN..].iter().map(|f| f.count).sum();
        lines.push(format!(
            "skipped {rest} more for {} other causes (summary.json has all)",
            faults.len() - SHOWN
        ));
    }
    *told = faults;
    lines
}

/// What all ranks left out: records by their ids, and how many for which cause.
///
/// # Errors
/// A rank that does not answer.
pub(crate) fn left_out(
    own: (BTreeMap<String, String>, Vec<Fault>),
    world: &World,
) -> Result<(BTreeMap<String, String>, Vec<Fault>)> {
    if world.is_alone() {
        return Ok(own);
    }
    let (mut named, mut faults) = (BTreeMap::new(), Vec::<Fault>::new());
    for (more, of) in world.gather(&own)? {
        named.extend(more);
        for fault in of {
            let same = |f: &&mut Fault| {
                (&f.source, &f.stage, &f.cause) == (&fault.source, &fault.stage, &fault.cause)
            };
            match faults.iter_mut().find(same) {
                Some(known) => known.count += fault.count,
                None => faults.push(fault),
            }
        }
    }
    Ok((named, faults))
}

/// What is trained and, where weights are averaged, what follows it: of the last checkpoint of `run` or new.
pub(crate) fn learners(
    recipe: &Recipe,
    run: &Path,
    sampler: &Sampler,
    resumed: bool,
    device: Device,
) -> Result<(Learner, Option<Learner>)> {
    let averaged = recipe.optimizer.ema.decay > 0.0;
    if resumed {
        let last = || Learner::load(&checkpoint::last(run), device);
        return Ok((last()?, averaged.then(last).transpose()?));
    }
    let towers = towers::model(recipe, sampler, device)?;
    let words = words(recipe, sampler, &towers)?;
    if !averaged {
        return Ok((Learner::new(towers, recipe, &words)?, None));
    }
    let twin = Model::new(towers.config().clone(), towers.processors().clone(), recipe.seed, device)?;
    let (model, shadow) = (Learner::new(towers, recipe, &words)?, Learner::new(twin, recipe, &words)?);
    shadow.follow(&model, &Ema::default(), 0)?;
    Ok((model, Some(shadow)))
}

/// The words of the captions that are drawn, each as its tokens, where a fusion part is to write no others.
fn words(recipe: &Recipe, sampler: &Sampler, towers: &Model) -> Result<Vec<Vec<i64>>> {
    let text = towers.processors().text.as_ref();
    let Some(text) = text.filter(|_| recipe.fusion.as_ref().is_some_and(|f| f.known_words)) else {
        return Ok(Vec::new());
    };
    let text = text.clone().with_prompt(Prompt::default());
    let (mut seen, mut words) = (HashSet::new(), BTreeSet::new());
    for (config, share) in recipe.data.iter().zip(sampler.shares()) {
        for i in 0..share.records.len() {
            // What cannot be read is named when it is drawn.
            let Ok(record) = share.records.record(i) else { continue };
            for caption in record.text.iter().filter(|_| config.uses(Modality::Text)) {
                if seen.insert(caption.clone())
                    && let Ok(of) = text.words(caption)
                {
                    words.extend(of);
                }
            }
        }
    }
    Ok(words.into_iter().collect())
}

/// Whether a record of this key is drawn: it has two modalities, or one of which two views are wanted.
pub(crate) fn wanted(key: &Key, c: &DataConfig, twice: &BTreeSet<Modality>) -> bool {
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
        && ([text, seen, heard].into_iter().filter(|there| *there).count() >= 2
            || twice.iter().any(|m| used(m) && has(m)))
}

fn languages(records: &Part) -> Vec<u32> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let number = |i| {
        let next = numbers.len() as u32;
        *numbers.entry(records.key(i).lang.unwrap_or_default()).or_insert(next)
    };
    (0..records.len()).map(number).collect()
}

/// What the records of each manifest add up to, that of the noises among them: a run that goes on is told when they are others.
///
/// # Errors
/// A source that cannot be read.
pub(crate) fn sums(sampler: &Sampler, noises: Option<&Part>) -> Result<BTreeMap<PathBuf, String>> {
    let mut sums = BTreeMap::new();
    for source in sampler.shares().iter().map(|s| &s.records).chain(noises).map(Part::source) {
        if !sums.contains_key(source.path()) {
            sums.insert(source.path().to_owned(), source.sum()?);
        }
    }
    Ok(sums)
}
