//! Searches that the page shows.

use super::show::{HITS, Show, spread};
use crate::Result;
use crate::recipe::ShowConfig;
use std::collections::HashSet;
use unisono_datasets::Record;
use unisono_encoders::Modality;
use unisono_eval::protocol::{Embedded, Item};
use unisono_eval::report::Search;
use unisono_eval::retrieval::top;

impl Show {
    /// One search: `item` with its vector against a gallery; right is what shares its key (and language, when `lang` asks so).
    fn search(
        &mut self,
        item: &Item,
        vector: &[f32],
        caption: Option<String>,
        side: &Embedded,
        same_lang: bool,
    ) -> Result<Search> {
        let mut found = top(vector, &side.embeddings()?, side.items.len())?;
        if same_lang {
            found.retain(|(i, _)| side.items[*i].lang == item.lang);
        }
        let right = |i: usize| side.items[i].answers(item);
        let rank = found.iter().position(|(i, _)| right(*i)).map(|r| (r + 1) as f64);
        let size = found.len();
        let mut hits = Vec::with_capacity(HITS);
        for (i, score) in found.into_iter().take(HITS) {
            hits.push(self.hit(&side.items[i], score, right(i))?);
        }
        Ok(Search { query: self.query(item, caption)?, hits, rank, gallery: Some(size) })
    }

    /// Captions in several languages of things that only held-out images show.
    pub(super) fn text_to_images(&mut self, c: &ShowConfig) -> Result<Vec<Search>> {
        let manifest = self.sources.records(&c.source)?;
        let held_out = manifest.split(&c.split);
        let gallery = self.embed(&held_out, Modality::Image, &[])?;
        let keys: HashSet<&str> = held_out.iter().map(|r| r.key()).collect();
        let mut asked: HashSet<String> = HashSet::new();
        let mut out = Vec::new();
        for lang in &c.langs {
            let mut of_lang: Vec<&Record> = manifest
                .records
                .iter()
                .filter(|r| r.lang.as_deref() == Some(lang) && keys.contains(r.key()) && !r.text.is_empty())
                .filter(|r| !asked.contains(r.key()))
                .collect();
            of_lang.sort_by_key(|r| (spread(r.key()), r.id.clone()));
            let Some(r) = of_lang.first() else { continue };
            asked.insert(r.key().to_owned());
            let texts = self.embed(&[r], Modality::Text, &[])?;
            if let Some(item) = texts.items.first() {
                out.push(self.search(item, &texts.vectors, None, &gallery, false)?);
            }
        }
        Ok(out)
    }

    /// Recordings: what they find among images, and among captions of their language.
    pub(super) fn spoken(&mut self, c: &ShowConfig) -> Result<(Vec<Search>, Vec<Search>)> {
        let manifest = self.sources.records(&c.source)?;
        let held_out = manifest.split(&c.split);
        let images = self.embed(&held_out, Modality::Image, &[])?;
        let texts = self.embed(&held_out, Modality::Text, &c.langs)?;
        let (mut to_images, mut to_texts) = (Vec::new(), Vec::new());
        let mut asked: HashSet<String> = HashSet::new();
        for lang in &c.langs {
            let mut of_lang: Vec<&&Record> = held_out
                .iter()
                .filter(|r| r.lang.as_deref() == Some(lang) && !r.audio.is_empty() && !r.text.is_empty())
                .filter(|r| !asked.contains(r.key()))
                .collect();
            of_lang.sort_by_key(|r| (spread(r.key()), r.id.clone()));
            let Some(r) = of_lang.first() else { continue };
            asked.insert(r.key().to_owned());
            let audios = self.embed(&[r], Modality::Audio, &[])?;
            let Some(item) = audios.items.first() else { continue };
            let caption = r.text.first().cloned();
            let vector = &audios.vectors[..audios.dim];
            to_images.push(self.search(item, vector, caption.clone(), &images, false)?);
            to_texts.push(self.search(item, vector, caption, &texts, true)?);
        }
        Ok((to_images, to_texts))
    }
}
