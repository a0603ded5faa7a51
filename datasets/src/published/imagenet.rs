//! ImageNet's thousand classes (Russakovsky et al. 2015), <https://www.image-net.org/challenges/LSVRC/2012/2012-downloads.php> and, as one archive,
//! <https://www.kaggle.com/c/imagenet-object-localization-challenge/data>: a folder with `LOC_synset_mapping.txt` (`n01440764 tench, Tinca tinca`) or the devkit's
//! `map_clsloc.txt` (`n02119789 1 kit_fox`), and images in `ILSVRC/Data/CLS-LOC` or in the folder itself:
//!
//! - `train/n01440764/n01440764_10026.JPEG`, `val/n01440764/ILSVRC2012_val_00000293.JPEG`: the folder is the class;
//! - `val/ILSVRC2012_val_00000293.JPEG`, all in one folder: the class is in `LOC_val_solution.csv` (`ImageId`, `PredictionString`), or in the devkit's
//!   `ILSVRC2012_validation_ground_truth.txt`, whose numbers are those of `map_clsloc.txt` (MATLAB's `meta.mat` is not read);
//! - `test`: no class.
//!
//! The label is the WordNet id, since two classes have the name "crane"; the names of the class are the captions. The images may be used for research
//! and education that is not commercial, as the page's terms of access say.

use super::files::{joined, listed};
use crate::folder::{self, Class, Layout};
use crate::open::Columns;
use crate::plain::quoted;
use crate::{Error, Result, Source};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Budget;

/// Folders below the data set's own in which its lists lie.
const FOLDERS: [&str; 6] =
    ["", "data", "devkit/data", "ILSVRC/devkit/data", "ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12"];
const IMAGES: [&str; 3] = ["ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", ""];
const NAMES: [&str; 2] = ["LOC_synset_mapping.txt", "map_clsloc.txt"];
const SOLUTION: &str = "LOC_val_solution.csv";
const TRUTH: [&str; 2] =
    ["ILSVRC2012_validation_ground_truth.txt", "ILSVRC2015_clsloc_validation_ground_truth.txt"];
/// The lists have a few megabytes.
const BUDGET: Budget = Budget { bytes: 64 << 20, values: 1 << 22, depth: 1 };

/// A list in one of the folders.
fn find(root: &Path, name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|below| joined(root, below).join(name)).find(|path| path.is_file())
}

/// Whether a path is a folder with a list of ImageNet's classes.
pub(super) fn seen(path: &Path) -> bool {
    path.is_dir() && NAMES.iter().any(|name| find(path, name).is_some())
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let [root] = paths else {
        return Err(Error::Options(format!(
            "expected the one folder of ImageNet, found {} paths",
            paths.len()
        )));
    };
    let names = names(root)?;
    let images = IMAGES.iter().map(|below| joined(root, below)).find(|path| path.is_dir());
    let images = media.map(Path::to_path_buf).or(images).unwrap_or_else(|| root.clone());
    let files = folder::list(&images)?;
    let mut numbers = HashMap::new();
    let classes = names.into_iter().enumerate().map(|(i, (wnid, text))| {
        numbers.insert(wnid.clone(), i as u32 + 1);
        Class { label: wnid, text }
    });
    let classes: Vec<Class> = classes.collect();
    let flat = files.iter().any(|file| matches!(place(file, &numbers), Place::Validation(_)));
    let truth = if flat { truth(root, &numbers)? } else { HashMap::new() };
    for file in &files {
        let wrong = match place(file, &numbers) {
            Place::Validation(id) if !truth.contains_key(id) => {
                "expected its class in the list of the validation's classes, found none"
            }
            Place::Unknown => {
                "expected an image in a folder that is called as a class (n01440764), found another folder: are the list of classes and the images of one data set?"
            }
            _ => continue,
        };
        return Err(Error::archive(&images.join(&**file), wrong));
    }
    let class = move |file: &str| match place(file, &numbers) {
        Place::Class(number) => number,
        Place::Validation(id) => truth.get(id).copied().unwrap_or(0),
        Place::Other | Place::Unknown => 0,
    };
    let layout = Layout { sidecars: false, classes, class: Box::new(class) };
    Ok(Arc::new(layout.open(&images, files, &Columns::default())?))
}

/// What a file's path says of its class.
enum Place<'a> {
    Class(u32),
    /// An image of the validation whose class stands in a list, under this name.
    Validation(&'a str),
    /// A test image, or no image.
    Other,
    Unknown,
}

