//! What loading weights finds.

use std::fmt;

/// What loading found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// How many tensors were taken.
    pub loaded: usize,
    /// Names that the configuration needs and the file lacks.
    pub missing: Vec<String>,
    /// Names in the file that the configuration does not know.
    pub unexpected: Vec<String>,
    /// Name, expected shape, found shape.
    pub mismatched: Vec<(String, Vec<i64>, Vec<i64>)>,
    /// How many tensors were stored in another precision than fp32.
    pub cast: usize,
    /// Names in the file that are left behind knowingly.
    pub ignored: Vec<String>,
}

impl LoadReport {
    /// Every tensor was taken and none is left over.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", self.loaded)?;
        if self.cast > 0 {
            write!(f, " ({} cast to fp32)", self.cast)?;
        }
        let few = |names: &[String]| {
            let shown: Vec<_> = names.iter().take(3).map(String::as_str).collect();
            format!("{}{}", shown.join(", "), if names.len() > 3 { ", …" } else { "" })
        };
        if !self.missing.is_empty() {
            write!(f, "; {} missing ({})", self.missing.len(), few(&self.missing))?;
        }
        if !self.unexpected.is_empty() {
            write!(f, "; {} unexpected ({})", self.unexpected.len(), few(&self.unexpected))?;
        }
        for (name, expected, found) in self.mismatched.iter().take(3) {
            write!(f, "; {name}: expected shape {expected:?}, found {found:?}")?;
        }
        Ok(())
    }
}
