//! How programs name the images that they fetched from a list of addresses: by a row's number, or by a sum over its address. Which are
//! there is known by 4 bytes each.

use super::files::listed;
use crate::fields::{Role, by_ending};
use crate::{Error, Result, folder};
use flate2::Crc;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Sum;

/// Fetched images of a list.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    root: PathBuf,
    naming: Naming,
    /// Rows or sums of which there is an image, in their order.
    there: Arc<[u32]>,
}

#[derive(Debug, Clone, PartialEq)]
enum Naming {
    /// img2dataset's: the digits of a folder's and a file's name, whether the folder's stand in the file's, and the ending.
    Folders { folder: usize, file: usize, whole: bool, ending: String },
    /// `ROW_CRC`.
    RowAndSum,
    /// `CRC`.
    Sum,
}

impl Naming {
    /// What a file's path shows, and which row or sum it is.
    fn of(path: &str) -> Option<(Self, u32)> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = folder.rsplit('/').next().unwrap_or_default();
        match name.split_once('.') {
            None if digits(name) => Some((Self::Sum, name.parse().ok()?)),
            None => {
                let sum = |text: &str| digits(text) && text.parse::<u32>().is_ok();
                let (row, _) = name.split_once('_').filter(|(row, crc)| digits(row) && sum(crc))?;
                Some((Self::RowAndSum, row.parse().ok()?))
            }
            Some((stem, ending)) if digits(stem) && digits(folder) => {
                if by_ending(Path::new(name)) != Some(Role::Image) {
                    return None;
                }
                // Names of before 2021 count from the folder's first.
                let whole = stem.len() > folder.len() && stem.starts_with(folder);
                let each = if whole { stem.len() - folder.len() } else { stem.len() };
                let number: u32 = stem.parse().ok()?;
                let first = folder.parse::<u32>().ok()?.checked_mul(10_u32.checked_pow(each as u32)?)?;
                let row = if whole { number } else { first.checked_add(number)? };
                let (folder, file) = (folder.len(), stem.len());
                Some((Self::Folders { folder, file, whole, ending: ending.into() }, row))
            }
            Some(_) => None,
        }
    }
}

impl Numbered {
    /// Images below a folder, named as the first of them is.
    ///
    /// # Errors
    /// The folder cannot be listed, or none has a name that is known.
    pub fn of(root: &Path) -> Result<Self> {
        let read = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let mut naming = None;
        let mut there = Vec::new();
        for file in folder::list(read)? {
            let Some((found, number)) = Naming::of(&file) else { continue };
            if *naming.get_or_insert_with(|| found.clone()) == found {
                there.push(number);
            }
        }
        let Some(naming) = naming else {
            let message = format!(
                "expected images as img2dataset (00000/000000000.jpg) or DownloadConceptualCaptions (0_2564971897) name them, found {}: name their folder by media",
                listed(read)
            );
            return Err(Error::archive(read, message));
        };
        there.sort_unstable();
        there.dedup();
        Ok(Self { root: root.into(), naming, there: there.into() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Beside each image stands a file of JSON with its address.
    pub fn written_beside(&self) -> bool {
        matches!(self.naming, Naming::Folders { .. })
    }

    /// The image of a row, if there is one.
    pub fn file(&self, row: u64, url: &str) -> Option<PathBuf> {
        let row = u32::try_from(row).ok()?;
        let crc = || {
            let mut crc = Crc::new();
            crc.update(url.as_bytes());
            crc.sum()
        };
        let is = |number: u32| self.there.binary_search(&number).is_ok();
        match &self.naming {
            Naming::Sum => Some(crc()).filter(|sum| is(*sum)).map(|sum| self.root.join(sum.to_string())),
            Naming::RowAndSum => is(row).then(|| self.root.join(format!("{row}_{}", crc()))),
            Naming::Folders { folder, file, whole, ending } => is(row).then(|| {
                let each = if *whole { file - folder } else { *file };
                let rows = 10_u32.saturating_pow(each as u32);
                let number = if *whole { row } else { row % rows };
                let name = format!("{:0folder$}/{number:0file$}.{ending}", row / rows);
                self.root.join(name)
            }),
        }
    }

    /// Tells these images from others.
    pub fn sum(&self) -> String {
        let mut sum = Sum::default();
        sum.part(format!("{:?}", self.naming).as_bytes());
        self.there.iter().for_each(|number| sum.update(&number.to_le_bytes()));
        sum.letters()
    }
}
