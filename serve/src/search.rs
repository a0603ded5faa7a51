//! The index that is searched: all that this crate knows of indexes.

use crate::asked::Order;
use crate::engine::{Held, Memory};
use crate::model::{Served, Source};
use crate::places::Places;
use crate::refusal::{Answer, Refusal};
use crate::{Batching, Result};
use axum::body::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::OnceCell;
use unisono_encoders::Modality;
use unisono_files::Stamp;
use unisono_jobs::index::{Filter, HEADER, Spot, spots};
use unisono_jobs::{Device, Embedder, Error as JobError, Hit, Index, Item, identity};

/// An open index.
#[derive(Debug)]
pub struct Searched {
    index: Arc<Index>,
    /// Its header's file as it was when it was opened.
    seen: Option<Stamp>,
    places: Places,
}

impl Searched {
    /// Opens the index in a folder.
    ///
    /// # Errors
    /// No index.
    pub fn open(folder: &Path) -> Result<Self> {
        // Looked at before: what is written between the two is seen the next time.
        let seen = Stamp::of(&folder.join(HEADER));
        let index = Arc::new(Index::open(folder).map_err(JobError::from)?);
        Ok(Self { places: Places::of(&index), index, seen })
    }

    /// Where the model lies that made it.
    pub fn model(&self) -> PathBuf {
        self.index.header().model.path.clone()
    }

    /// The model for queries, where none of `models` can serve: that is one with the index's weights, which reads queries as it reads other texts, and hears
    /// as the index was made.
    ///
    /// # Errors
    /// The model is not there, or is another.
    fn query(&self, models: &[Arc<Served>], device: Device) -> Result<Query> {
        let wanted = &self.index.header().model;
        for model in models {
            if model.plain == Some(wanted.window) && identity(&model.dir)? == wanted.sha256 {
                return Ok(Query::Shared(model.clone()));
            }
        }
        let moved = models.iter().find(|m| identity(&m.dir).is_ok_and(|found| found == wanted.sha256));
        let dir = moved.map(|m| m.dir.clone());
        let (index, at) = (self.index.clone(), dir.clone());
        let load = move || Ok(Held::Embedder(Embedder::of_index(&index, at.as_deref(), device)?));
        let dir = dir.unwrap_or_else(|| wanted.path.clone());
        let mut source = Source::new(&dir, &dir, Box::new(load));
        source.name = format!("{} (queries)", source.name);
        Ok(Query::Own(source))
    }

    /// Numbers of a vector.
    pub(crate) fn dims(&self) -> i64 {
        i64::try_from(self.index.header().dim).unwrap_or(i64::MAX)
    }

    /// How many items.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.index.folder()
    }

    /// SHA-256 of the model that made it.
    pub(crate) fn model_sum(&self) -> &str {
        &self.index.header().model.sha256
    }

    /// What tells one state of it from another.
    pub(crate) fn sum(&self) -> &str {
        &self.index.header().sum
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.index.header().modalities.iter().map(|(m, n)| (m.name(), *n)).collect()
    }

    /// Where its files were.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// A row whose file is to be read; `at` names it in messages.
    pub(crate) fn readable(&self, row: usize, at: &str) -> Answer<Item> {
        let missing = || Refusal::missing(format!("{at}: the index has no row {row}"));
        self.places.readable(self.item(row).ok_or_else(missing)?)
    }

    pub(crate) fn item(&self, row: usize) -> Option<Item> {
        self.index.item(row)
    }

    /// Where at most `most` of its items lie among each other.
    pub(crate) fn spots(&self, most: usize) -> Vec<Spot> {
        spots(&self.index, most)
    }

    /// What a query of this modality looks through when nobody says otherwise.
    pub(crate) fn usual(&self, query: Modality) -> Vec<Modality> {
        self.index.searched(query)
    }

    /// The vector of a row; none of one that is not there, or whose vector another one has.
    pub(crate) fn vector(&self, row: usize) -> Option<Vec<f32>> {
        self.index.vector(row).map(<[f32]>::to_vec)
    }

    /// The row of an item by its id: all items are read.
    pub(crate) fn row_of(&self, id: &str) -> Option<usize> {
        self.index.row_of(id)
    }

    /// What is nearest to a query of modality `from`, among what a filter lets through and without some rows.
    pub(crate) fn find(
        &self,
        query: &[f32],
        from: Modality,
        k: usize,
        (filter, without): (&Filter, &[usize]),
        order: Order,
    ) -> Answer<Vec<Hit>> {
        let found = match order {
            Order::Cosine => self.index.search_where(query, k, filter, without),
            Order::Chance => self.index.search_by_chance(query, from, k, filter, without),
        };
        Ok(found.map_err(JobError::from)?)
    }

    /// Which share of random pairs scores as high; none where the index does not know.
    pub(crate) fn chance(&self, from: Modality, hit: &Hit) -> Option<f64> {
        self.index.chance(from, hit)
    }

    /// Whether the chance of hits of these modalities is known.
    pub(crate) fn knows(&self, from: Modality, to: &[Modality]) -> Answer<()> {
        match to.iter().find(|to| self.index.chances(from, **to).is_none()) {
            None => Ok(()),
            Some(to) => Err(Refusal::field(
                "chance",
                format!(
                    "the index does not know how random pairs of {from} and {to} score (too few items, or an index of an older format); leave it out, or give a modality"
                ),
            )),
        }
    }
}

