//! What every request has at hand: the models, the index, the limits.

use crate::engine::{Kind, Memory};
use crate::form::Bounds;
use crate::gate::{Gate, Inside};
use crate::given::Given;
use crate::metrics::Metrics;
use crate::model::{Served, Source};
use crate::prepare::Workers;
use crate::refusal::{Answer, Refusal};
use crate::scenes::Scenes;
use crate::search::{Current, Searched, Searching};
use crate::{Error, Result, Settings};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use unisono_encoders::Modality;
use unisono_fusion::Ability;
use unisono_jobs::Device;
use unisono_jobs::feedback::Votes;
use unisono_processors::Prepared;

/// Values of a body where inputs are few: labels, documents, filters.
const VALUES: usize = 1 << 18;

/// What is served.
#[derive(Debug)]
pub struct App {
    pub(crate) settings: Settings,
    models: Vec<Arc<Served>>,
    pub(crate) searching: Searching,
    /// Where votes go.
    pub(crate) votes: Option<Votes>,
    pub(crate) workers: Workers,
    pub(crate) scenes: Scenes,
    pub(crate) metrics: Metrics,
    gate: Gate,
    bounds: Bounds,
    ending: AtomicBool,
}

/// Vectors, and how many tokens their texts had.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) rows: Vec<Vec<f32>>,
    pub(crate) tokens: usize,
}

