//! The parsers of weights, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::entry::Entry;
use crate::{ctranslate2, pickle, tensors};
use std::path::Path;

/// Places that were believed must lie in the file.
fn lie_within(found: crate::Result<Vec<(String, Entry)>>, length: usize) {
    for (_, entry) in found.into_iter().flatten() {
        assert!(entry.start.checked_add(entry.len).is_some_and(|end| end <= length) || entry.len == 0);
        assert!(entry.elements().saturating_mul(entry.kind.elt_size_in_bytes() as u64) <= length as u64);
    }
}

/// A PyTorch archive; where it is none, the bytes are a pickle in one.
pub fn pickle(bytes: &[u8]) {
    lie_within(pickle::entries(Path::new("pytorch_model.bin"), bytes, 0), bytes.len());
    if !bytes.starts_with(b"PK") {
        pickle::program(Path::new("data.pkl"), bytes);
    }
}

/// A safetensors file.
pub fn safetensors(bytes: &[u8]) {
    lie_within(tensors::entries(Path::new("model.safetensors"), bytes, 0), bytes.len());
}

/// CTranslate2's `model.bin`.
pub fn ctranslate2(bytes: &[u8]) {
    let found = ctranslate2::entries(Path::new("model.bin"), bytes, 0);
    lie_within(found.map(|f| f.entries.into_iter().chain(f.scales).collect()), bytes.len());
}