/// The model for queries.
enum Query {
    /// One that is served anyway.
    Shared(Arc<Served>),
    /// One of its own.
    Own(Source),
}

/// An index and the model for its queries.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) index: Arc<Searched>,
    pub(crate) query: Arc<Served>,
    /// Where its items lie among each other, as it is answered; made when it is asked for.
    pub(crate) map: OnceCell<Bytes>,
}

/// The index that is searched now. When another stands in its place, that is opened, beside; then the two change at once.
#[derive(Debug)]
pub(crate) struct Searching {
    now: RwLock<Option<Arc<Current>>>,
    with: (Device, Arc<Memory>, Batching),
    busy: AtomicBool,
    /// What stands in the index's place and cannot be taken, and why.
    failed: Mutex<Option<(Option<Stamp>, String)>>,
}

impl Searching {
    pub(crate) fn new(
        index: Option<Searched>,
        models: &[Arc<Served>],
        with: (Device, Arc<Memory>, Batching),
    ) -> Result<Self> {
        let (now, busy) = (RwLock::default(), AtomicBool::default());
        let searching = Self { now, with, busy, failed: Mutex::default() };
        if let Some(index) = index {
            searching.put(index, models)?;
        }
        Ok(searching)
    }

    pub(crate) fn now(&self) -> Option<Arc<Current>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why what stands in the index's place is not searched.
    pub(crate) fn failed(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, why)| why.clone())
    }

    fn put(&self, index: Searched, models: &[Arc<Served>]) -> Result<()> {
        let (device, memory, batching) = &self.with;
        let same = self.now().filter(|now| {
            let (a, b) = (now.index.index.header(), index.index.header());
            a.model.contract() == b.model.contract() && a.dim == b.dim
        });
        let query = match same {
            Some(now) => now.query.clone(),
            None => match index.query(models, *device)? {
                Query::Shared(model) => model,
                Query::Own(source) => Arc::new(Served::start(source, memory, *batching)?),
            },
        };
        let current = Arc::new(Current { index: Arc::new(index), query, map: OnceCell::new() });
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
        Ok(())
    }

    /// The folder of another index that stands in the place of this one, and its header's stamp: it is to be [taken](Self::renew), by whoever asks first.
    pub(crate) fn stale(&self) -> Option<(PathBuf, Option<Stamp>)> {
        let now = self.now()?;
        let folder = now.index.folder().to_owned();
        let stamp = Stamp::of(&folder.join(HEADER));
        let known = || {
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.as_ref().is_some_and(|(failed, _)| *failed == stamp)
        };
        let stale = stamp.is_some() && stamp != now.index.seen && !known();
        (stale && !self.busy.swap(true, Ordering::SeqCst)).then_some((folder, stamp))
    }

    /// Opens the index in a folder beside, and puts it in the place of this one; where it cannot be, this one goes on.
    pub(crate) fn renew(&self, folder: &Path, stamp: Option<Stamp>, models: &[Arc<Served>]) {
        let made = unisono_files::caught(|| Searched::open(folder).and_then(|index| self.put(index, models)));
        let failed = match made {
            Some(Ok(())) => None,
            Some(Err(e)) => Some((stamp, e.to_string())),
            None => Some((stamp, "a thread stopped (this is a bug, please report it)".to_owned())),
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        self.busy.store(false, Ordering::SeqCst);
    }
}