impl App {
    /// Loads the models and starts their threads. A model of its own for queries goes to `device`, where none of `models` can read them.
    ///
    /// # Errors
    /// No model; two of one name; one that cannot be loaded, or is larger than all may be; the index's model is not there.
    pub fn new(
        models: Vec<Source>,
        index: Option<Searched>,
        device: Device,
        settings: Settings,
    ) -> Result<Self> {
        let mut names = HashSet::new();
        if let Some(twice) = models.iter().find(|m| !names.insert(m.name.clone())) {
            let name = &twice.name;
            return Err(Error::Input(format!(
                "two models are called {name}: requests could not name them; rename a folder"
            )));
        }
        if models.is_empty() {
            return Err(Error::Input("there is no model to serve; give one with --model".into()));
        }
        if settings.votes.is_some() && index.is_none() {
            return Err(Error::Input("--votes: votes are on hits of an index; give one with --index".into()));
        }
        let (batching, memory) = (settings.batching, Memory::new(settings.memory));
        let models: Result<Vec<Arc<Served>>> = models
            .into_iter()
            .map(|source| Ok(Arc::new(Served::start(source, &memory, batching)?)))
            .collect();
        let models = models?;
        Ok(Self {
            votes: settings.votes.as_deref().map(Votes::open).transpose()?,
            searching: Searching::new(index, &models, (device, memory, batching))?,
            models,
            workers: Workers::new(settings.workers, settings.limits, settings.ffmpeg.clone()),
            scenes: Scenes::default(),
            metrics: Metrics::default(),
            gate: Gate::new(settings.queue),
            bounds: Bounds {
                body: settings.body,
                held: Gate::new(settings.bodies),
                patience: settings.patience,
                values: settings.inputs.saturating_mul(8).max(VALUES),
            },
            ending: AtomicBool::new(false),
            settings,
        })
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Those that requests can name.
    pub(crate) fn models(&self) -> &[Arc<Served>] {
        &self.models
    }

    /// Those, and the one for queries.
    pub(crate) fn all_models(&self) -> impl Iterator<Item = Arc<Served>> {
        let query = self.searching.now().map(|now| now.query.clone());
        let own = query.filter(|q| !self.models.iter().any(|m| Arc::ptr_eq(m, q)));
        self.models.iter().cloned().chain(own)
    }

    /// No more work is taken.
    pub(crate) fn close(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.scenes.stop();
    }

    /// Waits for the models' threads.
    pub fn end(&self) {
        self.close();
        self.all_models().for_each(|model| model.engine.end());
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// The index and its model, as they are now. A request takes them once: another may be put in their place meanwhile.
    pub(crate) fn current(&self) -> Answer<Arc<Current>> {
        self.searching.now().ok_or_else(|| Refusal::missing("there is no index here; give one with --index"))
    }

    pub(crate) fn index_if_any(&self) -> Option<Arc<Searched>> {
        self.searching.now().map(|now| now.index.clone())
    }

    /// The model of this name, or the first that `can`.
    pub(crate) fn model(
        &self,
        name: Option<&str>,
        can: impl Fn(&Served) -> bool,
        what: &str,
    ) -> Answer<&Arc<Served>> {
        let named =
            |models: &[Arc<Served>]| models.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join(", ");
        match name.filter(|name| !name.is_empty()) {
            None => self.models.iter().find(|m| can(m)).ok_or_else(|| {
                Refusal::missing(format!("no model here can {what}; served: {}", named(&self.models)))
            }),
            Some(name) => {
                let found = self.models.iter().find(|m| m.name == name).ok_or_else(|| {
                    let message = format!("model {name} is not served; served: {}", named(&self.models));
                    Refusal { param: Some("model".into()), ..Refusal::missing(message) }
                })?;
                match can(found) {
                    true => Ok(found),
                    false => {
                        let able = found.can().join(", ");
                        Err(Refusal::field("model", format!("{name} cannot {what}; it can: {able}")))
                    }
                }
            }
        }
    }

    /// A model that has this ability.
    pub(crate) fn able(&self, name: Option<&str>, ability: Ability) -> Answer<&Arc<Served>> {
        self.model(name, |m| m.abilities.contains(&ability) && !m.compares_texts, ability.name())
    }

    /// Room for so many inputs; 429 where there is none.
    pub(crate) fn admit(&self, inputs: usize) -> Answer<Inside> {
        if self.is_ending() {
            return Err(Refusal::ending());
        }
        self.gate.enter(inputs).ok_or_else(|| Refusal::busy(self.retry()))
    }

    /// Seconds in which what waits is likely to be done.
    fn retry(&self) -> u64 {
        let (mut seconds, mut items) = (0.0, 0u64);
        for model in self.all_models() {
            let done = model.engine.done();
            seconds += done.micros.load(Ordering::Relaxed) as f64 * 1e-6;
            items += done.items.load(Ordering::Relaxed);
        }
        let each = if items == 0 { 0.0 } else { seconds / items as f64 };
        ((each * self.gate.now() as f64).ceil() as u64).clamp(1, 60)
    }

    /// What `model` makes of what is given, which has been let in.
    pub(crate) async fn vectors(
        &self,
        model: &Arc<Served>,
        given: Vec<Given>,
        field: &str,
        dims: Option<i64>,
    ) -> Answer<Embedded> {
        self.vectors_with(model, given, field, dims, self.index_if_any().as_ref()).await
    }

    /// [`vectors`](Self::vectors) where rows are those of `index`.
    async fn vectors_with(
        &self,
        model: &Arc<Served>,
        given: Vec<Given>,
        field: &str,
        dims: Option<i64>,
        index: Option<&Arc<Searched>>,
    ) -> Answer<Embedded> {
        let prepared = self.workers.prepare(model, given, field, index).await?;
        let tokens = prepared.iter().map(|p| if let Prepared::Text(ids) = p { ids.len() } else { 0 }).sum();
        let mut rows: Vec<Vec<f32>> = prepared.iter().map(|_| Vec::new()).collect();
        let mut kinds: Vec<(Kind, Vec<usize>, Vec<Prepared>)> = Vec::new();
        for (i, prepared) in prepared.into_iter().enumerate() {
            let kind = Kind::of(&prepared);
            match kinds.iter_mut().find(|(k, ..)| *k == kind) {
                Some((_, at, inputs)) => {
                    at.push(i);
                    inputs.push(prepared);
                }
                None => kinds.push((kind, vec![i], vec![prepared])),
            }
        }
        for (_, at, inputs) in kinds {
            for (i, row) in at.into_iter().zip(model.engine.embed(inputs, dims).await?) {
                rows[i] = row;
            }
        }
        Ok(Embedded { rows, tokens })
    }

    /// The vectors of queries, of the index's width.
    pub(crate) async fn query_vectors(
        &self,
        current: &Current,
        given: Vec<Given>,
        field: &str,
    ) -> Answer<Vec<Vec<f32>>> {
        let (model, dims) = (&current.query, current.index.dims());
        let dims = (dims != model.dims).then_some(dims);
        Ok(self.vectors_with(model, given, field, dims, Some(&current.index)).await?.rows)
    }

    /// What a query is, of one thing.
    pub(crate) fn modality_of(&self, given: &Given) -> Modality {
        match given {
            Given::Row(row) => {
                self.index_if_any().and_then(|i| i.item(*row)).map_or(Modality::Text, |i| i.modality)
            }
            other => other.modality().unwrap_or(Modality::Text),
        }
    }
}
