//! Which column is which field of a record: told, written beside the table, or known by its name.

use super::features::{Feature, Features};
use super::own::{self, Own};
use super::usual::{self, Groups};
use crate::columnar::{Kind, Leaf, Store};
use crate::open::{Columns, Names};
use crate::plain::quoted;
use crate::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// Columns of more bytes a row than these are not among a record's other keys.
const EXTRA: u64 = 4 << 10;

/// The columns that records are made of, by their numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) id: Option<usize>,
    pub(super) text: Vec<usize>,
    pub(super) image: Vec<Media>,
    pub(super) audio: Vec<Media>,
    pub(super) video: Vec<Media>,
    pub(super) start: Option<usize>,
    pub(super) end: Option<usize>,
    pub(super) label: Option<Label>,
    pub(super) group: Option<usize>,
    pub(super) split: Option<usize>,
    pub(super) lang: Option<usize>,
    /// What is kept as it is.
    pub(super) extra: Vec<usize>,
    /// What only tables of our own have.
    pub(super) own: Option<Own>,
}

/// A column of labels, and the names that its numbers stand for.
pub(super) type Label = (usize, Option<Arc<[String]>>);

/// A column of media.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Media {
    pub(super) name: String,
    pub(super) bytes: Option<usize>,
    pub(super) path: Option<usize>,
}

/// The columns of a table, and what is said of them.
struct Search<'a> {
    path: &'a Path,
    leaves: &'a [Leaf],
    features: &'a Features,
    /// What was taken by its name, field and column.
    guessed: Vec<String>,
}

/// The fields of a table's records and what of them was not told: one note.
///
/// # Errors
/// A column that is told and not there, or of the wrong kind; none that a record could be made of.
pub(super) fn fields(
    store: &dyn Store,
    features: &Features,
    told: &Columns,
) -> Result<(Fields, Option<String>)> {
    let packed = store.is_packed().then(|| own::names(store.leaves(), told));
    let told = packed.as_ref().unwrap_or(told);
    let mut s = Search { path: store.path(), leaves: store.leaves(), features, guessed: Vec::new() };
    let image = s.media("image", &told.image, &Feature::Image, usual::IMAGE)?;
    let audio = s.media("audio", &told.audio, &Feature::Audio, usual::AUDIO)?;
    let video = s.media("video", &told.video, &Feature::Video, usual::VIDEO)?;
    let text = s.columns("text", &told.text, usual::TEXT, &[Kind::Text, Kind::Bytes])?;
    let words = [Kind::Text, Kind::Int, Kind::Natural, Kind::Bool];
    let numbers = [Kind::Float, Kind::Int, Kind::Natural, Kind::Text];
    let label = s.label(&told.label, &words)?;
    // Whoever does not say which column tells records apart gets the number of the row, which does.
    let id = s.one("id", &told.id, &[], &words)?;
    // Without a video these are keys like any other.
    let times = |names: Groups| -> Groups { if video.is_empty() { &[] } else { names } };
    let start = s.one("start", &told.start, times(usual::START), &numbers)?;
    let end = s.one("end", &told.end, times(usual::END), &numbers)?;
    let group = s.one("group", &told.group, usual::GROUP, &words)?;
    let split = s.one("split", &told.split, usual::SPLIT, &words)?;
    let lang = s.one("lang", &told.lang, usual::LANG, &words)?;
    if image.is_empty() && audio.is_empty() && video.is_empty() && text.is_empty() {
        let message = format!(
            "expected a column of texts, images, audio or videos: which it is say columns.text, columns.image, …; found {}",
            s.found()
        );
        return Err(Error::archive(s.path, message));
    }
    let guessed = std::mem::take(&mut s.guessed);
    let note = (!guessed.is_empty())
        .then(|| format!("{}: columns by their names: {}", s.path.display(), guessed.join(", ")));
    let mut fields = Fields {
        id,
        text,
        image,
        audio,
        video,
        start,
        end,
        label,
        group,
        split,
        lang,
        extra: Vec::new(),
        own: None,
    };
    fields.own = packed.is_some().then(|| Own::of(store.leaves()));
    fields.extra = (0..s.leaves.len()).filter(|leaf| extra(store, &fields, *leaf)).collect();
    Ok((fields, note))
}

