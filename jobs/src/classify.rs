//! Zero-shot classification (Radford et al. 2021): a file is compared with labels, each the mean of its prompts' vectors. Beside it that by the
//! labels that a model was trained on.

mod own;

pub use own::classify_by_own_labels;

use crate::{EmbedOptions, Embedder, Error, Flow, Items, Listing, Progress, Result, Skip, Vectors, embed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use unisono_encoders::Modality;
use unisono_files::Budget;

/// Prompts where none are given.
pub fn default_template(modality: Modality) -> &'static str {
    if modality == Modality::Audio { "the sound of {}." } else { "a photo of a {}." }
}

/// Labels and the prompts that they stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    templates: Vec<String>,
}

/// Lines of a file that are not blank.
fn lines(path: &Path) -> Result<Vec<String>> {
    let text = unisono_files::read_text(path, &Budget::VOCABULARY)?;
    let found: Vec<String> =
        text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if found.is_empty() {
        return Err(Error::format(path, "expected one entry a line, found none"));
    }
    Ok(found)
}

impl Labels {
    /// These labels, in the modality's default prompt.
    ///
    /// # Errors
    /// None, an empty one, or one twice.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let mut seen = BTreeSet::new();
        match names.iter().find(|n| n.trim().is_empty() || !seen.insert(n.as_str())) {
            Some(wrong) => Err(Error::Input(format!("label {wrong:?} is empty or stands there twice"))),
            None if names.is_empty() => Err(Error::Input("expected labels, found none".into())),
            None => Ok(Self { names, templates: Vec::new() }),
        }
    }

    /// From files with one label and one template a line; `{}` in a template stands for the label. Without templates the
    /// modality's default is taken.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, a label twice, a template without `{}`.
    pub fn read(labels: &Path, templates: Option<&Path>) -> Result<Self> {
        let names = lines(labels)?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|n| !seen.insert(n.as_str())) {
            return Err(Error::format(labels, format!("label {twice:?} stands there twice; remove one")));
        }
        let templates = match templates {
            None => Vec::new(),
            Some(path) => {
                let found = lines(path)?;
                if let Some(without) = found.iter().find(|t| !t.contains("{}")) {
                    let message = format!("template {without:?} has no {{}} for the label");
                    return Err(Error::format(path, message));
                }
                found
            }
        };
        Ok(Self { names, templates })
    }

    /// The labels.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// A label and its probability.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Guess {
    /// The label.
    pub label: String,
    /// Softmax over the labels of the scaled similarities, or of what a classifier says; with a model trained by sigmoid loss, or a classifier of
    /// several labels at once, each label's own probability.
    pub probability: f64,
}

/// What a file shows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Classified {
    /// The file.
    pub id: String,
    /// The best labels first.
    pub guesses: Vec<Guess>,
}

/// What of a listing can be classified by a model that embeds `has`: images where it sees, audio files where it hears; where its own labels are taken,
/// what is `of` the modality of those. The others, videos among them, come back with their reasons: a folder may hold every kind.
///
/// # Errors
/// A model that reads no texts, or neither sees nor hears; nothing that it can classify.
pub fn fitting(listing: Listing, has: &[Modality], of: Option<Modality>) -> Result<(Listing, Vec<Skip>)> {
    let names = || has.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
    if of.is_none() && !has.contains(&Modality::Text) {
        return Err(Error::Input(format!(
            "this model reads no labels: it has no text tower; it has: {}",
            names()
        )));
    }
    if !has.contains(&Modality::Image) && !has.contains(&Modality::Audio) {
        return Err(Error::Input(format!("this model neither sees nor hears; it has: {}", names())));
    }
    let reason = |m: Modality| match m {
        Modality::Image | Modality::Audio if has.contains(&m) && of.is_none_or(|of| of == m) => None,
        Modality::Image | Modality::Audio if has.contains(&m) => {
            Some(format!("its modality is {m}, the model's own labels are of another"))
        }
        Modality::Image | Modality::Audio => {
            Some(format!("this model has no {m} tower; it has: {}", names()))
        }
        _ => Some(format!("its modality is {m}; classified are images and audio files")),
    };
    let mut left_out = Vec::new();
    let mut kept = Items::default();
    for item in &listing.items {
        match reason(item.modality) {
            None => kept.push(&item),
            Some(reason) => left_out.push(Skip { id: item.id, reason }),
        }
    }
    match left_out.first() {
        Some(first) if kept.is_empty() && listing.skipped.is_empty() => {
            Err(Error::Input(format!("{}: {}", first.id, first.reason)))
        }
        _ => Ok((Listing { items: kept, ..listing }, left_out)),
    }
}

