//! What a convolution is, besides its numbers.

use super::Padding;

/// What a convolution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels in.
    pub input: i64,
    /// Channels out.
    pub output: i64,
    /// Side of the kernel.
    pub kernel: i64,
    /// Step along both axes.
    pub stride: i64,
    /// Every channel by itself, from its own in to its own out.
    pub depthwise: bool,
    /// How it reaches over the edge.
    pub padding: Padding,
}

impl ConvShape {
    /// One place at a time: a linear layer over the channels.
    pub fn pointwise(input: i64, output: i64) -> Self {
        Self { input, output, kernel: 1, stride: 1, depthwise: false, padding: Padding::Symmetric }
    }

    /// Channels that each output sees.
    pub(crate) fn seen(&self) -> i64 {
        if self.depthwise { 1 } else { self.input }
    }

    /// For libtorch.
    pub(crate) fn groups(&self) -> i64 {
        if self.depthwise { self.input } else { 1 }
    }
}
