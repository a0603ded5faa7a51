//! Which figure chooses the best checkpoint: `best = "PROTOCOL.METRIC"`.

use super::Recipe;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use unisono_eval::protocol::{Outcome, less_is_better, shown};
use unisono_nn::params::matches;

/// A metric of a protocol; of several, whose names fit a glob, the mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// A protocol's name, with `*` for any run of characters.
    pub protocol: String,
    /// The metric's name.
    pub metric: String,
}

impl fmt::Display for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.protocol, self.metric)
    }
}

impl Best {
    /// `PROTOCOL.METRIC`; names of protocols may have points.
    pub fn parse(text: &str) -> Option<Self> {
        let (protocol, metric) = text.rsplit_once('.')?;
        Some(Self { protocol: protocol.into(), metric: metric.into() })
    }

    /// Whether a smaller score is a better one.
    pub fn less_is_better(&self) -> bool {
        less_is_better(&self.metric)
    }

    /// The mean over the outcomes that it is of.
    pub(crate) fn score(&self, outcomes: &BTreeMap<String, Outcome>) -> f64 {
        let of = outcomes.iter().filter(|(name, _)| matches(&self.protocol, name));
        let values: Vec<f64> = of.filter_map(|(_, o)| o.value(&self.metric)).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }

    /// A score as people read it: `mean R@5 33.3 %`, `CIDEr-D 1.20 of captions`.
    pub fn shown(&self, score: f64) -> String {
        let value = shown(&self.metric, score);
        if self.protocol.contains('*') {
            format!("mean {value}")
        } else {
            format!("{value} of {}", self.protocol)
        }
    }
}

impl Recipe {
    /// What chooses the best checkpoint; `None` where nothing is evaluated. Without `best` it is the mean of the protocols' primary metric,
    /// if all have the same.
    ///
    /// # Errors
    /// A protocol or a metric that is not there, or nothing said of protocols of several kinds.
    pub fn best(&self) -> Result<Option<Best>> {
        let refuse = |message: String| Err(Error::setting("best", message));
        let names = || self.evaluate.iter().map(|p| format!("{:?}", p.name())).collect::<Vec<_>>().join(", ");
        let Some(first) = self.evaluate.first() else {
            return match &self.best {
                Some(best) => refuse(format!("{best:?}, and nothing is evaluated: add an [[evaluate]]")),
                None => Ok(None),
            };
        };
        let Some(text) = &self.best else {
            let (primary, _) = first.metrics();
            return match self.evaluate.iter().find(|p| p.metrics().0 != primary) {
                None => Ok(Some(Best { protocol: "*".into(), metric: primary.into() })),
                Some(other) => refuse(format!(
                    "missing, and protocols of several kinds have no common measure; give one, as best = \"{}.{primary}\" or \"{}.{}\"",
                    first.name(),
                    other.name(),
                    other.metrics().0
                )),
            };
        };
        let Some(best) = Best::parse(text) else {
            return refuse(format!("expected \"PROTOCOL.METRIC\", found {text:?}"));
        };
        let mut fitting = self.evaluate.iter().filter(|p| matches(&best.protocol, p.name())).peekable();
        if fitting.peek().is_none() {
            return refuse(format!("no protocol is named {:?}; there are: {}", best.protocol, names()));
        }
        match fitting.find(|p| !p.metrics().1.contains(&best.metric.as_str())) {
            None => Ok(Some(best)),
            Some(p) => refuse(format!(
                "{:?} has no metric {:?}; it has: {}",
                p.name(),
                best.metric,
                p.metrics().1.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn recipe(best: &str, protocols: &[(&str, &str)]) -> Recipe {
        let mut text = format!(
            "seed = 1\nsteps = 1\ninit = \"run\"\n{best}\nobjective = [{{ kind = \"contrastive\" }}]\ndata = []\n[optimizer]\nlr = 1.0\n"
        );
        for (kind, name) in protocols {
            let to = if *kind == "retrieval" { "to = \"text\"\n" } else { "" };
            text += &format!(
                "[[evaluate]]\nkind = \"{kind}\"\nname = \"{name}\"\nsource = \"m\"\nsplit = \"val\"\nfrom = \"image\"\n{to}"
            );
        }
        Recipe::parse(&text, Path::new("r.toml")).unwrap()
    }

    #[test]
    fn the_figure_is_named_or_the_only_one() {
        let best = |best: &str, protocols: &[(&str, &str)]| {
            recipe(best, protocols).best().map(|b| b.map(|b| b.to_string())).map_err(|e| e.to_string())
        };
        let (a, b, c) = (("retrieval", "a"), ("retrieval", "b.1"), ("captioning", "c"));
        assert_eq!(best("", &[]), Ok(None));
        assert_eq!(best("", &[a, b]), Ok(Some("*.r5".into())));
        assert_eq!(best("", &[c]), Ok(Some("*.cider_d".into())));
        assert_eq!(best("best = \"b.1.r1\"", &[a, b, c]), Ok(Some("b.1.r1".into())));
        for (text, protocols, says) in [
            ("best = \"a.r5\"", &[][..], "best: \"a.r5\", and nothing is evaluated"),
            ("", &[a, c], "as best = \"a.r5\" or \"c.cider_d\""),
            ("best = \"a\"", &[a], "expected \"PROTOCOL.METRIC\""),
            ("best = \"x.r5\"", &[a, b], "no protocol is named \"x\"; there are: \"a\", \"b.1\""),
            ("best = \"*.r5\"", &[a, c], "\"c\" has no metric \"r5\"; it has: bleu1"),
            ("best = \"a.r50\"", &[a], "it has: r1, r5, r10"),
        ] {
            let said = best(text, protocols).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_score_is_the_mean_of_what_fits() {
        let outcome = |value| {
            let metric = unisono_eval::protocol::Metric { value, ..Default::default() };
            Outcome { metrics: [("r5".to_owned(), metric)].into(), primary: "r5".into(), items: 3 }
        };
        let outcomes: BTreeMap<String, Outcome> =
            [("val-a", 0.2), ("val-b", 0.6), ("other", 1.0)].map(|(n, v)| (n.to_owned(), outcome(v))).into();
        let score = |text: &str| Best::parse(text).unwrap().score(&outcomes);
        assert_eq!((score("val-*.r5"), score("other.r5"), score("*.r5")), (0.4, 1.0, 0.6));
        assert_eq!(Best::parse("val-*.r5").unwrap().shown(0.4), "mean R@5 40.0 %");
        assert_eq!(Best::parse("a.b.median_rank").unwrap().shown(3.0), "median rank 3.0 of a.b");
    }
}