/// Classifies images and audio files, the `top` best labels each. Files that cannot be used come back beside.
///
/// # Errors
/// No text tower, and as [`embed`].
pub fn classify(
    embedder: &Embedder,
    listing: Listing,
    labels: &Labels,
    top: usize,
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<(Vec<Classified>, Vec<Skip>)> {
    embedder.require(Modality::Text)?;
    let mut tables = BTreeMap::new();
    for m in listing.items.counts().keys().copied() {
        embedder.require(m)?;
        let default = [default_template(m).to_owned()];
        let templates = if labels.templates.is_empty() { &default[..] } else { &labels.templates };
        tables.insert(m, table(embedder, &labels.names, templates, m)?);
    }
    let embedded = embed(embedder, listing, options, progress)?;
    let mut done = Vec::with_capacity(embedded.items.len());
    for (item, vector) in embedded.items.into_iter().zip(embedded.vectors.rows()) {
        let Some(table) = tables.get(&item.modality) else { continue };
        done.push(Classified { id: item.id, guesses: table.guess(&labels.names, vector, top) });
    }
    Ok((done, embedded.skipped))
}

/// Vectors of labels, and how similarities with them become probabilities.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    vectors: Vectors,
    scale: f64,
    bias: Option<f64>,
}

/// The mean of the unit vectors of each label's prompts, of unit length again.
pub(crate) fn table(
    embedder: &Embedder,
    names: &[String],
    templates: &[String],
    modality: Modality,
) -> Result<Table> {
    let prompts: Vec<String> =
        names.iter().flat_map(|label| templates.iter().map(move |t| t.replace("{}", label))).collect();
    let dim = embedder.dim();
    let mut data = Vec::with_capacity(names.len() * dim);
    let mut vectors = Vec::with_capacity(prompts.len() * dim);
    for part in prompts.chunks(64) {
        vectors.extend(embedder.texts(part)?.data);
    }
    for prompts in vectors.chunks(dim * templates.len()) {
        let mut sum = vec![0f64; dim];
        for vector in prompts.chunks(dim) {
            sum.iter_mut().zip(vector).for_each(|(s, v)| *s += f64::from(*v));
        }
        let norm = sum.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        data.extend(sum.iter().map(|v| (v / norm) as f32));
    }
    let model = embedder.model();
    let number = |t: Option<&tch::Tensor>| t.map(|t| t.double_value(&[]));
    Ok(Table {
        vectors: Vectors { dim, data },
        scale: number(model.logit_scale(Modality::Text, modality)).map_or(100.0, f64::exp),
        bias: number(model.logit_bias(Modality::Text, modality)),
    })
}

impl Table {
    /// The `top` best of `names` for a unit vector `[D]`.
    pub(crate) fn guess(&self, names: &[String], vector: &[f32], top: usize) -> Vec<Guess> {
        let logits = self.vectors.rows().map(|row| {
            let cosine: f64 = row.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            self.scale * cosine + self.bias.unwrap_or(0.0)
        });
        best(logits.collect(), names, self.bias.is_some(), top)
    }
}

