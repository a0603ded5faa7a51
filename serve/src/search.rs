//! The index that is searched: all that this crate knows of indexes.

use crate::Result;
use crate::asked::Order;
use crate::engine::Held;
use crate::model::Loaded;
use crate::refusal::{Answer, Refusal};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_encoders::Modality;
use unisono_jobs::index::Filter;
use unisono_jobs::{Device, Embedder, Error as JobError, Hit, Index, Item, identity};

/// An open index.
#[derive(Debug)]
pub struct Searched {
    index: Index,
}

impl Searched {
    /// Opens the index in a folder.
    ///
    /// # Errors
    /// No index.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self { index: Index::open(folder).map_err(JobError::from)? })
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
    pub(crate) fn query(&self, models: &[Loaded], device: Device) -> Result<Query> {
        let wanted = &self.index.header().model;
        for (at, model) in models.iter().enumerate() {
            let Held::Embedder(embedder) = &model.held else { continue };
            let plain = embedder.prompt().is_none()
                && embedder.model().processors().text.as_ref().is_none_or(|t| t.prompts().names().is_empty())
                && embedder.window() == wanted.window;
            let routes = unisono_encoders::families::has_routes(&model.dir).map_err(JobError::from)?;
            if plain && !routes && identity(&model.dir)? == wanted.sha256 {
                return Ok(Query::Shared(at));
            }
        }
        let moved = models.iter().find(|m| identity(&m.dir).is_ok_and(|found| found == wanted.sha256));
        let embedder = Embedder::of_index(&self.index, moved.map(|m| m.dir.as_path()), device)?;
        let dir = moved.map_or_else(|| wanted.path.clone(), |m| m.dir.clone());
        Ok(Query::Own(Box::new(Loaded::new(&dir, &dir, Held::Embedder(embedder)))))
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

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.index.header().modalities.iter().map(|(m, n)| (m.name(), *n)).collect()
    }

    pub(crate) fn item(&self, row: usize) -> Option<Item> {
        self.index.item(row)
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
#[derive(Debug)]
pub(crate) enum Query {
    /// One that is served anyway.
    Shared(usize),
    /// One of its own.
    Own(Box<Loaded>),
}
