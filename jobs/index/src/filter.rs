//! Which items a search looks at: by modality, place, time, label and the keys of their records.

use crate::{Error, Item, Result, Segment};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;
use std::str::FromStr;
use unisono_processors::Modality;

/// What an item must be to be found. Empty lists ask for nothing; of several modalities, places or labels one is enough, of several tests all count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What it is.
    pub modalities: Vec<Modality>,
    /// Where its file lies.
    pub places: Option<Places>,
    /// Its label.
    pub labels: Vec<String>,
    /// Its file was written then or later, in nanoseconds from 1970 on, UTC.
    pub since: Option<i64>,
    /// Its file was written before.
    pub before: Option<i64>,
    /// Tests of its keys.
    pub tests: Vec<Test>,
}

impl Filter {
    /// Only of these modalities; none: of all.
    pub fn of(modalities: &[Modality]) -> Self {
        Self { modalities: modalities.to_vec(), ..Self::default() }
    }

    /// What the columns tell: modality and time.
    pub(crate) fn keeps(&self, segment: &Segment, row: usize) -> bool {
        if !self.modalities.is_empty() && !self.modalities.contains(&segment.modality(row)) {
            return false;
        }
        if self.since.is_none() && self.before.is_none() {
            return true;
        }
        // What has no time, or none that is known, is of none.
        let written = segment.written(row);
        written != 0
            && self.since.is_none_or(|since| written >= since)
            && self.before.is_none_or(|before| written < before)
    }

    /// Whether it asks for modalities at most.
    pub(crate) fn is_of_modalities(&self) -> bool {
        self.since.is_none() && self.before.is_none() && !self.reads()
    }

    /// Whether lines must be read.
    pub(crate) fn reads(&self) -> bool {
        self.places.is_some() || !self.labels.is_empty() || !self.tests.is_empty()
    }

    /// What the item itself tells.
    pub(crate) fn admits(&self, item: &Item) -> bool {
        let label = || item.label.as_ref().is_some_and(|label| self.labels.contains(label));
        (self.labels.is_empty() || label())
            && self.places.as_ref().is_none_or(|places| places.has(item))
            && self.tests.iter().all(|test| test.holds(item))
    }
}

/// Places of files: patterns of paths.
#[derive(Debug, Clone)]
pub struct Places(GlobSet);

impl Places {
    /// Of these patterns: `*` and `?` stand for what a name has, `**` for folders, `{a,b}` for one of them. One that does not begin with `/` may begin in any
    /// folder.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        let mut all = GlobSetBuilder::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let wrong = |e: globset::Error| {
                Error::Query(format!(
                    "{pattern:?} is no pattern of paths: {}; expected such as 'holiday/**/*.jpg'",
                    e.kind()
                ))
            };
            let whole = if pattern.starts_with('/') { pattern.to_owned() } else { format!("**/{pattern}") };
            all.add(GlobBuilder::new(&whole).literal_separator(true).build().map_err(wrong)?);
        }
        Ok(Self(all.build().map_err(|e| Error::Query(format!("the patterns of paths: {}", e.kind())))?))
    }

    fn has(&self, item: &Item) -> bool {
        item.blob.as_ref().is_some_and(|blob| self.0.is_match(blob.name()))
    }
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
    Contains,
}

/// The longer first: `<=` begins as `<` does.
const SIGNS: [(&str, Comparison); 7] = [
    ("!=", Comparison::IsNot),
    ("<=", Comparison::LessOrIs),
    (">=", Comparison::MoreOrIs),
    ("=", Comparison::Is),
    ("<", Comparison::Less),
    (">", Comparison::More),
    ("~", Comparison::Contains),
];

/// A test of a key: `year>=2020`, `camera=X100`, `text~bus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    key: String,
    comparison: Comparison,
    value: String,
}

impl FromStr for Test {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::Query(format!(
                "{text:?} is no test of a key: expected KEY=VALUE, or with !=, <, <=, >, >= or ~ (contains)"
            ))
        };
        let at = text.find(['!', '<', '>', '=', '~']).filter(|at| *at > 0).ok_or_else(wrong)?;
        let (key, rest) = text.split_at(at);
        let (sign, comparison) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(wrong)?;
        Ok(Self {
            key: key.trim().to_owned(),
            comparison: *comparison,
            value: rest[sign.len()..].trim().to_owned(),
        })
    }
}

