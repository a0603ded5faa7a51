//! Texts as people ask them, embedded once for each index: how they score with its items says what a score is worth.

use crate::{Embedder, Error, Result, Vectors};
use std::collections::HashMap;
use std::path::Path;
use unisono_encoders::{Modality, Prompt, Role};
use unisono_files::{Budget, write_atomic};
use unisono_index::{ASKED, TENSOR, tensor_head};

const THINGS: [&str; 64] = [
    "dog",
    "bridge",
    "birthday cake",
    "bicycle",
    "mountain",
    "guitar",
    "letter",
    "kitchen",
    "wedding",
    "train",
    "flower",
    "storm",
    "football match",
    "bird",
    "map",
    "church",
    "baby",
    "market",
    "river",
    "computer",
    "horse",
    "city at night",
    "sunset",
    "book",
    "factory",
    "garden",
    "aeroplane",
    "soup",
    "street sign",
    "piano",
    "snow",
    "beach",
    "cat",
    "statue",
    "hospital",
    "fire",
    "boat",
    "phone call",
    "crowd",
    "chart",
    "tree",
    "cow",
    "dance",
    "moon",
    "classroom",
    "shoe",
    "speech",
    "window",
    "coffee",
    "desert",
    "robot",
    "bus",
    "painting",
    "fish",
    "bottle",
    "clock",
    "tower",
    "truck",
    "face",
    "fruit",
    "laughter",
    "rain",
    "toy",
    "doctor",
];
const KINDS: [&str; 8] = ["red", "old", "small", "broken", "blue", "loud", "wooden", "famous"];
const PLACES: [&str; 8] = [
    "in the snow",
    "by the sea",
    "at night",
    "in a crowded street",
    "on a table",
    "seen from above",
    "in the rain",
    "at home",
];
const PEOPLE: [&str; 8] = [
    "a man looks at a",
    "two children with a",
    "a woman talks about a",
    "nobody sees the",
    "people around a",
    "somebody holds a",
    "my family and the",
    "an old man paints a",
];

/// 256 of them: alone, of a kind, in a place, with people.
fn sentences() -> Vec<String> {
    let of = |form: usize, n: usize| {
        let (thing, other) = (THINGS[n], (n * 5 + n / 8) % 8);
        match form {
            0 => format!("a {thing}"),
            1 => format!("{} {thing}", KINDS[other]),
            2 => format!("{thing} {}", PLACES[other]),
            _ => format!("{} {thing}", PEOPLE[other]),
        }
    };
    (0..4).flat_map(|form| (0..THINGS.len()).map(move |n| of(form, n))).collect()
}

/// Embeds them as queries are, and writes them into an index's folder. Of a model without texts nothing is written.
pub(super) fn write(embedder: &mut Embedder, folder: &Path) -> Result<()> {
    if !embedder.model().embeds().contains(&Modality::Text) {
        return Ok(());
    }
    let before = embedder.prompt().cloned().unwrap_or(Prompt { name: None, text: String::new() });
    embedder.model_mut().set_role(Some(Role::Query))?;
    let mut all = Vectors { dim: embedder.dim(), data: Vec::new() };
    for some in sentences().chunks(32) {
        all.data.extend(embedder.texts(some)?.data);
    }
    embedder.model_mut().set_prompt(before)?;
    let path = folder.join(ASKED);
    let bytes: Vec<u8> = all.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(write_atomic(&path, |w| {
        w.write_all(&tensor_head(all.len(), all.dim, &HashMap::new())?)?;
        w.write_all(&bytes)
    })?)
}

/// Reads them from an index's folder, `[P, D]` row-major; none where there are none.
pub(super) fn read(folder: &Path, dim: usize) -> Result<Vec<f32>> {
    let path = folder.join(ASKED);
    if std::fs::symlink_metadata(&path).is_err() {
        return Ok(Vec::new());
    }
    unisono_files::read(&path, &Budget::VOCABULARY)?;
    let (tensors, _) = unisono_nn::tensors::read(&path)?;
    let rows = tensors.get(TENSOR).map(unisono_encoders::to_vec).transpose()?.unwrap_or_default();
    if dim == 0 || !rows.len().is_multiple_of(dim) || rows.iter().any(|v| !v.is_finite()) {
        return Err(Error::format(&path, format!("expected rows of {dim} numbers; build the index again")));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sentences_differ() {
        let all = super::sentences();
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (256, 256));
        assert_eq!(all[0], "a dog");
    }
}
