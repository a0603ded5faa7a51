//! Computes the features that are not kept yet: workers decode, this thread runs the towers.

use crate::data::{Preparer, Seen};
use crate::events::Event;
use crate::features::{Features, Key, Store, Whose, kept_towers, lasting, place};
use crate::world::World;
use crate::{Error, Learner, Recipe, Result};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;
use unisono_datasets::Sampler;
use unisono_encoders::{Input, Modality, Model, Precision, to_vec};
use unisono_files::{Budget, own_folder, read_json, write_json};
use unisono_processors::Medium;
use unisono_torch_ext::library;

/// Media that go through a tower at once.
const BLOCK: usize = 32;

/// A view of a medium: where its feature lies, and a record that has it.
struct Place {
    modality: Modality,
    /// While the run lasts.
    at: Key,
    /// On the disk.
    key: Key,
    view: u32,
    /// Share and record.
    from: (usize, usize),
}

/// Views of one modality that go through its tower together, whichever of them are there already: a feature does not depend on where an earlier
/// run ended.
struct Block {
    modality: Modality,
    keys: Vec<Key>,
    seen: Vec<Seen>,
    /// Views of the block, those that could not be decoded among them.
    of: usize,
}

/// The features of the frozen towers of `model` for all media of the data, kept below `run`: those that are not there yet are computed, by
/// `workers` threads that decode and this one. What cannot be decoded is left to the training to be named. Ends early when `stop` is set; what is
/// done is kept.
///
/// # Errors
/// Nothing can be written, or libtorch's.
pub(crate) fn keep(
    recipe: &Recipe,
    model: &Learner,
    (sampler, preparer): (&Sampler, &Preparer),
    (run, world): (&Path, &World),
    workers: usize,
    stop: Option<&AtomicBool>,
    tell: &mut dyn FnMut(Event),
) -> Result<Features> {
    let views: BTreeMap<Modality, u32> = kept_towers(recipe, model, sampler).into_iter().collect();
    if views.is_empty() {
        return Ok(Features::default());
    }
    let folder = run.join("features");
    own_folder(&folder)?;
    let mut stores = BTreeMap::new();
    // The leader begins files anew that are of other towers; then all read them.
    let open = |modality, views| opened(&folder, recipe, model.towers(), modality, views);
    let first =
        world.leader_first(|| views.iter().map(|(m, views)| Ok((*m, open(*m, *views)?))).collect())?;
    match first {
        Some(all) => stores = all,
        None => {
            for (modality, views) in &views {
                stores.insert(*modality, open(*modality, *views)?);
            }
        }
    }
    let places = places(sampler, recipe, &views);
    let missing = |of: &Place| stores.get(&of.modality).is_some_and(|store| store.get(&of.key).is_none());
    let blocks = places.chunk_by(|a, b| a.modality == b.modality).flat_map(|of| of.chunks(BLOCK));
    let blocks: Vec<&[Place]> = blocks.filter(|block| block.iter().any(missing)).collect();
    let all: usize = blocks.iter().map(|block| block.len()).sum();
    // Each rank its part of the blocks, which stay whole: a feature does not depend on how many ranks there are.
    let own = blocks.into_iter().enumerate().filter(|(i, _)| i % world.size() == world.rank());
    let blocks: Vec<&[Place]> = own.map(|(_, block)| block).collect();
    let count = blocks.iter().map(|block| block.len()).sum();
    let mut parts = BTreeMap::new();
    for (modality, store) in stores.iter().filter(|_| all > 0 && !world.leads()) {
        parts.insert(*modality, Store::open(&part(&folder, *modality, world.rank()), store.width())?);
    }
    if all > 0 {
        let names: Vec<&str> = views.keys().map(|m| m.name()).collect();
        tell(Event::Note(format!(
            "features of the frozen towers ({}): {all} of {} to compute",
            names.join(", "),
            places.len()
        )));
        let begun = Instant::now();
        let job = Job { recipe, sampler, preparer, stop };
        let precision = recipe.loader.feature_precision.on(model.towers().device());
        let into = if world.leads() { &mut stores } else { &mut parts };
        let done = job.run(&twin(model.towers(), precision)?, &blocks, into, (workers, count), tell)?;
        // Of other sizes than a step's, and much more.
        library::give_back_freed_memory();
        let seconds = begun.elapsed().as_secs_f64();
        tell(Event::Note(format!("{done} features kept in {}, {seconds:.0} s", folder.display())));
    }
    drop(parts);
    if all > 0 && !world.is_alone() {
        // What the others have computed goes behind the leader's own.
        world.meet()?;
        world.leader_first(|| gather(&folder, &mut stores, world.size()))?;
        for (modality, views) in views.iter().filter(|_| !world.leads()) {
            stores.insert(*modality, open(*modality, *views)?);
        }
        world.meet()?;
    }
    let mut features = Features::default();
    for (modality, store) in stores {
        let own = places.iter().filter(|of| of.modality == modality);
        let places = own.filter_map(|of| Some((of.at, store.get(&of.key)?))).collect();
        let views = views.get(&modality).copied().unwrap_or(1);
        features.insert(modality, store, places, views)?;
    }
    Ok(features)
}

/// Where a rank that does not lead writes what it computes.
fn part(folder: &Path, modality: Modality, rank: usize) -> PathBuf {
    folder.join(format!("{modality}.rank{rank}.rows"))
}