fn best(logits: Vec<f64>, names: &[String], sigmoid: bool, top: usize) -> Vec<Guess> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - most).exp()).sum();
    let probability = |l: f64| if sigmoid { 1.0 / (1.0 + (-l).exp()) } else { (l - most).exp() / sum };
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    order.truncate(top);
    order.iter().map(|i| Guess { label: names[*i].clone(), probability: probability(logits[*i]) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Labels {
        Labels { names: names.iter().map(|n| (*n).to_owned()).collect(), templates: vec![] }
    }

    #[test]
    fn probabilities_are_softmax_or_sigmoid() {
        let l = labels(&["a", "b", "c"]).names;
        let soft = best(vec![1.0, 3.0, 2.0], &l, false, 2);
        assert_eq!((soft[0].label.as_str(), soft[1].label.as_str(), soft.len()), ("b", "c", 2));
        let sum: f64 = [1.0f64, 2.0, 3.0].iter().map(|v| v.exp()).sum();
        assert!((soft[0].probability - 3f64.exp() / sum).abs() < 1e-12);
        let own = best(vec![0.0, -1000.0], &labels(&["a", "b"]).names, true, 5);
        assert!((own[0].probability - 0.5).abs() < 1e-12 && own[1].probability == 0.0);
    }

    #[test]
    fn what_a_model_has_no_tower_for_is_told_apart() {
        use Modality::{Audio, Image, Text, Video};
        let file = |name: &str, m| crate::Item::file(name, m);
        let both = || Listing {
            items: [file("/a.png", Image), file("/b.wav", Audio), file("/c.mp4", Video)].into(),
            ..Listing::default()
        };
        for (has, kept, reason) in [
            (
                &[Text, Image, Video][..],
                &["/a.png"][..],
                "this model has no audio tower; it has: text, image, video",
            ),
            (&[Text, Audio], &["/b.wav"], "this model has no image tower"),
            (
                &[Text, Image, Audio],
                &["/a.png", "/b.wav"],
                "its modality is video; classified are images and audio files",
            ),
        ] {
            let (listing, out) = fitting(both(), has, None).unwrap();
            let ids: Vec<String> = listing.items.iter().map(|i| i.id).collect();
            assert_eq!((ids.join(" "), out.len()), (kept.join(" "), 3 - kept.len()));
            assert!(out[0].reason.starts_with(reason), "{:?}", out[0]);
        }
        let (listing, out) = fitting(both(), &[Image], Some(Image)).unwrap();
        assert_eq!((listing.items.len(), out.len()), (1, 2));
        let (_, out) = fitting(both(), &[Image, Audio], Some(Audio)).unwrap();
        assert_eq!(out[0].reason, "its modality is image, the model's own labels are of another");
        let said = |listing, has: &[Modality]| fitting(listing, has, None).unwrap_err().to_string();
        assert!(said(both(), &[Image]).contains("no text tower"));
        assert!(said(both(), &[Text]).contains("neither sees nor hears"));
        let audio = Listing { items: [file("/b.wav", Audio)].into(), ..Listing::default() };
        assert_eq!(said(audio, &[Text, Image]), "/b.wav: this model has no audio tower; it has: text, image");
    }

    #[test]
    fn files_of_labels_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = at("l", "cat\n\n  dog \n");
        assert_eq!(Labels::read(&good, None).unwrap().names(), ["cat", "dog"]);
        // As editors save them.
        let marked = at("b", "\u{feff}cat\r\ndog\r\n");
        assert_eq!(Labels::read(&marked, Some(&at("u", "\u{feff}{}!\n"))).unwrap().templates, ["{}!"]);
        assert_eq!(Labels::read(&marked, None).unwrap().names(), ["cat", "dog"]);
        let latin = dir.path().join("latin");
        std::fs::write(&latin, b"chat\np\xe9lican\n").unwrap();
        let e = Labels::read(&latin, None).unwrap_err().to_string();
        assert!(e.ends_with("latin: line 2 is not UTF-8; save the file as UTF-8"), "{e}");
        let e = Labels::read(&at("t", "cat\ncat\n"), None).unwrap_err().to_string();
        assert!(e.contains("\"cat\" stands there twice"), "{e}");
        let e = Labels::read(&at("e", "\n"), None).unwrap_err().to_string();
        assert!(e.contains("expected one entry a line"), "{e}");
        let e = Labels::read(&good, Some(&at("m", "a photo\n"))).unwrap_err().to_string();
        assert!(e.contains("has no {} for the label"), "{e}");
    }
}
