//! What a request gives, as files for the jobs that work on files. They go when the request is over.

use crate::app::App;
use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use unisono_encoders::Modality;
use unisono_jobs::{Item, Items, Listing};

/// Files of a request, and their list. The items are called as the request calls them.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Held for its end.
    _dir: Option<Arc<TempDir>>,
    pub(crate) listing: Listing,
    paths: Vec<(PathBuf, String)>,
}

impl Spool {
    /// Puts media into a folder of their own. `seen` says as what videos are taken: as such, as their frames, or as their audio.
    pub(crate) async fn new(app: &App, given: Vec<Given>, field: &str, seen: Modality) -> Answer<Self> {
        let (index, many) = (app.index_if_any(), given.len() > 1);
        let field = field.to_owned();
        let work = move || {
            let (mut dir, mut items, mut paths) = (None, Items::default(), Vec::new());
            for (i, given) in given.into_iter().enumerate() {
                let at = if many { format!("{field}[{i}]") } else { field.clone() };
                let item = match given {
                    Given::Text(text) => Item::text(&at, text),
                    Given::Row(row) => {
                        let index = index.as_ref();
                        index
                            .ok_or_else(|| Refusal::missing(format!("{at}: there is no index here")))?
                            .readable(row, &at)?
                    }
                    Given::Media { modality, bytes } => {
                        let system = |e: std::io::Error| Refusal::broken(format!("a temporary file: {e}"));
                        if dir.is_none() {
                            dir = Some(Arc::new(tempfile::tempdir().map_err(system)?));
                        }
                        let folder = dir.as_ref().map(|d| d.path().to_owned()).unwrap_or_default();
                        let path = folder.join(i.to_string());
                        std::fs::write(&path, bytes).map_err(system)?;
                        paths.push((path.clone(), at.clone()));
                        Item::file(path, modality)
                    }
                };
                let mut item = Item { id: at, ..item };
                if item.modality == Modality::Video && seen != Modality::Video {
                    (item.modality, item.video) = (seen, true);
                }
                items.push(&item);
            }
            Ok(Self { _dir: dir, listing: Listing { items, ..Listing::default() }, paths })
        };
        app.workers.run(work).await
    }

    /// A message with the request's own names in the place of paths.
    pub(crate) fn named(&self, refusal: Refusal) -> Refusal {
        let mut message = refusal.message.clone();
        for (path, name) in &self.paths {
            let path = path.display().to_string();
            message = message.replace(&format!("{name}: {path}"), name).replace(&path, name);
        }
        Refusal { message, ..refusal }
    }
}
