//! A pair of modalities, as recipes and logs name it: `text_image`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use unisono_encoders::Modality;

/// The weight of a term that says nothing of it.
pub(super) fn one() -> f64 {
    1.0
}

/// An unordered pair of modalities that can be aligned, or two views of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pair(Modality, Modality);

impl Pair {
    /// All of them, in the order in which their losses are added. Images and videos go through one tower: they are no pair.
    pub const ALL: [Self; 5] = [
        Self(Modality::Text, Modality::Image),
        Self(Modality::Text, Modality::Audio),
        Self(Modality::Text, Modality::Video),
        Self(Modality::Image, Modality::Audio),
        Self(Modality::Audio, Modality::Video),
    ];

    /// Pairs of two views of one modality: two texts of a record, an image changed twice. A term is of them where it names them.
    pub const WITHIN: [Self; 2] =
        [Self(Modality::Text, Modality::Text), Self(Modality::Image, Modality::Image)];

    /// The modality of which it is two views.
    pub fn within(self) -> Option<Modality> {
        (self.0 == self.1).then_some(self.0)
    }

    /// The two.
    pub const fn modalities(self) -> (Modality, Modality) {
        (self.0, self.1)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.0, self.1)
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> Self {
        pair.to_string()
    }
}

impl FromStr for Pair {
    type Err = String;

    /// Either order is understood.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = |p: &Self| p.to_string() == text || format!("{}_{}", p.1, p.0) == text;
        let all = || Self::ALL.into_iter().chain(Self::WITHIN);
        all().find(named).ok_or_else(|| {
            let known = all().map(|p| p.to_string()).collect::<Vec<_>>().join(", ");
            format!("expected a pair of modalities ({known}), found {text:?}")
        })
    }
}

impl TryFrom<String> for Pair {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_either_order() {
        for pair in Pair::ALL {
            let (a, b) = pair.modalities();
            assert_eq!(pair.to_string().parse(), Ok(pair));
            assert_eq!(format!("{b}_{a}").parse(), Ok(pair));
        }
        for pair in Pair::WITHIN {
            assert_eq!(pair.to_string().parse(), Ok(pair));
            assert_eq!(pair.within(), Some(pair.modalities().0));
        }
        assert!(Pair::ALL.iter().all(|pair| pair.within().is_none()));
        assert!(Pair::ALL.is_sorted());
        let said = "image_video".parse::<Pair>().unwrap_err();
        assert!(said.contains("text_image") && said.contains("\"image_video\""), "{said}");
    }
}
