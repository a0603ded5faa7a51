//! The moving average of the weights: a number, or a table.

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use unisono_nn::params::matches;

/// The moving average of the weights that is evaluated and saved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ema {
    /// Decay; 0: the weights themselves.
    pub decay: f64,
    /// Whose weights are averaged: a name with `*` for any run of characters. The others are as they were trained. Without it all.
    pub pattern: Option<String>,
}

impl Ema {
    /// Whether the weights of this name are averaged.
    pub fn is_of(&self, name: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| matches(pattern, name))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    decay: f64,
    #[serde(rename = "match")]
    pattern: Option<String>,
}

impl Serialize for Ema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.pattern {
            None => self.decay.serialize(serializer),
            Some(pattern) => {
                Table { decay: self.decay, pattern: Some(pattern.clone()) }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Ema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Ema;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or { decay = 0.999, match = \"*.projection.*\" }")
            }

            fn visit_f64<E: de::Error>(self, decay: f64) -> Result<Ema, E> {
                Ok(Ema { decay, pattern: None })
            }

            fn visit_i64<E: de::Error>(self, decay: i64) -> Result<Ema, E> {
                self.visit_f64(decay as f64)
            }

            fn visit_u64<E: de::Error>(self, decay: u64) -> Result<Ema, E> {
                self.visit_f64(decay as f64)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ema, A::Error> {
                let Table { decay, pattern } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Ema { decay, pattern })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        ema: Ema,
    }

    #[test]
    fn a_number_or_a_table() {
        let read = |text: &str| toml::from_str::<Holder>(text).map_err(|e| e.message().to_owned());
        for (text, decay, pattern) in [
            ("ema = 0.9", 0.9, None),
            ("ema = 0", 0.0, None),
            ("ema = { decay = 0.5 }", 0.5, None),
            ("ema = { decay = 0.5, match = \"a.*\" }", 0.5, Some("a.*")),
        ] {
            let held = read(text).unwrap();
            assert_eq!((held.ema.decay, held.ema.pattern.as_deref()), (decay, pattern), "{text}");
            assert_eq!(read(&toml::to_string(&held).unwrap()).unwrap(), held);
            let json = serde_json::to_string(&held).unwrap();
            assert_eq!(serde_json::from_str::<Holder>(&json).unwrap(), held);
        }
        assert!(read("ema = \"0.9\"").unwrap_err().contains("expected a number, or { decay"));
        assert!(read("ema = { decy = 0.5 }").unwrap_err().contains("unknown field `decy`"));
        let some = read("ema = { decay = 0.5, match = \"*.w\" }").unwrap().ema;
        assert!(some.is_of("a.w") && !some.is_of("a.b") && Ema::default().is_of("a.b"));
    }
}
