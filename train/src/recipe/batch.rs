//! What a recipe says of how a batch becomes gradients: `[batch]`.

use crate::{Error, Result};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// How a batch goes through the towers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// `whole`, `cached` or `accumulate`; absent: `cached` where there is a `micro` or `tokens`, otherwise `whole`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<BatchMethod>,
    /// Samples that go through the towers at once; `"auto"`: as many as there is memory for, found at the first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro: Option<Micro>,
    /// In place of `micro`: micro-batches of as many samples as have at most so many tokens together. Images that keep their aspect ratio (NaFlex), texts
    /// and audio files differ in length; what a micro-batch costs then does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
}

/// How a batch becomes gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchMethod {
    /// All of it goes through the towers at once.
    Whole,
    /// Cached gradients (Gao et al. 2021): micro-batches go through the towers twice, and the loss is that of the whole batch: its
    /// gradient is the same for the memory of a micro-batch, and a forward pass more.
    Cached,
    /// Each micro-batch has its own loss, the mean counts: a contrastive loss finds its negatives within its micro-batch only.
    Accumulate,
}

/// Samples of a micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Micro {
    /// As many as there is memory for.
    Auto,
    /// So many.
    Samples(usize),
}

impl BatchConfig {
    /// The method that is meant.
    pub fn method(&self) -> BatchMethod {
        let cut = if self.micro.is_some() || self.tokens.is_some() {
            BatchMethod::Cached
        } else {
            BatchMethod::Whole
        };
        self.method.unwrap_or(cut)
    }

    /// Refuses what says nothing, or two things.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(tokens) = self.tokens {
            let wrong = |message: &str| Err(Error::setting("batch.tokens", message));
            return match (self.method(), self.micro) {
                (_, Some(_)) => {
                    wrong("micro and tokens both say where a batch is cut: leave one of the two out")
                }
                (BatchMethod::Cached, None) if tokens > 0 => Ok(()),
                (BatchMethod::Cached, None) => wrong("expected at least 1, found 0"),
                _ => wrong(
                    "a budget of tokens cuts cached gradients: take method = \"cached\", or micro in its place",
                ),
            };
        }
        match (self.method(), self.micro) {
            (BatchMethod::Whole, Some(_)) => Err(Error::setting(
                "batch.micro",
                "method = \"whole\" cuts nothing: leave micro out, or take method = \"cached\"",
            )),
            (BatchMethod::Cached | BatchMethod::Accumulate, None) => Err(Error::setting(
                "batch.micro",
                "missing: give the samples of a micro-batch, micro = \"auto\", or a budget of tokens",
            )),
            (_, Some(Micro::Samples(0))) => {
                Err(Error::setting("batch.micro", "expected at least 1, found 0"))
            }
            _ => Ok(()),
        }
    }
}

impl Serialize for Micro {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str("auto"),
            Self::Samples(n) => to.serialize_u64(*n as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Micro {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Micro;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of samples, or \"auto\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Micro, E> {
                match text {
                    "auto" => Ok(Micro::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Micro, E> {
                usize::try_from(n)
                    .map(Micro::Samples)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(n), &self))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Micro, E> {
                usize::try_from(n)
                    .map(Micro::Samples)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
            }
        }
        from.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BatchConfig, String> {
        let config: BatchConfig = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        config.check().map(|()| config).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_meant_is_read_and_written() {
        for (text, method, micro) in [
            ("", BatchMethod::Whole, None),
            ("method = \"whole\"", BatchMethod::Whole, None),
            ("micro = 8", BatchMethod::Cached, Some(Micro::Samples(8))),
            ("micro = \"auto\"", BatchMethod::Cached, Some(Micro::Auto)),
            ("method = \"accumulate\"\nmicro = 2", BatchMethod::Accumulate, Some(Micro::Samples(2))),
        ] {
            let config = read(text).unwrap();
            assert_eq!(config.tokens, None);
            assert_eq!((config.method(), config.micro), (method, micro), "{text}");
            assert_eq!(read(&toml::to_string(&config).unwrap()), Ok(config));
        }
        let config = read("tokens = 4096").unwrap();
        assert_eq!((config.method(), config.micro, config.tokens), (BatchMethod::Cached, None, Some(4096)));
        assert_eq!(read(&toml::to_string(&config).unwrap()), Ok(config));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (text, says) in [
            ("method = \"whole\"\nmicro = 4", "cuts nothing"),
            ("method = \"cached\"", "batch.micro: missing"),
            ("micro = 0", "expected at least 1"),
            ("tokens = 0", "batch.tokens: expected at least 1"),
            ("tokens = 64\nmicro = 4", "leave one of the two out"),
            ("tokens = 64\nmethod = \"accumulate\"", "cuts cached gradients"),
            ("tokens = 64\nmethod = \"whole\"", "cuts cached gradients"),
            ("micro = -3", "a number of samples, or \"auto\""),
            ("micro = \"some\"", "a number of samples, or \"auto\""),
            ("method = \"halves\"", "unknown variant"),
            ("size = 4", "unknown field"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.contains(says), "{text}: {e}");
        }
    }
}
