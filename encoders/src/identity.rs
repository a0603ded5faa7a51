//! Which model this is: a sum over everything that changes an embedding.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use unisono_files::hex;

/// The files of a model directory that change an embedding; a model without a text tower, or without a decoder that it reads, has no tokenizer.
const FILES: [&str; 5] = [
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "model.safetensors",
    "speech_tokenizer.json",
];

/// SHA-256, lower-case hexadecimal, over the names, lengths and bytes of a model directory's weights and contract. Vectors
/// of models with different identities do not compare.
///
/// # Errors
/// The directory has no weights, or a file cannot be read.
pub fn identity(model: &Path) -> Result<String> {
    let own = sum(model, files(model)?)?;
    if !crate::adapters::is(model) {
        return Ok(own);
    }
    let base = identity(&crate::adapters::base(model)?)?;
    Ok(hex(&Sha256::digest(format!("{own} {base}"))))
}

/// [`identity`] with the fusion part, which changes captions and no vector.
///
/// # Errors
/// As [`identity`].
pub fn identity_with_fusion(model: &Path) -> Result<String> {
    let mut names = files(model)?;
    let own = ["fusion.json", "fusion.safetensors"].map(str::to_owned);
    names.extend(own.into_iter().filter(|n| model.join(n).is_file()));
    names.dedup();
    sum(model, names)
}

fn sum(model: &Path, names: Vec<String>) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    for name in names {
        let path = model.join(&name);
        // A pipe or a device under such a name would be read without end.
        let mut file = unisono_files::open(&path)?;
        let length = file.metadata().map_err(|e| Error::io(&path, e))?.len();
        // With the length in front, bytes cannot move from one file's end to the next one's start unseen.
        hash.update(name.as_bytes());
        hash.update(length.to_le_bytes());
        loop {
            let read = file.read(&mut buffer).map_err(|e| Error::io(&path, e))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// What of a model directory is summed over: of our own the four files, of another library's checkpoint every file that such a
/// library may read.
fn files(model: &Path) -> Result<Vec<String>> {
    if crate::families::family(model)? == crate::files::MODEL_TYPE {
        let there = |name: &&str| !name.ends_with("tokenizer.json") || model.join(*name).exists();
        return Ok(FILES.iter().filter(|n| there(n)).map(|n| (*n).to_owned()).collect());
    }
    let mut names = Vec::new();
    let modules = crate::families::folders(model)?;
    for folder in std::iter::once(PathBuf::new()).chain(modules) {
        let at = model.join(&folder);
        for entry in std::fs::read_dir(&at).map_err(|e| Error::io(&at, e))? {
            let path = entry.map_err(|e| Error::io(&at, e))?.path();
            let read = ["json", "txt", "model", "safetensors", "bin"];
            if path.is_file() && path.extension().and_then(|e| e.to_str()).is_some_and(|e| read.contains(&e))
            {
                names.extend(path.file_name().map(|n| folder.join(n).to_string_lossy().into_owned()));
            }
        }
    }
    names.sort();
    Ok(names)
}
