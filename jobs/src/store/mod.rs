//! The model store: a folder of models by name and version, from training to deployment.
//!
//! | | holds |
//! |---|---|
//! | `NAME/VERSION/` | the model's files, copied, never changed |
//! | `NAME/VERSION.json` | its [`Card`]; a folder without one does not count |
//! | `NAME/pinned` | the version that `NAME` alone means; absent: the latest |

mod card;
mod copy;
mod entries;
mod hub;
mod name;

pub use card::{Able, Card, FileSum};
pub(crate) use hub::revision;
pub use hub::{Cached, cached};
pub use name::Named;

use crate::{Error, Result, identity_with_fusion};
use entries::entries;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use unisono_encoders::adapters::named_base;
use unisono_files::{Budget, Lock, folder_beside, place_folder, write_json};

/// The version that a name alone means.
const PINNED: &str = "pinned";

/// The folder of a store.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// What came of an [`add`](Store::add).
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// The version.
    pub card: Card,
    /// It was there already: its latest version is the same model.
    pub known: bool,
}

impl Store {
    /// The store in a folder; where none is given that of `UNISONO_STORE`, else `unisono` beside the hub's cache. It need not be there.
    pub fn new(folder: Option<&Path>) -> Self {
        let set = || std::env::var_os("UNISONO_STORE").filter(|at| !at.is_empty()).map(PathBuf::from);
        let folder = folder.map(Path::to_owned).or_else(set).unwrap_or_else(|| {
            let hub = hub::folder();
            hub.parent().unwrap_or(&hub).join("unisono")
        });
        Self { folder }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All versions: by name, the oldest version first.
    ///
    /// # Errors
    /// A card that cannot be read.
    pub fn list(&self) -> Result<Vec<Card>> {
        let mut all = Vec::new();
        for name in entries(&self.folder)? {
            if self.folder.join(&name).is_dir() && name::is_part(&name) {
                all.extend(self.versions(&name)?);
            }
        }
        Ok(all)
    }

    /// The versions of a name, the oldest first; none of one that is not here.
    ///
    /// # Errors
    /// A card that cannot be read.
    pub fn versions(&self, name: &str) -> Result<Vec<Card>> {
        let mut found = Vec::new();
        for entry in entries(&self.folder.join(name))? {
            if let Some(version) = entry.strip_suffix(".json").filter(|v| name::is_part(v)) {
                let path = self.card(name, version);
                let card: Card = unisono_files::read_json(&path, &Budget::VOCABULARY)?;
                if card.name != name || card.version != version {
                    let (a, b) = (&card.name, &card.version);
                    return Err(Error::format(&path, format!("it is the card of {a}@{b}: damaged")));
                }
                found.push(card);
            }
        }
        found.sort_by(|a, b| name::order(&a.version, &b.version));
        Ok(found)
    }

    /// The version that a name alone means: the one that is pinned, else the latest.
    ///
    /// # Errors
    /// As [`versions`](Self::versions).
    pub fn pinned(&self, name: &str) -> Result<Option<String>> {
        match unisono_files::read_text(&self.folder.join(name).join(PINNED), &Budget::VOCABULARY) {
            Ok(version) => Ok(Some(version.trim().to_owned())),
            Err(unisono_files::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The card of `NAME` or `NAME@VERSION`; none where the store does not know the name.
    ///
    /// # Errors
    /// The name is here and the version is not; a card that cannot be read.
    pub fn find(&self, named: &Named) -> Result<Option<Card>> {
        let mut versions = self.versions(&named.name)?;
        if versions.is_empty() {
            return Ok(None);
        }
        let wanted = match &named.version {
            Some(version) => Some(version.clone()),
            None => self.pinned(&named.name)?,
        };
        let Some(wanted) = wanted else { return Ok(versions.pop()) };
        let known: Vec<String> = versions.iter().map(|card| card.version.clone()).collect();
        let found = versions.into_iter().find(|card| card.version == wanted);
        found.map(Some).ok_or_else(|| {
            Error::Input(format!(
                "{}@{wanted}: no such version in the store {}; there are {}",
                named.name,
                self.folder.display(),
                known.join(", ")
            ))
        })
    }

    /// Where a version's files are.
    pub fn place(&self, card: &Card) -> PathBuf {
        self.folder.join(&card.name).join(&card.version)
    }

    fn card(&self, name: &str, version: &str) -> PathBuf {
        self.folder.join(name).join(format!("{version}.json"))
    }

    /// Copies the model in `dir`, which is loaded once to see what it can do, as a version of `name`: the next number where none is given. A model that
    /// is the latest version already is not copied again.
    ///
    /// # Errors
    /// A model that cannot be loaded, or is an adapter alone; a version that is there.
    pub fn add(&self, dir: &Path, from: &Path, named: &Named) -> Result<Added> {
        if named_base(dir)?.is_some() {
            let message = "an adapter without its model: `unisono model merge` makes one model of the two, which can be added";
            return Err(Error::format(dir, message));
        }
        let able = Able::of(dir)?;
        let _held = Lock::within(&self.folder)?;
        let sha256 = identity_with_fusion(dir)?;
        let versions = self.versions(&named.name)?;
        let latest = versions.last();
        if let Some(card) = latest.filter(|card| card.sha256 == sha256 && named.version.is_none()) {
            return Ok(Added { card: card.clone(), known: true });
        }
        let version = named.version.clone().unwrap_or_else(|| name::next(&versions));
        if versions.iter().any(|card| card.version == version) {
            let message = format!(
                "{}@{version}: there already, and versions do not change; leave the version out, give another, or remove it",
                named.name
            );
            return Err(Error::Input(message));
        }
        let place = self.folder.join(&named.name).join(&version);
        let made = folder_beside(&place)?;
        let files = copy::model(dir, made.path())?;
        if identity_with_fusion(made.path())? != sha256 {
            return Err(Error::format(dir, "it changed while it was copied; nothing was added"));
        }
        let from = std::path::absolute(from).map_err(Error::io(from, "resolve"))?;
        let added = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let card = Card {
            name: named.name.clone(),
            version,
            sha256,
            added,
            from,
            able,
            evaluation: card::evaluation(dir)?,
            files,
        };
        place_folder(made, &place)?;
        write_json(&self.card(&card.name, &card.version), &card)?;
        Ok(Added { card, known: false })
    }

    /// From now on the name alone means this version.
    ///
    /// # Errors
    /// No such version.
    pub fn pin(&self, named: &Named) -> Result<Card> {
        let _held = Lock::within(&self.folder)?;
        let card = self.known(named)?;
        unisono_files::write(&self.folder.join(&card.name).join(PINNED), format!("{}\n", card.version))?;
        Ok(card)
    }

    /// From now on the name alone means its latest version.
    ///
    /// # Errors
    /// No such name.
    pub fn unpin(&self, name: &str) -> Result<Card> {
        let _held = Lock::within(&self.folder)?;
        let latest = self.versions(name)?.pop().ok_or_else(|| self.unknown(name))?;
        let path = self.folder.join(name).join(PINNED);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, "remove")(e)),
            _ => Ok(latest),
        }
    }

    /// Deletes a version.
    ///
    /// # Errors
    /// No such version, or the one that is pinned.
    pub fn remove(&self, named: &Named) -> Result<Card> {
        let _held = Lock::within(&self.folder)?;
        let card = self.known(named)?;
        if self.pinned(&card.name)?.as_ref() == Some(&card.version) {
            return Err(Error::Input(format!(
                "{}@{}: pinned; pin another version first (unisono model pin), or none (unisono model pin {} --latest)",
                card.name, card.version, card.name
            )));
        }
        // Without its card it does not count, whatever is left of it.
        let path = self.card(&card.name, &card.version);
        fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
        let place = self.place(&card);
        fs::remove_dir_all(&place).map_err(Error::io(&place, "remove"))?;
        // The last one takes the name along.
        drop(fs::remove_dir(self.folder.join(&card.name)));
        Ok(card)
    }

    /// The files of a version that are not what they were, each with what is wrong; all of them are read.
    ///
    /// # Errors
    /// The system's.
    pub fn check(&self, card: &Card) -> Result<Vec<(String, &'static str)>> {
        let (place, mut wrong) = (self.place(card), Vec::new());
        for file in &card.files {
            match copy::sum(&place.join(&file.name)) {
                Ok((bytes, sha256)) if (bytes, &sha256) == (file.bytes, &file.sha256) => {}
                Ok(_) => wrong.push((file.name.clone(), "changed")),
                Err(_) => wrong.push((file.name.clone(), "cannot be read")),
            }
        }
        Ok(wrong)
    }

    fn known(&self, named: &Named) -> Result<Card> {
        self.find(named)?.ok_or_else(|| self.unknown(&named.name))
    }

    fn unknown(&self, name: &str) -> Error {
        let at = self.folder.display();
        Error::Input(format!(
            "{name}: not in the store {at}; `unisono model list` shows what is, `unisono model add` adds one"
        ))
    }
}

#[cfg(test)]
#[path = "../tests/store.rs"]
mod tests;