impl Test {
    fn holds(&self, item: &Item) -> bool {
        let words = |text: &Option<String>| text.clone().map(Value::from);
        let value = match self.key.as_str() {
            "id" => Some(item.id.clone().into()),
            "label" => words(&item.label),
            "lang" => words(&item.lang),
            "text" => words(&item.text),
            "path" => item.blob.as_ref().and_then(|blob| blob.name().to_str()).map(Value::from),
            key => item.meta.get(key).cloned(),
        };
        match value {
            // A list is what each of its values is.
            Some(Value::Array(all)) if self.comparison == Comparison::IsNot => {
                all.iter().all(|value| self.compares(value))
            }
            Some(Value::Array(all)) => all.iter().any(|value| self.compares(value)),
            Some(value) => self.compares(&value),
            None => self.comparison == Comparison::IsNot,
        }
    }

    fn compares(&self, value: &Value) -> bool {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let number = value.as_f64().or_else(|| text.parse().ok()).zip(self.value.parse::<f64>().ok());
        // Numbers by their size, all else by its letters: of dates in the order of year, month and day that is their order.
        let order = match number {
            Some((a, b)) => a.partial_cmp(&b),
            None => Some(text.as_str().cmp(&self.value)),
        };
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (self.comparison, order) {
            (Comparison::Contains, _) => text.to_lowercase().contains(&self.value.to_lowercase()),
            (Comparison::Is, order) => order == Some(Equal),
            (Comparison::IsNot, order) => order != Some(Equal),
            (Comparison::Less, order) => order == Some(Less),
            (Comparison::LessOrIs, order) => matches!(order, Some(Less | Equal)),
            (Comparison::More, order) => order == Some(Greater),
            (Comparison::MoreOrIs, order) => matches!(order, Some(Greater | Equal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        let meta =
            serde_json::json!({"year": 2021, "tags": ["sea", "dog"], "taken": "2021-07-04", "good": true});
        Item {
            label: Some("beach".into()),
            text: Some("A dog in the Sea".into()),
            meta: meta.as_object().unwrap().clone(),
            ..Item::file("/photos/holiday/2021/a.jpg", Modality::Image)
        }
    }

    #[test]
    fn keys_are_compared_as_what_they_are() {
        for (text, holds) in [
            ("year=2021", true),
            ("year>=2020", true),
            ("year>9", true),
            ("year<2021", false),
            ("year!=2021", false),
            ("none!=x", true),
            ("none=x", false),
            ("tags=sea", true),
            ("tags!=sea", false),
            ("tags=cat", false),
            ("taken>=2021-07-01", true),
            ("taken<2021-07-01", false),
            ("good=true", true),
            ("text~SEA", true),
            ("text~cat", false),
            ("label=beach", true),
            ("path~holiday", true),
            ("id = /photos/holiday/2021/a.jpg", true),
        ] {
            assert_eq!(text.parse::<Test>().unwrap().holds(&item()), holds, "{text}");
        }
        for text in ["", "year", "=3", "!"] {
            assert!(text.parse::<Test>().unwrap_err().to_string().contains("expected KEY=VALUE"), "{text}");
        }
    }

    #[test]
    fn places_are_patterns() {
        for (pattern, has) in [
            ("/photos/**", true),
            ("/photos/*.jpg", false),
            ("holiday/**", true),
            ("holiday/*/a.jpg", true),
            ("*.jpg", true),
            ("*.{png,jpg}", true),
            ("*.png", false),
            ("oliday/**", false),
        ] {
            let filter = Filter { places: Some(Places::new(&[pattern]).unwrap()), ..Filter::default() };
            assert_eq!(filter.admits(&item()), has, "{pattern}");
        }
        assert!(
            !Filter { places: Some(Places::new(&["**"]).unwrap()), ..Filter::default() }
                .admits(&Item::text("a", "b"))
        );
        assert!(Places::new(&["a[", "b"]).unwrap_err().to_string().contains("is no pattern of paths"));
        let labels = |label: &str| Filter { labels: vec![label.into(), "x".into()], ..Filter::default() };
        assert!(labels("beach").admits(&item()) && !labels("city").admits(&item()));
    }
}
