//! The stamps as the package describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::{Error, Result};
use unisono_media::one_line;

/// One stamp. Paths are relative to the media folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Stamp {
    /// Path without extension: `animals/cat`.
    pub name: String,
    pub image: PathBuf,
    pub english: String,
    /// Captions by language tag, English left out.
    pub texts: BTreeMap<String, String>,
    /// Spoken captions by language tag.
    pub spoken: BTreeMap<String, Vec<PathBuf>>,
    /// Audio files of the thing itself.
    pub effects: Vec<PathBuf>,
}

impl Stamp {
    /// Everything the stamp's records refer to.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.image).chain(self.spoken.values().flatten()).chain(&self.effects)
    }

    /// Captions in the languages that have no recording, without repetitions and what was left in English.
    pub fn unspoken_texts(&self) -> Vec<String> {
        let mut seen = BTreeSet::from([normalise(&self.english)]);
        let texts = self
            .texts
            .iter()
            .filter(|(lang, _)| !self.spoken.contains_key(*lang) && !lang.starts_with("en-"));
        texts.filter(|(_, text)| seen.insert(normalise(text))).map(|(_, text)| text.clone()).collect()
    }
}

/// Reads the captions among `files` (sorted, below `root`) and puts each stamp's images and audio files beside them. Stamps
/// without an image or an English caption are left out; files that no stamp uses, captions included, are removed.
pub(super) fn read(root: &Path, files: Vec<PathBuf>) -> Result<Vec<Stamp>> {
    let files: BTreeSet<String> =
        files.into_iter().filter_map(|p| p.into_os_string().into_string().ok()).collect();
    let mut stamps = Vec::new();
    for name in files.iter().filter_map(|f| f.strip_suffix(".txt")) {
        // A stamp that exists in both forms thumbnails alike in both; the PNG needs no drawing.
        let image = ["png", "svg"].iter().map(|e| format!("{name}.{e}")).find(|p| files.contains(p));
        let path = root.join(format!("{name}.txt"));
        let bytes = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
        let (english, texts) = captions(&String::from_utf8_lossy(&bytes));
        if let (Some(image), false) = (image, english.is_empty()) {
            let (spoken, effects) = audios(name, &files);
            stamps.push(Stamp {
                name: name.to_owned(),
                image: image.into(),
                english,
                texts,
                spoken,
                effects,
            });
        }
    }
    if stamps.is_empty() {
        return Err(Error::archive(root, "the package holds no stamps"));
    }
    let used: BTreeSet<&Path> = stamps.iter().flat_map(Stamp::files).map(PathBuf::as_path).collect();
    for file in files.iter().filter(|f| !used.contains(Path::new(f))) {
        let path = root.join(file);
        std::fs::remove_file(&path).map_err(Error::io(&path, "remove"))?;
    }
    Ok(stamps)
}

/// First line English, then `fr.utf8=…`.
fn captions(text: &str) -> (String, BTreeMap<String, String>) {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let clean = |text: &str| one_line(text.trim().trim_end_matches('|'));
    let english = clean(lines.next().unwrap_or_default());
    let other = lines.filter_map(|line| {
        let (key, text) = line.split_once(".utf8=")?;
        let text = clean(text);
        (!text.is_empty()).then(|| (language_tag(key.trim()), text))
    });
    (english, other.collect())
}

/// The spoken captions (`NAME_desc_fr.ogg`, English `NAME_desc.ogg`) and effects (`NAME.ogg`) of a stamp.
fn audios(name: &str, files: &BTreeSet<String>) -> (BTreeMap<String, Vec<PathBuf>>, Vec<PathBuf>) {
    let mut spoken: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let (mut effects, mut words) = (Vec::new(), false);
    // Sorted: everything that begins with the name lies together.
    for file in files.range(name.to_owned()..).take_while(|f| f.starts_with(name)) {
        let rest = &file[name.len()..];
        let Some((rest, "ogg" | "wav" | "ogg.ogg")) = rest.split_once('.') else { continue };
        match rest.strip_prefix('_') {
            None if rest.is_empty() => effects.push(file.into()),
            Some("desc") => spoken.entry("en".into()).or_default().push(file.into()),
            Some(rest) => match rest.strip_prefix("desc_") {
                Some(lang) => spoken.entry(language_tag(lang)).or_default().push(file.into()),
                // `7_de.ogg` is a word, not a noise: so is `7.ogg` then.
                None => words |= is_language(rest),
            },
            None => {}
        }
    }
    if words {
        effects.clear();
    }
    (spoken, effects)
}

fn is_language(text: &str) -> bool {
    let main = text.split('_').next().unwrap_or_default();
    (2..=3).contains(&main.len()) && main.bytes().all(|b| b.is_ascii_lowercase())
}

/// POSIX locale names as BCP 47: `pt_BR` is `pt-BR`, `sr@latin` is `sr-Latn`.
fn language_tag(locale: &str) -> String {
    let (main, variant) = locale.split_once('@').map_or((locale, None), |(m, v)| (m, Some(v)));
    let (language, region) = main.split_once('_').map_or((main, None), |(l, r)| (l, Some(r)));
    let mut tag = language.to_ascii_lowercase();
    match variant {
        Some("latin") => tag.push_str("-Latn"),
        Some(other) => tag = format!("{tag}-{other}"),
        None => {}
    }
    if let Some(region) = region {
        tag = format!("{tag}-{}", region.to_ascii_uppercase());
    }
    tag
}

/// A caption without case, punctuation and articles: equal ones say the same.
pub(super) fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    words.filter(|w| !["a", "an", "the", "some"].contains(w) || lower.len() < 4).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_by_language() {
        let (english, texts) =
            captions("A  cat.\nfr.utf8=Un chat.\npt_BR.utf8= Um gato. \nsr@latin.utf8=Mačka|\nde.utf8=\nx\n");
        assert_eq!(english, "A cat.");
        let expected = [("fr", "Un chat."), ("pt-BR", "Um gato."), ("sr-Latn", "Mačka")];
        assert_eq!(texts, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(captions(""), (String::new(), BTreeMap::new()));
    }

    #[test]
    fn audios_by_kind() {
        let files = [
            "cat.ogg",
            "cat.png",
            "cat_desc.ogg",
            "cat_desc_da.ogg.ogg",
            "cat_desc_fr.ogg",
            "cat_desc_pt_BR.wav",
            "cat_little_desc_fr.ogg",
            "catfish.ogg",
        ];
        let (spoken, effects) = audios("cat", &files.map(str::to_owned).into());
        assert_eq!(spoken.keys().collect::<Vec<_>>(), ["da", "en", "fr", "pt-BR"]);
        assert_eq!(spoken["fr"], [PathBuf::from("cat_desc_fr.ogg")]);
        assert_eq!(effects, [PathBuf::from("cat.ogg")]);
        // A word spoken in several languages is no effect.
        let (_, effects) = audios("7", &["7.ogg", "7_de.ogg", "7_en_GB.ogg"].map(str::to_owned).into());
        assert!(effects.is_empty());
    }

    #[test]
    fn what_says_the_same() {
        assert_eq!(normalise("A  Cat."), normalise("the cat!"));
        assert_ne!(normalise("A"), normalise("The"));
    }
}
