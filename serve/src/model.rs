//! A model that is served: what requests need to know of it, without its tensors.

use crate::engine::{Engine, Held, Load, Memory};
use crate::{Batching, Error, Result};
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_encoders::{AudioWindow, Modality, families};
use unisono_fusion::Ability;
use unisono_jobs::Error as JobError;
use unisono_jobs::understand::sees;
use unisono_processors::{Contract, Processors};

/// A model that is to be served.
pub struct Source {
    /// What requests call it.
    pub name: String,
    /// The folder that it comes from.
    pub dir: PathBuf,
    /// Loads it.
    pub load: Load,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Source {
    /// A model in `dir` that `load` loads. Requests call it as the user named it: by its folder's name, a training run's by the run's, its name in the store, or its hub id.
    pub fn new(named: &Path, dir: &Path, load: Load) -> Self {
        let name = match named.exists() {
            true => folder_name(named),
            false => named.display().to_string(),
        };
        Self { name, dir: dir.to_owned(), load }
    }
}

/// What a folder is called. A run's best checkpoint is what the run is for: it has the run's name; its others are called `run/last`.
fn folder_name(named: &Path) -> String {
    // A link has its own name; what ends in dots has none.
    let name = |path: &Path| {
        let whole = path
            .file_name()
            .map(ToOwned::to_owned)
            .or_else(|| path.canonicalize().ok()?.file_name().map(ToOwned::to_owned));
        whole.map(|name| name.to_string_lossy().into_owned())
    };
    let own = name(named).unwrap_or_else(|| named.display().to_string());
    let above = named.parent().map(|run| if run.as_os_str().is_empty() { Path::new(".") } else { run });
    match above.filter(|run| run.join("recipe.toml").is_file()).and_then(name) {
        Some(run) if own == "best" => run,
        Some(run) => format!("{run}/{own}"),
        None => own,
    }
}

/// A model that runs, and how it is fed.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
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
    /// It reads every text alike, whether it asks or is found, and hears so; none of one that does not.
    pub(crate) plain: Option<AudioWindow>,
}

impl Served {
    /// Loads it, and puts it on a thread of its own.
    pub(crate) fn start(source: Source, memory: &Arc<Memory>, batching: Batching) -> Result<Self> {
        let Source { name, dir, load } = source;
        let held = load()?;
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
        let plain = match &held {
            Held::Embedder(embedder) => {
                let prompts =
                    model.processors().text.as_ref().is_some_and(|t| !t.prompts().names().is_empty());
                let routes = families::has_routes(&dir).map_err(JobError::from)?;
                (embedder.prompt().is_none() && !prompts && !routes).then(|| embedder.window())
            }
            Held::Understander(_) => None,
        };
        Ok(Self {
            plain,
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
            engine: Engine::start((&name, &dir), held, load, memory, batching)?,
            name,
            dir,
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
            "bytes": self.engine.slot().bytes(), "loaded": self.engine.slot().is_there(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_as_its_folder_and_that_of_a_run_as_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["model/best", "photos/best", "photos/last"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("photos/recipe.toml"), "").unwrap();
        let called = |named: &Path| Source::new(named, named, Box::new(|| Err(JobError::Interrupted))).name;
        for (folder, name) in [
            ("model", "model"),
            ("model/best", "best"),
            ("photos", "photos"),
            ("photos/best", "photos"),
            ("photos/last", "photos/last"),
        ] {
            assert_eq!(called(&at(folder)), name);
        }
        assert_eq!(called(&at("photos/best/.")), "photos");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("model"), at("mine")).unwrap();
            assert_eq!(called(&at("mine")), "mine");
        }
        assert_eq!(called(Path::new("photos@2")), "photos@2");
    }
}
