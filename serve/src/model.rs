//! A model that is served: what requests need to know of it, without its tensors.

use crate::engine::{Engine, Held};
use crate::{Batching, Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_fusion::Ability;
use unisono_jobs::understand::sees;
use unisono_processors::{Contract, Processors};

/// A model on its way into a server.
#[derive(Debug)]
pub struct Loaded {
    /// What requests call it.
    pub name: String,
    /// The folder that it came from.
    pub dir: PathBuf,
    /// The model.
    pub held: Held,
}

impl Loaded {
    /// A model from `dir`, which requests call as the user named it: by its folder's name, or its hub id.
    pub fn new(named: &Path, dir: &Path, held: Held) -> Self {
        let whole = || named.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder =
            named.file_name().map(ToOwned::to_owned).or_else(|| whole().file_name().map(ToOwned::to_owned));
        let name = match (named.exists(), folder) {
            (true, Some(folder)) => folder.to_string_lossy().into_owned(),
            _ => named.display().to_string(),
        };
        Self { name, dir: dir.to_owned(), held }
    }
}

/// A model that runs, and how it is fed.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) engine: Engine,
    pub(crate) processors: Arc<Processors>,
    frames: usize,
    listens: bool,
    /// Numbers of an embedding, and those of one that is not cut.
    pub(crate) dims: i64,
    pub(crate) whole: i64,
    /// What it embeds.
    pub(crate) embeds: Vec<Modality>,
    /// What it can say of what it sees.
    pub(crate) abilities: Vec<Ability>,
    /// What it says it of.
    pub(crate) sees: Vec<Modality>,
    /// It says how well two texts belong together, and makes no embeddings.
    pub(crate) compares_texts: bool,
    /// It has labels of its own.
    pub(crate) classifies: bool,
}

impl Served {
    /// Puts it on a thread of its own.
    pub(crate) fn start(loaded: Loaded, batching: Batching) -> Result<Self> {
        let Loaded { name, dir, held } = loaded;
        let model = held.towers();
        let (abilities, sees) = match &held {
            Held::Embedder(_) => (Vec::new(), Vec::new()),
            Held::Understander(m) => (m.model().abilities(), sees(m.model())),
        };
        let compares_texts = model.compares_texts();
        let embeds = if compares_texts { Vec::new() } else { model.embeds() };
        if embeds.is_empty() && abilities.is_empty() {
            let dir = dir.display();
            return Err(Error::Input(format!(
                "{dir}: it embeds nothing and says nothing: there is nothing to serve"
            )));
        }
        Ok(Self {
            processors: Arc::new(model.processors().clone()),
            frames: model.contract().frames,
            listens: model.listens(),
            dims: model.dims(),
            whole: model.config().embed_dim,
            embeds,
            abilities,
            sees,
            compares_texts,
            classifies: model.classifier().is_some() && matches!(held, Held::Embedder(_)),
            engine: Engine::start(&name, held, batching)?,
            name,
        })
    }

    /// How it is fed, but for limits and decoders.
    pub(crate) fn contract<'a>(&self, processors: &'a Processors) -> Contract<'a> {
        Contract { frames: self.frames, listens: self.listens, ..Contract::new(processors) }
    }

    /// What it can do, in words.
    pub(crate) fn can(&self) -> Vec<&'static str> {
        let embeds = (!self.embeds.is_empty()).then_some("embed");
        embeds.into_iter().chain(self.abilities.iter().map(|a| a.name())).collect()
    }

    /// As the list of models shows it.
    pub(crate) fn card(&self) -> Value {
        let names = |all: &[Modality]| all.iter().map(|m| m.name()).collect::<Vec<_>>();
        json!({
            "id": self.name, "object": "model", "created": 0, "owned_by": "unisono", "can": self.can(),
            "embeds": names(&self.embeds), "sees": names(&self.sees), "dimensions": self.dims,
        })
    }
}
