//! Which model this is: a sum over everything that changes an embedding.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The files of a model directory that change an embedding; a model without a text tower has no tokenizer.
const FILES: [&str; 4] = ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"];

/// SHA-256, lower-case hexadecimal, over the names, lengths and bytes of a model directory's weights and contract. Vectors
/// of models with different identities do not compare.
///
/// # Errors
/// The directory has no weights, or a file cannot be read.
pub fn identity(model: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    for name in FILES {
        let path = model.join(name);
        if name == "tokenizer.json" && !path.exists() {
            continue;
        }
        let mut file = File::open(&path).map_err(Error::io(&path, "read"))?;
        let length = file.metadata().map_err(Error::io(&path, "read"))?.len();
        // With the length in front, bytes cannot move from one file's end to the next one's start unseen.
        hash.update(name.as_bytes());
        hash.update(length.to_le_bytes());
        loop {
            let read = file.read(&mut buffer).map_err(Error::io(&path, "read"))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
