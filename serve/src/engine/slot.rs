//! Models in memory: each has a slot, and all of them together a bound. One that is asked for and is not there is loaded; the one that was asked for longest ago goes.

use super::held::Held;
use crate::refusal::{Answer, Refusal};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unisono_files::Stamp;
use unisono_jobs::Error as JobError;
use walkdir::WalkDir;

/// Loads a model as it was loaded first.
pub type Load = Box<dyn Fn() -> Result<Held, JobError> + Send + Sync>;

/// A model's place.
pub(crate) struct Slot {
    name: String,
    held: Mutex<Option<Held>>,
    load: Load,
    dir: PathBuf,
    /// Its files as they were when it was loaded first.
    files: Option<Vec<Stamp>>,
    bytes: u64,
    there: AtomicBool,
    /// When it was asked for last, by a clock of the memory's.
    used: AtomicU64,
    loads: AtomicU64,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What all models may take together.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Bytes; none: as much as they take.
    most: Option<u64>,
    slots: Mutex<Vec<Arc<Slot>>>,
    clock: AtomicU64,
    /// One is loaded at a time. Whoever holds a slot never waits for this.
    loading: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model that stays in its slot for as long as this is held.
pub(super) struct Taken<'a>(MutexGuard<'a, Option<Held>>);

impl Taken<'_> {
    pub(super) fn held(&mut self) -> Answer<&mut Held> {
        self.0
            .as_mut()
            .ok_or_else(|| Refusal::broken("the model is not in memory (this is a bug, please report it)"))
    }
}

/// The stamps of a model's files; none where a file cannot be seen.
fn stamps(dir: &Path) -> Option<Vec<Stamp>> {
    let files = WalkDir::new(dir).follow_links(true).max_depth(3).sort_by_file_name().into_iter();
    let files = files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.map(|entry| Stamp::of(entry.path())).collect()
}

impl Memory {
    pub(crate) fn new(most: Option<u64>) -> Arc<Self> {
        Arc::new(Self { most, ..Self::default() })
    }

    /// Gives a model that was just loaded its slot. Others go where it has no room beside them.
    ///
    /// # Errors
    /// It alone takes more than all may.
    pub(super) fn admit(&self, name: &str, dir: &Path, held: Held, load: Load) -> crate::Result<Arc<Slot>> {
        let bytes = held.bytes();
        if let Some(most) = self.most.filter(|most| bytes > *most) {
            return Err(crate::Error::Input(format!(
                "{name}: it takes {bytes} bytes, and all models together may take {most}; give --memory more"
            )));
        }
        let slot = Arc::new(Slot {
            name: name.to_owned(),
            held: Mutex::new(Some(held)),
            load,
            dir: dir.to_owned(),
            files: self.most.and_then(|_| stamps(dir)),
            bytes,
            there: AtomicBool::new(true),
            used: AtomicU64::new(self.tick()),
            loads: AtomicU64::new(1),
        });
        let _one = lock(&self.loading);
        self.make_room(bytes);
        lock(&self.slots).push(slot.clone());
        Ok(slot)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Lets go until so many bytes have room, those first that were asked for longest ago.
    fn make_room(&self, bytes: u64) {
        let Some(most) = self.most else { return };
        let mut there: Vec<Arc<Slot>> =
            lock(&self.slots).iter().filter(|slot| slot.there.load(Ordering::SeqCst)).cloned().collect();
        there.sort_by_key(|slot| slot.used.load(Ordering::SeqCst));
        let mut sum: u64 = there.iter().map(|slot| slot.bytes).sum();
        for slot in there {
            if sum.saturating_add(bytes) <= most {
                break;
            }
            // What it works on is done first.
            let mut held = lock(&slot.held);
            drop(held.take());
            slot.there.store(false, Ordering::SeqCst);
            sum -= slot.bytes;
        }
    }

    /// The model of a slot, loaded where it is not there.
    pub(super) fn take<'s>(&self, slot: &'s Slot) -> Answer<Taken<'s>> {
        slot.used.store(self.tick(), Ordering::SeqCst);
        let held = lock(&slot.held);
        if held.is_some() {
            return Ok(Taken(held));
        }
        drop(held);
        let _one = lock(&self.loading);
        self.make_room(slot.bytes);
        let name = &slot.name;
        if stamps(&slot.dir) != slot.files {
            let message =
                format!("{name}: its files have changed since the server was started; start it again");
            return Err(Refusal::broken(message));
        }
        let made =
            (slot.load)().map_err(|e| Refusal::broken(format!("{name} cannot be loaded again: {e}")))?;
        let mut held = lock(&slot.held);
        *held = Some(made);
        slot.there.store(true, Ordering::SeqCst);
        slot.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Taken(held))
    }

    /// A model is served no longer.
    pub(super) fn forget(&self, slot: &Arc<Slot>) {
        lock(&self.slots).retain(|other| !Arc::ptr_eq(other, slot));
    }
}

impl Slot {
    /// Bytes of its weights, in all forms that are kept of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it is in memory.
    pub(crate) fn is_there(&self) -> bool {
        self.there.load(Ordering::SeqCst)
    }

    /// How often it was loaded.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}
