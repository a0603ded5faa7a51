//! TransNetV2's sizes.

use serde::{Deserialize, Serialize};
use unisono_nn::config::within;
use unisono_nn::{Error, Result};

/// Height of the frames that the network sees.
pub const HEIGHT: usize = 27;
/// Their width.
pub const WIDTH: usize = 48;
/// Bytes of one frame, red, green and blue by turns.
pub const FRAME: usize = HEIGHT * WIDTH * 3;

/// The network's sizes. Those of the published weights are the [default](Self::default).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransNetConfig {
    /// Filters F of each dilation in the first stage; every stage doubles them.
    pub filters: i64,
    /// Stages; each halves height and width.
    pub stages: i64,
    /// Layers of dilated convolutions in a stage.
    pub layers: i64,
    /// Width of the hidden layer before the two outputs.
    pub hidden: i64,
    /// Width in which the features of frames are compared.
    pub similarity: i64,
    /// Frames that each is compared with, half of them before and half after it; odd.
    pub lookup: i64,
    /// Features made of the comparisons.
    pub compared: i64,
    /// Added to the variance in the batch norms.
    pub norm_eps: f64,
}

impl Default for TransNetConfig {
    fn default() -> Self {
        Self {
            filters: 16,
            stages: 3,
            layers: 2,
            hidden: 1024,
            similarity: 128,
            lookup: 101,
            compared: 128,
            norm_eps: 1e-3,
        }
    }
}

impl TransNetConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        within("transnet.filters", self.filters, 1024)?;
        // Four halvings leave one row of the frame.
        within("transnet.stages", self.stages, 4)?;
        within("transnet.layers", self.layers, 64)?;
        for (name, n) in [
            ("hidden", self.hidden),
            ("similarity", self.similarity),
            ("lookup", self.lookup),
            ("compared", self.compared),
        ] {
            within(&format!("transnet.{name}"), n, 1 << 16)?;
        }
        if self.lookup % 2 == 0 {
            return Err(Error::config(
                "transnet.lookup",
                format!("expected an odd number, found {}", self.lookup),
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(Error::config("transnet.norm_eps", "expected a number between 0 and 1"));
        }
        Ok(())
    }

    /// Channels that stage `stage` gives.
    pub(crate) fn channels(&self, stage: i64) -> i64 {
        (4 * self.filters) << stage
    }

    /// Width of a frame's features after the last stage: its channels at each place.
    pub(crate) fn features(&self) -> i64 {
        self.channels(self.stages - 1) * (HEIGHT as i64 >> self.stages) * (WIDTH as i64 >> self.stages)
    }
}
