//! What a search asks for: queries with their weights, and which items count.

use crate::given::Given;
use crate::refusal::{Answer, Refusal};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt::Display;
use unisono_encoders::Modality;
use unisono_jobs::index::{Filter, Places, Test, moment};

/// Most hits of a search.
const MOST: usize = 1000;
/// Most queries of a search.
const PARTS: usize = 16;
/// How much each `not` counts where it says nothing of it.
const AWAY: f32 = 0.5;

/// The fields of a search, but for its query and its files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// How many hits.
    pub(crate) k: Option<usize>,
    /// Only of these modalities.
    #[serde(default)]
    pub(crate) modality: Words,
    /// Only files of these patterns.
    #[serde(default)]
    pub(crate) path: Words,
    /// Only items of these labels.
    #[serde(default)]
    pub(crate) label: Words,
    /// Only files that were written then or later.
    #[serde(default, deserialize_with = "said")]
    pub(crate) since: Option<String>,
    /// Only files that were written before.
    #[serde(default, deserialize_with = "said")]
    pub(crate) before: Option<String>,
    /// Tests of keys: `year>=2020`.
    #[serde(default, rename = "where")]
    pub(crate) tests: Words,
    /// Only hits that are so rare.
    pub(crate) chance: Option<f64>,
    /// What they are ranked by.
    #[serde(default)]
    pub(crate) order: Order,
}

/// A moment that a form leaves empty is none.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.trim().is_empty()))
}

/// What hits are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    #[default]
    Cosine,
    Chance,
}

/// One word, or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Words {
    fn all(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(word) => vec![word],
            Self::Many(words) => words,
        }
    }
}

impl From<Vec<String>> for Words {
    fn from(words: Vec<String>) -> Self {
        Self::Many(words)
    }
}

/// A query, and how much it counts; what is to be unlike it counts less than nothing.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) given: Given,
    pub(crate) weight: f32,
}

impl Part {
    /// What is looked for.
    pub(crate) fn new(given: Given) -> Self {
        Self { given, weight: 1.0 }
    }

    /// What is kept away from.
    pub(crate) fn away(given: Given) -> Self {
        Self { given, weight: -AWAY }
    }

    /// One, or a list of them, each with its own `weight` or `usual`.
    pub(crate) fn parse_all(value: &Value, field: &str, usual: f32) -> Answer<Vec<Self>> {
        match value {
            Value::Array(all) => {
                let one = |(i, value)| Self::parse(value, &format!("{field}[{i}]"), usual);
                all.iter().enumerate().map(one).collect()
            }
            one => Ok(vec![Self::parse(one, field, usual)?]),
        }
    }

    fn parse(value: &Value, at: &str, usual: f32) -> Answer<Self> {
        let weight = match value.get("weight") {
            None => usual,
            Some(weight) => {
                let weight = weight.as_f64().filter(|w| w.is_finite() && *w != 0.0);
                let weight =
                    weight.ok_or_else(|| Refusal::field(at, "weight: expected a number other than 0"))?;
                // Of what is kept away from, its size.
                if usual < 0.0 { -weight.abs() as f32 } else { weight as f32 }
            }
        };
        Ok(Self { given: Given::parse(value, at)?, weight })
    }

    /// `not`: what is kept away from.
    pub(crate) fn parse_away(value: &Value) -> Answer<Vec<Self>> {
        Self::parse_all(value, "not", -AWAY)
    }
}

/// A search, checked.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) parts: Vec<Part>,
    pub(crate) k: usize,
    /// Which items count; without modalities: those that are usual for the query.
    pub(crate) filter: Filter,
    pub(crate) chance: Option<f64>,
    pub(crate) order: Order,
}

impl Asked {
    /// Of these queries.
    pub(crate) fn new(parts: Vec<Part>, wanted: Wanted) -> Answer<Self> {
        if parts.is_empty() || parts.len() > PARTS {
            let found = parts.len();
            return Err(Refusal::field("query", format!("expected 1 to {PARTS} parts, found {found}")));
        }
        if parts.iter().all(|part| part.weight < 0.0) {
            return Err(Refusal::field("query", "nothing to search with: all of it is to be kept away from"));
        }
        if parts.iter().any(|p| matches!(&p.given, Given::Text(text) if text.trim().is_empty())) {
            return Err(Refusal::field("query", "the query is empty"));
        }
        let k = wanted.k.unwrap_or(10);
        if k == 0 || k > MOST {
            return Err(Refusal::field("k", format!("{k}: expected 1 to {MOST}")));
        }
        if wanted.chance.is_some_and(|chance| !(chance > 0.0 && chance <= 1.0)) {
            return Err(Refusal::field("chance", "expected a number above 0 and at most 1, such as 1e-4"));
        }
        let by = [("chance", wanted.chance.is_some()), ("order", wanted.order == Order::Chance)];
        if let Some((field, _)) = by.iter().find(|(_, asked)| *asked && parts.len() > 1) {
            return Err(Refusal::field(*field, "of several queries together no chance is known; give one"));
        }
        let (chance, order) = (wanted.chance, wanted.order);
        Ok(Self { parts, k, filter: filter(wanted)?, chance, order })
    }

