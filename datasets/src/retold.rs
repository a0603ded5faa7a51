//! Records with captions of another language: what is said in Greek, written in English.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::source::{Key, Source};
use crate::{Record, Result};

/// A source whose records have, in place of their own captions, those that its records of one language have of the same label. The captions are held in
/// memory.
#[derive(Debug)]
pub struct Retold {
    source: Arc<dyn Source>,
    lang: String,
    /// By label.
    texts: BTreeMap<String, Vec<String>>,
    /// Of each record, whether its label has captions.
    told: Vec<bool>,
}

impl Retold {
    /// The records of `source` with captions of `lang`. A record whose label has none keeps its media and is left without a text.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn new(source: Arc<dyn Source>, lang: &str) -> Result<Self> {
        let mut texts = BTreeMap::<String, Vec<String>>::new();
        let mut labels = Vec::with_capacity(source.len());
        for i in 0..source.len() {
            let Ok(record) = source.record(i) else {
                // It is named when it is drawn.
                labels.push(None);
                continue;
            };
            if record.lang.as_deref() == Some(lang) {
                let known = texts.entry(record.key().to_owned()).or_default();
                for text in &record.text {
                    if !known.contains(text) {
                        known.push(text.clone());
                    }
                }
            }
            labels.push(Some(record.key().to_owned()));
        }
        texts.retain(|_, texts| !texts.is_empty());
        let told = labels.iter().map(|label| label.as_ref().is_some_and(|l| texts.contains_key(l))).collect();
        Ok(Self { source, lang: lang.to_owned(), texts, told })
    }
}

impl Source for Retold {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let mut record = self.source.record(index)?.into_owned();
        record.text = self.texts.get(record.key()).cloned().unwrap_or_default();
        Ok(Cow::Owned(record))
    }

    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        self.source.id(index)
    }

    fn key(&self, index: usize) -> Key<'_> {
        Key { text: self.told.get(index).copied().unwrap_or(false), ..self.source.key(index) }
    }

    fn sum(&self) -> Result<String> {
        let mut sum = unisono_files::Sum::default();
        sum.part(self.source.sum()?.as_bytes());
        sum.part(self.lang.as_bytes());
        Ok(sum.letters())
    }

    fn block(&self) -> usize {
        self.source.block()
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    #[test]
    fn captions_are_those_of_the_label_in_the_other_language() {
        let record = |id: &str, label: &str, lang: &str, text: &[&str]| Record {
            id: id.into(),
            label: Some(label.into()),
            lang: Some(lang.into()),
            text: text.iter().map(|t| (*t).to_owned()).collect(),
            ..Record::default()
        };
        let records = vec![
            record("a#en", "a", "en", &["A frog.", "A toad."]),
            record("a#fr", "a", "fr", &["Une grenouille."]),
            record("a2#en", "a", "en", &["A frog."]),
            record("b#fr", "b", "fr", &["Un chat."]),
        ];
        let manifest = Manifest { path: "things.jsonl".into(), records };
        let own = manifest.sum().unwrap();
        let told = Retold::new(Arc::new(manifest), "en").unwrap();
        assert_eq!(told.record(1).unwrap().text, ["A frog.", "A toad."]);
        assert_eq!(told.record(1).unwrap().lang.as_deref(), Some("fr"));
        let texts: Vec<bool> = (0..4).map(|i| told.key(i).text).collect();
        assert_eq!(texts, [true, true, true, false]);
        assert_eq!(told.record(3).unwrap().text.len(), 0);
        assert_ne!(told.sum().unwrap(), own);
    }
}
