//! How a convolution reaches over its input's edge.

use crate::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// How a convolution reaches over its input's edge; either way it gives ⌈side / stride⌉ places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// As many zeros before as after, half a kernel (PyTorch's nets).
    #[default]
    Symmetric,
    /// As few zeros as do, an odd one after (TensorFlow's "SAME").
    Same,
}

impl Padding {
    /// Zeros before and after a side of `n`.
    pub(crate) fn of(self, n: i64, kernel: i64, stride: i64) -> [i64; 2] {
        match self {
            Self::Symmetric => [kernel / 2; 2],
            Self::Same => {
                let most = (n - 1) / stride * stride + kernel - n;
                [most.max(0) / 2, (most.max(0) + 1) / 2]
            }
        }
    }

    /// `[B, C, H, W]` with what the kernel cannot add itself, and what it is to add on both ends of each axis.
    pub(crate) fn apply(self, x: &Tensor, kernel: i64, stride: i64) -> Result<(Tensor, [i64; 2])> {
        let (_, _, h, w) = x.size4()?;
        let [top, bottom] = self.of(h, kernel, stride);
        let [left, right] = self.of(w, kernel, stride);
        if top == bottom && left == right {
            return Ok((x.shallow_clone(), [top, left]));
        }
        Ok((x.f_constant_pad_nd([0, right - left, 0, bottom - top])?, [top, left]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TensorFlow's: as many places as the side divided by the stride, rounded up, and the odd zero after.
    #[test]
    fn zeros_are_as_few_as_do() {
        for (n, kernel, stride, want) in [
            (224, 3, 2, [0, 1]),
            (225, 3, 2, [1, 1]),
            (112, 5, 2, [1, 2]),
            (113, 5, 2, [2, 2]),
            (7, 5, 1, [2, 2]),
            (1, 3, 2, [1, 1]),
            (9, 1, 2, [0, 0]),
        ] {
            assert_eq!(Padding::Same.of(n, kernel, stride), want, "{n} {kernel} {stride}");
            let [before, after] = want;
            assert_eq!((n + before + after - kernel) / stride + 1, (n + stride - 1) / stride);
            assert_eq!(Padding::Symmetric.of(n, kernel, stride), [kernel / 2; 2]);
        }
    }
}