    /// The modality of the query; of several, of the first that is no text.
    pub(crate) fn modality(&self, of: impl Fn(&Given) -> Modality) -> Modality {
        let mut asks = self.parts.iter().filter(|part| part.weight > 0.0).map(|part| of(&part.given));
        asks.find(|modality| *modality != Modality::Text).unwrap_or(Modality::Text)
    }
}

fn filter(wanted: Wanted) -> Answer<Filter> {
    let wrong = |field: &'static str| move |e: &dyn Display| Refusal::field(field, e.to_string());
    let when = |field: &'static str, text: Option<String>| {
        text.map(|text| moment(&text).map_err(|e| wrong(field)(&e))).transpose()
    };
    let known = |name: &String| {
        Modality::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
            Refusal::field("modality", format!("{name}: expected text, image, audio or video"))
        })
    };
    // What a form leaves empty asks for nothing.
    let filled = |words: Words| words.all().into_iter().filter(|word| !word.trim().is_empty());
    let (paths, tests): (Vec<String>, _) = (filled(wanted.path).collect(), filled(wanted.tests));
    let places = match paths.is_empty() {
        true => None,
        false => Some(Places::new(&paths).map_err(|e| wrong("path")(&e))?),
    };
    Ok(Filter {
        modalities: wanted.modality.all().iter().map(known).collect::<Answer<_>>()?,
        places,
        labels: filled(wanted.label).collect(),
        since: when("since", wanted.since)?,
        before: when("before", wanted.before)?,
        tests: tests
            .map(|text| text.parse::<Test>().map_err(|e| wrong("where")(&e)))
            .collect::<Answer<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(query: Value, more: Value) -> Answer<Asked> {
        let mut parts = Part::parse_all(&query, "query", 1.0)?;
        if let Some(not) = more.get("not") {
            parts.extend(Part::parse_away(not)?);
        }
        let mut fields = more.as_object().cloned().unwrap_or_default();
        fields.shift_remove("not");
        Asked::new(parts, serde_json::from_value(Value::Object(fields)).unwrap())
    }

    #[test]
    fn parts_have_their_weights_and_what_is_kept_away_from_counts_less_than_nothing() {
        let made = asked(
            json!(["a", {"text": "b", "weight": 0.25}]),
            json!({"not": ["c", {"text": "d", "weight": 2}]}),
        );
        let weights: Vec<f32> = made.unwrap().parts.iter().map(|p| p.weight).collect();
        assert_eq!(weights, [1.0, 0.25, -0.5, -2.0]);
        for (query, more, part) in [
            (json!([]), json!({}), "expected 1 to 16 parts, found 0"),
            (json!({"text": "a", "weight": -1}), json!({}), "kept away from"),
            (json!({"text": "a", "weight": 0}), json!({}), "weight: expected a number other than 0"),
            (json!("a"), json!({"k": 0}), "expected 1 to 1000"),
            (json!("a"), json!({"chance": 0}), "above 0 and at most 1"),
            (json!(["a", "b"]), json!({"chance": 0.1}), "no chance is known"),
            (json!("a"), json!({"not": "b", "order": "chance"}), "no chance is known"),
            (json!("a"), json!({"path": "a["}), "is no pattern of paths"),
            (json!("a"), json!({"since": "yesterday"}), "is no moment"),
            (json!("a"), json!({"where": ["year"]}), "expected KEY=VALUE"),
            (json!("a"), json!({"modality": "smell"}), "expected text, image, audio or video"),
        ] {
            let said = asked(query, more).unwrap_err().message;
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_a_form_leaves_empty_asks_for_nothing() {
        let made = asked(json!("a"), json!({"path": "", "label": [""], "since": "", "where": " "})).unwrap();
        assert!(
            made.filter.places.is_none() && made.filter.labels.is_empty() && made.filter.tests.is_empty()
        );
        assert!(made.filter.since.is_none() && made.k == 10);
        let made = asked(json!("a"), json!({"label": "x", "where": ["year>=2020", "lang=fr"]})).unwrap();
        assert_eq!((made.filter.labels.len(), made.filter.tests.len()), (1, 2));
    }

    #[test]
    fn the_first_that_is_no_text_says_what_is_searched_with() {
        let image = json!({"image": "aGk="});
        let of = |given: &Given| given.modality().unwrap_or(Modality::Text);
        let modality = |query: Value| asked(query, json!({})).unwrap().modality(of);
        assert_eq!(modality(json!(["a", image])), Modality::Image);
        assert_eq!(modality(json!(["a", {"image": "aGk=", "weight": -1}])), Modality::Text);
    }
}
