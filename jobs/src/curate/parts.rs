//! Splits and the share that each is to have.

use std::str::FromStr;

/// Names of splits with their shares, which are 1 together.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts(Vec<(String, f64)>);

impl Parts {
    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, share)| (name.as_str(), *share))
    }

    /// The shares.
    pub fn shares(&self) -> Vec<f64> {
        self.0.iter().map(|(_, share)| *share).collect()
    }
}

impl FromStr for Parts {
    type Err = String;

    /// `train=0.9,val=0.05,test=0.05`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts: Vec<(String, f64)> = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or("expected NAME=SHARE, as train=0.9,val=0.1")?;
            let (name, share) = (name.trim(), share.trim());
            let share: f64 =
                share.parse().ok().filter(|n| (0.0..=1.0).contains(n) && *n > 0.0).ok_or_else(|| {
                    format!("the share of {name} is {share}, expected more than 0 and at most 1")
                })?;
            if name.is_empty() || parts.iter().any(|(other, _)| other == name) {
                return Err(format!("expected different names, found {name:?}"));
            }
            parts.push((name.to_owned(), share));
        }
        let sum: f64 = parts.iter().map(|(_, share)| share).sum();
        // Thirds are not written exactly.
        match (sum - 1.0).abs() < 1e-3 {
            true => Ok(Self(parts.into_iter().map(|(name, share)| (name, share / sum)).collect())),
            false => Err(format!("the shares are {sum} together, expected 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_one_together() {
        let parts: Parts = "train=0.9, val=0.1".parse().unwrap();
        assert_eq!(parts.iter().collect::<Vec<_>>(), [("train", 0.9), ("val", 0.1)]);
        assert!("a=0.3333,b=0.3333,c=0.3333".parse::<Parts>().is_ok());
        for (text, part) in [
            ("train", "NAME=SHARE"),
            ("train=0.9", "are 0.9 together"),
            ("train=0.5,train=0.5", "different names"),
            ("train=1.5,val=-0.5", "expected more than 0"),
            ("train=NaN", "expected more than 0"),
            ("=1", "different names"),
        ] {
            let said = text.parse::<Parts>().unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
