//! From a folder's files to its records: which files are of one record, of what split and class.

use super::source::{Class, Folder, Item, Kind};
use super::split::split_of;
use crate::fields::Fields;
use crate::open::Columns;
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What the folders that a file lies in say of it.
pub(crate) struct Layout {
    /// Files of one name beside a medium are its captions and keys.
    pub sidecars: bool,
    pub classes: Vec<Class>,
    /// The number of a file's class, from 1; 0 of none.
    pub class: Box<dyn Fn(&str) -> u32>,
}

impl Layout {
    /// The folder of a medium, below that of its split, is its class, where there are several and no captions beside the media.
    pub fn of_classes(files: &[Box<str>]) -> Self {
        let all = || files.iter().map(|file| &**file);
        let media = || all().filter(|file| Kind::of(file).is_some_and(Kind::is_medium));
        let written = |file: &&str| matches!(Kind::of(file), Some(Kind::Text | Kind::Json));
        let mut captions: HashSet<&str> = all().filter(written).map(stem).collect();
        if !captions.is_empty() {
            let stems: HashSet<&str> = media().map(stem).collect();
            captions.retain(|name| stems.contains(name));
        }
        let captions = !captions.is_empty();
        let mut classes: Vec<Class> = Vec::new();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for file in media() {
            let Some(name) = class_of(file).filter(|_| !captions) else { continue };
            if !numbers.contains_key(name) {
                classes.push(Class { label: name.to_owned(), text: Vec::new() });
                numbers.insert(name.to_owned(), classes.len() as u32);
            }
        }
        if classes.len() < 2 {
            (classes, numbers) = (Vec::new(), HashMap::new());
        }
        let class = move |file: &str| class_of(file).and_then(|name| numbers.get(name)).copied().unwrap_or(0);
        Self { sidecars: true, classes, class: Box::new(class) }
    }

    /// The records of a folder's files.
    ///
    /// # Errors
    /// None of them is a medium.
    pub fn open(self, path: &Path, files: Vec<Box<str>>, columns: &Columns) -> Result<Folder> {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        {
            let mut places: HashMap<&str, usize> = HashMap::new();
            for (number, file) in files.iter().enumerate() {
                let Some(kind) = Kind::of(file).filter(|k| self.sidecars || k.is_medium()) else { continue };
                let number = u32::try_from(number).map_err(|_| {
                    Error::archive(path, "expected at most 2^32 files: pack them into shards")
                })?;
                let place = *places.entry(stem(file)).or_insert(groups.len());
                match groups.get_mut(place) {
                    None => groups.push(vec![number]),
                    // Of two images of one name each is a record.
                    Some(group) if group.iter().any(|n| Kind::of(&files[*n as usize]) == Some(kind)) => {
                        groups.push(vec![number]);
                    }
                    Some(group) => group.push(number),
                }
            }
        }
        let mut splits: Vec<String> = Vec::new();
        let mut items = Vec::with_capacity(groups.len());
        let mut order = Vec::with_capacity(files.len());
        for group in groups {
            let of = |n: &u32| files.get(*n as usize).map(|f| &**f).unwrap_or_default();
            let Some(first) = group.iter().map(of).find(|f| Kind::of(f).is_some_and(Kind::is_medium)) else {
                continue;
            };
            let split = match split_of(first) {
                None => 0,
                Some(split) => match splits.iter().position(|s| s == split) {
                    Some(place) => place as u16 + 1,
                    None => {
                        splits.push(split.to_owned());
                        splits.len() as u16
                    }
                },
            };
            let class = (self.class)(first);
            let mut has = group.iter().filter_map(|n| Kind::of(of(n))).fold(0, |has, kind| has | kind.bit());
            let said = class.checked_sub(1).and_then(|i| self.classes.get(i as usize));
            if said.is_some_and(|class| !class.text.is_empty()) {
                has |= Kind::Text.bit();
            }
            items.push(Item { first: order.len() as u32, count: group.len() as u32, class, split, has });
            order.extend(group);
        }
        if items.is_empty() {
            let found: Vec<String> = files.iter().take(4).map(|f| crate::plain::quoted(f)).collect();
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            return Err(Error::archive(
                path,
                format!("expected a folder with images, audio files or videos, found {found}"),
            ));
        }
        let fields = Fields::new(columns, path);
        let mut folder =
            Folder { path: path.into(), files, order, items, splits, classes: self.classes, fields };
        // Whether keys and values hold a caption is not told by a name.
        let json = |item: &Item| item.has & (Kind::Text.bit() | Kind::Json.bit()) == Kind::Json.bit();
        let texts: Vec<(usize, bool)> = (0..folder.items.len())
            .into_par_iter()
            .filter(|i| json(&folder.items[*i]))
            .map(|i| (i, folder.read(i).is_ok_and(|record| !record.text.is_empty())))
            .collect();
        for (i, text) in texts {
            folder.items[i].has |= if text { Kind::Text.bit() } else { 0 };
        }
        Ok(folder)
    }
}

/// The folder that a file lies in, below its split's.
fn class_of(file: &str) -> Option<&str> {
    let (folder, _) = file.rsplit_once('/')?;
    match split_of(file) {
        Some(split) => folder.get(split.len() + 1..),
        None => Some(folder),
    }
}

/// A file's path without its ending.
fn stem(file: &str) -> &str {
    let from = file.rfind('/').map_or(0, |at| at + 1);
    match file[from..].rfind('.') {
        Some(at) if at > 0 => &file[..from + at],
        _ => file,
    }
}
