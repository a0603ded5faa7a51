//! Height and width.

use serde::{Deserialize, Serialize};

/// Height and width in pixels; one number when both are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SizeForm", into = "SizeForm")]
pub struct Size {
    /// Height, then width.
    pub sides: [i64; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SizeForm {
    Square(i64),
    Sides([i64; 2]),
}

impl From<SizeForm> for Size {
    fn from(form: SizeForm) -> Self {
        match form {
            SizeForm::Square(s) => Self { sides: [s, s] },
            SizeForm::Sides(sides) => Self { sides },
        }
    }
}

impl From<Size> for SizeForm {
    fn from(size: Size) -> Self {
        let [h, w] = size.sides;
        if h == w { Self::Square(h) } else { Self::Sides([h, w]) }
    }
}

impl From<i64> for Size {
    fn from(side: i64) -> Self {
        Self { sides: [side, side] }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.sides[0], self.sides[1])
    }
}
