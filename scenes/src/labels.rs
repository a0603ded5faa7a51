//! Label sets: text files of labels and prompts, shipped or one's own.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use unisono_files::{Budget, read_text};

/// What a set's labels are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelInput {
    /// Frames.
    Images,
    /// The audio track.
    Audio,
}

/// Labels of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSet {
    /// `places`, or the file's name without its ending.
    pub name: String,
    /// What they are compared with.
    pub input: LabelInput,
    /// Prompts, `{}` for the label; at least one.
    pub prompts: Vec<String>,
    /// What has to be said wherever they are used.
    pub warning: Option<String>,
    /// At least one, each once.
    pub labels: Vec<String>,
}

/// The sets that are shipped: name and file.
pub const SHIPPED: [(&str, &str); 7] = [
    ("places", include_str!("../labels/places.txt")),
    ("objects", include_str!("../labels/objects.txt")),
    ("actions", include_str!("../labels/actions.txt")),
    ("moods", include_str!("../labels/moods.txt")),
    ("sounds", include_str!("../labels/sounds.txt")),
    ("emotions", include_str!("../labels/emotions.txt")),
    ("voices", include_str!("../labels/voices.txt")),
];

/// Longest file of labels.
const MAX_BYTES: u64 = 1 << 20;

impl LabelSet {
    /// A shipped set by its name, or else a file.
    ///
    /// # Errors
    /// Neither; a file without labels or with one twice, or a prompt without `{}`.
    pub fn load(named: &str) -> Result<Self> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == named) {
            return Self::parse(name, text, Path::new(name));
        }
        let path = Path::new(named);
        if !path.exists() {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            let expected = format!("a file, or one of {}", names.join(", "));
            return Err(Error::setting("labels.sets", expected, format!("{named:?}")));
        }
        let text = read_text(path, &Budget { bytes: MAX_BYTES, ..Budget::CONFIG })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text, path)
    }

    fn parse(name: &str, text: &str, path: &Path) -> Result<Self> {
        let mut set = Self {
            name: name.to_owned(),
            input: LabelInput::Images,
            prompts: Vec::new(),
            warning: None,
            labels: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            let wrong = |message: String| Error::format(path, format!("line {}: {message}", i + 1));
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(value) = line.strip_prefix("input:") {
                set.input = match value.trim() {
                    "images" => LabelInput::Images,
                    "audio" => LabelInput::Audio,
                    other => {
                        return Err(wrong(format!("input: expected images or audio, found {other:?}")));
                    }
                };
            } else if let Some(value) = line.strip_prefix("prompt:") {
                if !value.contains("{}") {
                    return Err(wrong(format!(
                        "prompt: expected {{}} for the label, found {:?}",
                        value.trim()
                    )));
                }
                set.prompts.push(value.trim().to_owned());
            } else if let Some(value) = line.strip_prefix("warning:") {
                set.warning = Some(value.trim().to_owned());
            } else if seen.insert(line) {
                set.labels.push(line.to_owned());
            } else {
                return Err(wrong(format!("label {line:?} stands there twice; remove one")));
            }
        }
        if set.labels.is_empty() {
            return Err(Error::format(path, "expected one label a line, found none"));
        }
        if set.prompts.is_empty() {
            set.prompts.push(
                match set.input {
                    LabelInput::Images => "a photo of a {}.",
                    LabelInput::Audio => "the sound of {}.",
                }
                .to_owned(),
            );
        }
        Ok(set)
    }
}

/// Writes the shipped sets into a folder, for editing; what lies there is left alone. Returns the names written.
///
/// # Errors
/// The folder cannot be made or written.
pub fn write_shipped(dir: &Path) -> Result<Vec<String>> {
    std::fs::create_dir_all(dir).map_err(Error::io(dir, "make the folder"))?;
    let mut written = Vec::new();
    for (name, text) in SHIPPED {
        let path = dir.join(format!("{name}.txt"));
        if !path.exists() {
            unisono_files::write_atomic(&path, |out| out.write_all(text.as_bytes()))?;
            written.push(format!("{name}.txt"));
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_sets_are_whole_and_those_about_people_warn() {
        for (name, _) in SHIPPED {
            let set = LabelSet::load(name).unwrap();
            assert!(set.labels.len() >= 12 && set.prompts.len() >= 2, "{name}");
            assert_eq!(set.warning.is_some(), ["emotions", "voices"].contains(&name), "{name}");
            assert_eq!(set.input == LabelInput::Audio, ["sounds", "voices"].contains(&name), "{name}");
        }
        let default = crate::settings::LabelSettings::default();
        assert!(default.sets.iter().all(|s| LabelSet::load(s).unwrap().warning.is_none()));
    }

    #[test]
    fn files_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let load = |text: &str| {
            let path = dir.path().join("mine.txt");
            std::fs::write(&path, text).unwrap();
            LabelSet::load(path.to_str().unwrap()).map_err(|e| e.to_string())
        };
        let set = load(
            "# mine\ninput: audio
\n a cat \na dog\n",
        )
        .unwrap();
        assert_eq!(
            (set.name.as_str(), set.labels.as_slice()),
            ("mine", &["a cat".to_owned(), "a dog".to_owned()][..])
        );
        assert_eq!(set.prompts, ["the sound of {}."]);
        for (text, what) in [
            ("a\na\n", "line 2: label \"a\" stands there twice"),
            ("# none\n", "expected one label a line, found none"),
            ("prompt: a photo\nx\n", "line 1: prompt: expected {} for the label"),
            ("input: smells\nx\n", "line 1: input: expected images or audio, found \"smells\""),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let error = LabelSet::load("plaices").unwrap_err().to_string();
        assert!(error.contains("labels.sets: expected a file, or one of places, objects"), "{error}");
        let written = write_shipped(dir.path()).unwrap();
        assert_eq!(written.len(), SHIPPED.len());
        assert!(write_shipped(dir.path()).unwrap().is_empty());
    }
}