fn place<'a>(file: &'a str, classes: &HashMap<String, u32>) -> Place<'a> {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let Some(id) = name.strip_suffix(".JPEG").or(name.strip_suffix(".jpg")).or(name.strip_suffix(".jpeg"))
    else {
        return Place::Other;
    };
    let last = folder.rsplit('/').next().unwrap_or_default();
    match classes.get(last) {
        Some(number) => Place::Class(*number),
        None if id.starts_with("ILSVRC2012_val_") => Place::Validation(id),
        None if last == "test" || id.starts_with("ILSVRC2012_test_") => Place::Other,
        None => Place::Unknown,
    }
}

fn bad(path: &Path, line: usize, message: String) -> Error {
    Error::Manifest { path: path.into(), line: line + 1, message }
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let text = unisono_files::read_text(path, &BUDGET)?;
    let mut left = BUDGET.of(path);
    let mut lines = Vec::new();
    for line in text.lines() {
        left.values(1)?;
        lines.push(line.trim().to_owned());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    Ok(lines)
}

/// The classes with their names, in the order of their ids.
fn names(root: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let Some(path) = NAMES.iter().find_map(|name| find(root, name)) else {
        let message = format!(
            "expected a folder of ImageNet with {} or {} in it or in its devkit, found {}",
            NAMES[0],
            NAMES[1],
            listed(root)
        );
        return Err(Error::archive(root, message));
    };
    let kaggle = path.ends_with(NAMES[0]);
    let mut names = Vec::new();
    for (i, line) in lines(&path)?.into_iter().enumerate() {
        let (wnid, rest) = line.split_once(' ').unwrap_or((&line, ""));
        // Behind the devkit's ids stand their numbers.
        let text = if kaggle { rest } else { rest.split_once(' ').map_or("", |(_, name)| name) };
        if !is_wnid(wnid) || text.is_empty() {
            let expected = if kaggle { "n01440764 tench, Tinca tinca" } else { "n02119789 1 kit_fox" };
            return Err(bad(
                &path,
                i,
                format!("expected a class as \"{expected}\", found {}", quoted(&line)),
            ));
        }
        let text = match kaggle {
            true => text.split(',').map(|name| name.trim().to_owned()).collect(),
            false => vec![text.replace('_', " ")],
        };
        names.push((wnid.to_owned(), text));
    }
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::archive(&path, format!("the class {} stands twice", twice[0].0)));
    }
    Ok(names)
}

fn is_wnid(text: &str) -> bool {
    text.len() == 9 && text.starts_with('n') && text[1..].bytes().all(|b| b.is_ascii_digit())
}

/// The classes of the validation's images, by their names without ending.
fn truth(root: &Path, numbers: &HashMap<String, u32>) -> Result<HashMap<String, u32>> {
    let class = |path: &Path, i: usize, wnid: &str| {
        let number = numbers.get(wnid).copied();
        number.ok_or_else(|| {
            bad(path, i, format!("expected a class of the data set's list, found {}", quoted(wnid)))
        })
    };
    if let Some(path) = find(root, SOLUTION) {
        let rows = super::csv::read(&path, "ImageNet's validation", &["ImageId", "PredictionString"])?;
        let of = |(line, row): (usize, Vec<String>)| -> Result<(String, u32)> {
            let [id, said] = &row[..] else { return Ok((String::new(), 0)) };
            let wnid = said.split_whitespace().next().unwrap_or_default();
            Ok((id.clone(), class(&path, line - 1, wnid)?))
        };
        return rows.into_iter().map(of).collect();
    }
    let Some(path) = TRUTH.iter().find_map(|name| find(root, name)) else {
        let message = format!(
            "expected {SOLUTION} or {} with the classes of the images in val, found neither: or put the images into folders of their classes",
            TRUTH[0]
        );
        return Err(Error::archive(root, message));
    };
    let Some(map) = find(root, NAMES[1]) else {
        let message = format!(
            "expected {} beside it, which says what its numbers are (meta.mat is not read), found none",
            NAMES[1]
        );
        return Err(Error::archive(&path, message));
    };
    let mut wnids = HashMap::new();
    for (i, line) in lines(&map)?.iter().enumerate() {
        let mut words = line.split(' ');
        let (wnid, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        wnids.insert(number.to_owned(), class(&map, i, wnid)?);
    }
    let mut truth = HashMap::new();
    for (i, number) in lines(&path)?.iter().enumerate() {
        let found = wnids.get(number).copied();
        let found = found.ok_or_else(|| {
            bad(&path, i, format!("expected a class's number in {}, found {}", NAMES[1], quoted(number)))
        })?;
        truth.insert(format!("ILSVRC2012_val_{:08}", i + 1), found);
    }
    Ok(truth)
}
