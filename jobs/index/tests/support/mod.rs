//! What the tests of this crate's indexes begin with.

use std::collections::BTreeMap;
use unisono_index::{FORMAT_VERSION, Header, ModelRef, Parts};
use unisono_processors::AudioWindow;

/// The header of an index of no items and no model.
pub fn header(dim: usize, parts: Parts) -> Header<String> {
    let model = ModelRef {
        path: "/none".into(),
        sha256: "5f2a".into(),
        prompt: None,
        window: AudioWindow::Whole,
        seen: None,
    };
    let (modalities, sum, built) = (BTreeMap::new(), String::new(), "by hand".to_owned());
    Header { format_version: FORMAT_VERSION, model, dim, count: 0, modalities, sum, parts, built }
}