/// Takes what the other ranks have computed into the files of all, and removes theirs.
fn gather(folder: &Path, stores: &mut BTreeMap<Modality, Store>, ranks: usize) -> Result<()> {
    for (modality, store) in stores {
        for path in (1..ranks).map(|rank| part(folder, *modality, rank)) {
            store.append(Store::open(&path, store.width())?)?;
            fs::remove_file(&path).map_err(|e| Error::io(path, e))?;
        }
    }
    Ok(())
}

/// The file of a tower's features. One of another tower, or of other settings, begins anew.
fn opened(folder: &Path, recipe: &Recipe, model: &Model, modality: Modality, views: u32) -> Result<Store> {
    let whose = Whose::of(recipe, model, modality, views)?;
    let [said, rows] = ["json", "rows"].map(|ending| folder.join(format!("{modality}.{ending}")));
    if read_json::<Whose>(&said, &Budget::CONFIG).ok().as_ref() != Some(&whose) {
        for path in [&said, &rows] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path, e)),
                _ => {}
            }
        }
        write_json(&said, &whose)?;
    }
    Store::open(&rows, whose.width)
}

/// The same towers, their weights packed.
fn twin(model: &Model, precision: Precision) -> Result<Model> {
    let (config, processors) = (model.config().clone(), model.processors().clone());
    let mut twin = Model::new(config, processors, 0, model.device())?;
    let own = model.params().iter().map(|(name, p)| (name.to_owned(), p.tensor.shallow_clone())).collect();
    twin.params().copy_from(&own).map_err(|e| Error::setting("tower", e.to_string()))?;
    twin.prepare(precision)?;
    Ok(twin)
}

/// All views of all media that the shares may draw, by modality; texts and audio files by their lengths, the others as they come.
fn places(sampler: &Sampler, recipe: &Recipe, views: &BTreeMap<Modality, u32>) -> Vec<Place> {
    let (mut places, mut known, twice) = (Vec::new(), HashSet::new(), recipe.objective.twice());
    for (s, share) in sampler.shares().iter().enumerate() {
        for r in 0..share.records.len() {
            // What cannot be read is named when it is drawn.
            let Ok(record) = share.records.record(r) else { continue };
            recipe.data[s].media(&record, &twice, |modality, medium| {
                let long = match medium {
                    Medium::Text(text) => text.len() as u64,
                    // Those that sound about as long go through the tower together.
                    Medium::Audio(blob) => blob.stamp().map_or(0, |stamp| stamp.bytes()),
                    _ => 0,
                };
                for view in 0..views.get(&modality).copied().unwrap_or(0) {
                    let at = place(&medium, view);
                    if known.insert(at) {
                        let key = lasting(&at, &medium);
                        places.push((long, Place { modality, at, key, view, from: (s, r) }));
                    }
                }
            });
        }
    }
    // The longest first: what they leave free is enough for all that follow. Those of one length stay in their order.
    places.sort_by_key(|(long, of)| (of.modality, Reverse(*long)));
    places.into_iter().map(|(_, of)| of).collect()
}

struct Job<'a> {
    recipe: &'a Recipe,
    sampler: &'a Sampler,
    preparer: &'a Preparer,
    stop: Option<&'a AtomicBool>,
}

impl Job<'_> {
    /// Blocks through `model` into the stores; how many features came of it.
    fn run(
        &self,
        model: &Model,
        blocks: &[&[Place]],
        stores: &mut BTreeMap<Modality, Store>,
        (workers, count): (usize, usize),
        tell: &mut dyn FnMut(Event),
    ) -> Result<usize> {
        let next = AtomicUsize::new(0);
        let stopped = || self.stop.is_some_and(|s| s.load(Ordering::Relaxed));
        let (send, receive) = sync_channel::<Block>(workers.max(1));
        std::thread::scope(|scope| {
            for _ in 0..workers.max(1) {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // An error: nobody wants it any more.
                        if stopped() || send.send(self.block(block)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            let (mut kept, mut done) = (0, 0);
            // The receiver goes with this loop, and with it whoever waits for room.
            for block in receive {
                kept += self.flush(model, &block, stores)?;
                done += block.of;
                tell(Event::Features { done, of: count });
            }
            Ok(kept)
        })
    }

    /// Decodes and processes the views of a block.
    fn block(&self, block: &[Place]) -> Block {
        let modality = block.first().map_or(Modality::Text, |of| of.modality);
        let twice = self.recipe.objective.twice();
        let mut ready = Block { modality, keys: Vec::new(), seen: Vec::new(), of: block.len() };
        for of in block {
            let (share, at) = of.from;
            let Some(Ok(record)) = self.sampler.shares().get(share).map(|share| share.records.record(at))
            else {
                continue;
            };
            let mut found = None;
            self.recipe.data[share].media(&record, &twice, |modality, medium| {
                if found.is_none() && modality == of.modality && place(&medium, of.view) == of.at {
                    found = Some(medium);
                }
            });
            if let Some(Ok(seen)) = found.map(|medium| self.preparer.view(medium, of.view)) {
                ready.keys.push(of.key);
                ready.seen.push(seen);
            }
        }
        ready
    }

    /// A block through its tower into its store.
    fn flush(&self, model: &Model, block: &Block, stores: &mut BTreeMap<Modality, Store>) -> Result<usize> {
        let Some(store) = stores.get_mut(&block.modality).filter(|_| !block.seen.is_empty()) else {
            return Ok(0);
        };
        let inputs: Vec<Input> = block.seen.iter().map(Seen::input).collect();
        let pooled = tch::no_grad(|| model.pooled(inputs))?;
        store.push(&block.keys, &to_vec(&pooled)?)?;
        Ok(block.keys.len())
    }
}