/// Whether a column is kept among a record's other keys: words and numbers that no field has, if they are short.
fn extra(store: &dyn Store, fields: &Fields, leaf: usize) -> bool {
    let of = &store.leaves()[leaf];
    let rows = store.groups().last().copied().unwrap_or(0);
    let plain = match of.kind {
        Kind::Text | Kind::Int | Kind::Natural | Kind::Bool => true,
        // A list of fractions is a vector, which has its own place.
        Kind::Float => !of.listed,
        Kind::Bytes | Kind::Other => false,
    };
    plain && !fields.leaves().any(|l| l == leaf) && store.weight(leaf) <= rows.saturating_mul(EXTRA)
}

impl Fields {
    fn media(&self) -> impl Iterator<Item = &Media> {
        self.image.iter().chain(&self.audio).chain(&self.video)
    }

    /// Every column that something is read from, but for those that are kept as they are.
    fn leaves(&self) -> impl Iterator<Item = usize> {
        let single = [self.id, self.start, self.end, self.group, self.split, self.lang];
        let single = single.into_iter().flatten().chain(self.label.as_ref().map(|(leaf, _)| *leaf));
        let media = self.media().flat_map(|m| [m.bytes, m.path]).flatten();
        let own = self.own.iter().flat_map(Own::leaves);
        single.chain(media).chain(own).chain(self.text.iter().copied())
    }

    /// Which columns something is read from.
    pub(super) fn wanted(&self, count: usize) -> Vec<bool> {
        let mut wanted = vec![false; count];
        self.leaves().chain(self.extra.iter().copied()).for_each(|leaf| wanted[leaf] = true);
        wanted
    }
}

impl Search<'_> {
    fn leaf(&self, name: &str) -> Option<usize> {
        self.leaves.iter().position(|leaf| leaf.name == name)
    }

    /// A column of a usual name, as the table writes it; of a struct the name of the struct.
    fn usual(&self, name: &str) -> Option<String> {
        self.leaves.iter().find_map(|leaf| {
            let column = leaf.name.get(..name.len())?;
            let rest = &leaf.name[name.len()..];
            (column.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with('.')))
                .then(|| column.to_owned())
        })
    }

    /// The columns that there are.
    fn found(&self) -> String {
        const SHOWN: usize = 40;
        let names: Vec<String> =
            self.leaves.iter().take(SHOWN).map(|l| crate::plain::quoted(&l.name)).collect();
        let more = self.leaves.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("the columns {}{more}", names.join(", "))
    }

    fn missing(&self, field: &str, name: &str) -> Error {
        let message =
            format!("expected the column {} (columns.{field}), found {}", quoted(name), self.found());
        Error::archive(self.path, message)
    }

    /// The first usual group that has columns for which `fits` says yes.
    fn guess<T>(&mut self, field: &str, groups: Groups, fits: impl Fn(&Self, &str) -> Option<T>) -> Vec<T> {
        for group in groups {
            let names: Vec<String> = group.iter().filter_map(|name| self.usual(name)).collect();
            let fitting: Vec<(String, T)> =
                names.into_iter().filter_map(|name| fits(self, &name).map(|t| (name, t))).collect();
            if !fitting.is_empty() {
                let names: Vec<&str> = fitting.iter().map(|(name, _)| name.as_str()).collect();
                self.guessed.push(format!("{field} = {}", names.join(" + ")));
                return fitting.into_iter().map(|(_, t)| t).collect();
            }
        }
        Vec::new()
    }

    /// Columns of words or numbers.
    fn columns(&mut self, field: &str, told: &Names, usual: Groups, kinds: &[Kind]) -> Result<Vec<usize>> {
        if told.is_empty() {
            let fits =
                |s: &Self, name: &str| s.leaf(name).filter(|leaf| kinds.contains(&s.leaves[*leaf].kind));
            return Ok(self.guess(field, usual, fits));
        }
        told.0.iter().map(|name| self.told(field, name, kinds)).collect()
    }

    fn told(&self, field: &str, name: &str, kinds: &[Kind]) -> Result<usize> {
        let Some(leaf) = self.leaf(name) else {
            let below = format!("{name}.");
            let parts: Vec<&str> =
                self.leaves.iter().map(|l| l.name.as_str()).filter(|n| n.starts_with(&below)).collect();
            if parts.is_empty() {
                return Err(self.missing(field, name));
            }
            let message = format!(
                "the column {} (columns.{field}) is a struct: name one of {}",
                quoted(name),
                parts.join(", ")
            );
            return Err(Error::archive(self.path, message));
        };
        let kind = self.leaves[leaf].kind;
        if !kinds.contains(&kind) {
            let message = format!("the column {} (columns.{field}) holds {}", quoted(name), kind.name());
            return Err(Error::archive(self.path, message));
        }
        Ok(leaf)
    }

    /// A column of one value a row.
    fn one(&mut self, field: &str, told: &Names, usual: Groups, kinds: &[Kind]) -> Result<Option<usize>> {
        if let [_, second, ..] = told.0.as_slice() {
            let message = format!("columns.{field} is one column, found a second, {}", quoted(second));
            return Err(Error::archive(self.path, message));
        }
        let found = self.columns(field, told, usual, kinds)?.first().copied();
        match found.filter(|leaf| self.leaves[*leaf].listed) {
            Some(leaf) if !told.is_empty() => {
                let message =
                    format!("the column {} (columns.{field}) holds lists", quoted(&self.leaves[leaf].name));
                Err(Error::archive(self.path, message))
            }
            Some(_) => {
                self.guessed.pop();
                Ok(None)
            }
            None => Ok(found),
        }
    }

    fn label(&mut self, told: &Names, kinds: &[Kind]) -> Result<Option<Label>> {
        let names = |s: &Self, leaf: usize| match s.features.get(&s.leaves[leaf].name) {
            Some(Feature::Label(names)) => Some(names.clone()),
            _ => None,
        };
        let leaf = self.one("label", told, usual::LABEL, kinds)?;
        Ok(leaf.map(|leaf| (leaf, names(self, leaf))))
    }

    /// Columns of media: what was told, what is written beside the table, the usual names.
    fn media(&mut self, field: &str, told: &Names, of: &Feature, usual: Groups) -> Result<Vec<Media>> {
        if !told.is_empty() {
            let place = |name: &String| match self.place(name) {
                Some(media) => Ok(media),
                None if self
                    .leaves
                    .iter()
                    .any(|l| l.name == *name || l.name.starts_with(&format!("{name}."))) =>
                {
                    let message = format!(
                        "the column {} (columns.{field}) holds neither bytes nor paths",
                        quoted(name)
                    );
                    Err(Error::archive(self.path, message))
                }
                None => Err(self.missing(field, name)),
            };
            return told.0.iter().map(place).collect();
        }
        // In the order of the table.
        let mut said: Vec<Media> = Vec::new();
        for leaf in self.leaves {
            let column =
                leaf.name.strip_suffix(".bytes").or(leaf.name.strip_suffix(".path")).unwrap_or(&leaf.name);
            if self.features.get(column) == Some(of) && said.last().is_none_or(|m| m.name != column) {
                said.extend(self.place(column));
            }
        }
        if !said.is_empty() {
            return Ok(said);
        }
        let otherwise = |s: &Self, name: &str| s.features.get(name).is_some_and(|f| f != of);
        Ok(self.guess(field, usual, |s, name| s.place(name).filter(|_| !otherwise(s, name))))
    }

    /// A column of media: a struct of bytes and path, bytes, or paths.
    fn place(&self, name: &str) -> Option<Media> {
        let of = |suffix: &str, kinds: &[Kind]| {
            self.leaf(&format!("{name}{suffix}")).filter(|leaf| kinds.contains(&self.leaves[*leaf].kind))
        };
        let bytes = of("", &[Kind::Bytes]).or(of(".bytes", &[Kind::Bytes]));
        let path = of("", &[Kind::Text]).or(of(".path", &[Kind::Text]));
        (bytes.is_some() || path.is_some()).then(|| Media { name: name.to_owned(), bytes, path })
    }
}
