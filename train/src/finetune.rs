//! The recipe of `unisono finetune`: a checkpoint, some pairs, safe values, and a line that says why for each.

use crate::recipe::Recipe;
use crate::{Error, Result, folder};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use unisono_datasets::{Key, Source, SourceConfig};
use unisono_encoders::config::{AudioConfig, ImageConfig, TransformerConfig};
use unisono_encoders::{Modality, Model};
use unisono_files::Lock;

/// The recipe's file in the run's folder.
pub const RECIPE: &str = "finetune.toml";
/// Which record is of which split, where the data do not say it.
pub const SPLITS: &str = "splits.jsonl";
/// The same of the data whose ability is watched.
pub const CANARY: &str = "canary.jsonl";

/// Largest batch that is chosen.
const MOST: usize = 128;
/// A batch that is chosen is a quarter of the records at most: an epoch of a single step learns next to nothing, and draws the same negatives each time.
const SHARE: usize = 4;
/// The batch where nobody knows how much memory there is.
const USUAL: usize = 32;

/// A split of a source.
#[derive(Debug, Clone)]
pub struct Split {
    /// The source.
    pub source: SourceConfig,
    /// The split's name.
    pub name: String,
}

/// What a fine-tuning is told.
#[derive(Debug, Clone)]
pub struct Finetune {
    /// The model's folder.
    pub model: PathBuf,
    /// The run's folder, for the recipe's head.
    pub out: PathBuf,
    /// What is learned.
    pub train: Split,
    /// What is held out of the same.
    pub held: Split,
    /// An ability of the model that is watched besides.
    pub canary: Option<Split>,
    /// How often each record is seen.
    pub epochs: u64,
    /// Records of a batch; absent: as many as memory allows, up to 128 and to a quarter of the records.
    pub batch: Option<usize>,
    /// Peak learning rate.
    pub lr: f64,
}

/// The run's folder, taken for what is written there before the training.
///
/// # Errors
/// Another training writes there, or it holds something else than a run.
pub fn claim(run: &Path) -> Result<Lock> {
    folder::claim(run)
}

/// What some records of a source have.
fn has(source: &dyn Source, split: &str) -> (usize, BTreeSet<Modality>) {
    let keys: Vec<Key> =
        (0..source.len()).map(|i| source.key(i)).filter(|k| k.split == Some(split)).collect();
    let all = Modality::ALL.into_iter().filter(|m| {
        keys.iter().any(|key| match m {
            Modality::Text => key.text,
            Modality::Image => key.image,
            Modality::Audio => key.audio,
            Modality::Video => key.video,
        })
    });
    (keys.len(), all.collect())
}

/// The pairs of modalities that the model embeds and that some records have, those of texts first.
fn pairs(model: &Model, there: &BTreeSet<Modality>) -> Vec<(Modality, Modality)> {
    let both: Vec<Modality> = model.embeds().into_iter().filter(|m| there.contains(m)).collect();
    let pairs = both.iter().enumerate().flat_map(|(i, a)| both[i + 1..].iter().map(|b| (*a, *b)));
    // Images and videos go through one tower.
    pairs.filter(|pair| *pair != (Modality::Image, Modality::Video)).collect()
}

impl Finetune {
    /// The recipe's text, complete and commented. `train` is the source of what is learned, `watched` that of the ability besides; `available`:
    /// bytes of memory.
    ///
    /// # Errors
    /// Data and a model that have no pair of modalities in common, or none held out.
    pub fn recipe(
        &self,
        model: &Model,
        train: &dyn Source,
        watched: Option<&dyn Source>,
        available: Option<u64>,
    ) -> Result<String> {
        let ((records, there), (held, _)) = (has(train, &self.train.name), has(train, &self.held.name));
        let learned = pairs(model, &there);
        if learned.is_empty() {
            let names = |all: Vec<Modality>| all.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
            let (data, embeds) = (names(there.into_iter().collect()), names(model.embeds()));
            return Err(Error::setting(
                "data",
                format!(
                    "expected records with two modalities that the model embeds ({embeds}); split {:?} has: {data}",
                    self.train.name
                ),
            ));
        }
        let used: BTreeSet<Modality> = learned.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let fits = || batch(model, &used, available).min(records / SHARE);
        let batch = self.batch.unwrap_or_else(fits).min(records).max(2);
        let each = records.div_ceil(batch) as u64;
        let steps = (self.epochs * each).max(1);
        let mut text = format!(
            "# {model} learns {data}: written by `unisono finetune`, and followed by it.\n#\n#     unisono train {out}/{RECIPE} --out {out}\n#\n\
             # {records} records are learned from, {held} are held out. Every value may be changed; --resume and --fresh take this file as it is.\n\n",
            model = self.model.display(),
            data = self.train.source.name(),
            out = self.out.display(),
        );
        let mut line = |key: &str, value: String, why: &str| {
            // No memory is no error of writing.
            let _ = writeln!(
                text,
                "{:<38}{}",
                format!("{key} = {value}"),
                if why.is_empty() { String::new() } else { format!("# {why}") }
            );
        };
        line("seed", "1".into(), "every random number is a function of it");
        line("steps", steps.to_string(), &format!("{} times all records", self.epochs));
        line("evaluate_every", each.to_string(), "steps: once for all records");
        line(
            "best",
            quoted("held-out-*.r5"),
            "RUN/best is the checkpoint that finds the most held-out records",
        );
        line("init", quoted(&self.model.display().to_string()), "what is known already");
        text += &self.adapter(model, &used);
        let (warmup, lr) = ((steps / 10).clamp(1, 200), self.lr);
        text += &format!(
            "\n# Small steps, slowly begun: what was learned before is not shaken.\n[optimizer]\nlr = {lr:e}\nwarmup = {warmup}\n\
             weight_decay = 0.0\nclip = 1.0\n\n[[data]]\nname = \"train\"\nsource = {source}\nsplit = {split}\nper_batch = {batch}{says}\n\
             caption = {{ rule = \"random\" }}\n\n[[objective]]\nkind = {kind}\n\n[checkpoint]\nevery = {each}\n",
            source = inline(&self.train.source)?,
            split = quoted(&self.train.name),
            says = match self.batch {
                Some(_) => "",
                None => " # what half of the free memory takes, a quarter of the records at most",
            },
            kind = quoted(if model.config().logit_bias { "sigmoid" } else { "contrastive" }),
        );
        text += "\n# What the checkpoint finds of these is measured before the first step, too; where it loses more than the tolerance, in points, a line says so.\n\
                 [canary]\nevaluate = [\"*\"]\ntolerance = 2.0\n";
        for (a, b) in &learned {
            text += &protocol("held-out", &self.held, (*a, *b))?;
        }
        if let (Some(canary), Some(source)) = (&self.canary, watched) {
            for pair in pairs(model, &has(source, &canary.name).1) {
                text += &protocol("canary", canary, pair)?;
            }
        }
        // A recipe that cannot be read would be a mistake of this file.
        Recipe::parse(&text, Path::new(RECIPE)).map(|_| text)
    }

    /// Adapters where blocks are, and of towers without any what leads to the shared space.
    fn adapter(&self, model: &Model, used: &BTreeSet<Modality>) -> String {
        let below =
            |m: &Modality, name: &str| name.strip_prefix(m.name()).is_some_and(|rest| rest.starts_with('.'));
        let adapts = |m: &Modality| model.adaptable().iter().any(|of| below(m, &of.layer));
        let layers: Vec<String> = used
            .iter()
            .filter(|m| adapts(m))
            .flat_map(|m| [format!("\"{m}.*attention.*\""), format!("\"{m}.*mlp.*\"")])
            .collect();
        let mut text = String::new();
        if !layers.is_empty() {
            text += &format!(
                "\n# The weights stay what they are; narrow matrices beside them learn (LoRA). RUN/best has them as files of peft, too.\n[adapter]\n\
                 kind = \"lora\"\nrank = 8\nalpha = 16\ndropout = 0.05\nmatch = [{}]\n",
                layers.join(", ")
            );
        }
        // Videos are seen by the image tower.
        for m in used.iter().filter(|m| **m != Modality::Video && !adapts(m)) {
            let leads =
                model.params().iter().any(|(name, _)| below(m, name) && name.contains(".projection."));
            let what = if leads { format!("{m}.projection.*") } else { format!("{m}.*") };
            text += &format!("\n# This tower has no blocks to adapt.\n[[group]]\nmatch = \"{what}\"\n");
            if layers.is_empty() && leads {
                text += &format!("\n[[group]]\nmatch = \"{m}.*\"\nfreeze = true\n");
            }
        }
        text
    }
}

/// A retrieval protocol in each direction.
fn protocol(name: &str, split: &Split, (a, b): (Modality, Modality)) -> Result<String> {
    let source = inline(&split.source)?;
    let split = quoted(&split.name);
    let one = |from: Modality, to: Modality| {
        format!(
            "\n[[evaluate]]\nkind = \"retrieval\"\nname = \"{name}-{from}-{to}\"\nsource = {source}\nsplit = {split}\nfrom = \"{from}\"\nto = \"{to}\"\n"
        )
    };
    Ok(one(a, b) + &one(b, a))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn inline(source: &SourceConfig) -> Result<String> {
    let value = toml::Value::try_from(source).map_err(|e| Error::setting("data", e.to_string()))?;
    Ok(value.to_string())
}

/// The largest power of two whose activations fill a half of what is available, at most 128.
fn batch(model: &Model, used: &BTreeSet<Modality>, available: Option<u64>) -> usize {
    let Some(available) = available else { return USUAL };
    let each: f64 = used.iter().map(|m| activations(model, *m)).sum();
    let fit = (0.5 * available as f64 / each.max(1.0)) as usize;
    let mut batch = 2;
    while batch * 2 <= fit.min(MOST) {
        batch *= 2;
    }
    batch
}

/// Bytes that an input's activations take until the backward pass, about.
fn activations(model: &Model, modality: Modality) -> f64 {
    // What a block keeps of a token: norms, queries, keys, values, the attention's and the feed-forward part's, with their adapters.
    let blocks = |t: &TransformerConfig, tokens: i64| {
        (tokens * t.depth * t.width) as f64 * 4.0 * (14.0 + 3.0 * t.mlp_ratio)
    };
    let config = model.config();
    // Of convolutions nothing is kept but where they are trained; about as much as their arithmetic over 8.
    let other = |flops: f64| flops / 8.0;
    match modality {
        Modality::Text => {
            config.text.as_ref().map_or(0.0, |c| blocks(&c.transformer, c.context_length.min(128)))
        }
        Modality::Image | Modality::Video => match &config.image {
            Some(ImageConfig::Transformer(c)) => {
                let [h, w] = c.stem.grid(c.size.sides);
                let frames = if modality == Modality::Video { model.frames() as f64 } else { 1.0 };
                frames * blocks(&c.transformer, c.prefix + h * w)
            }
            Some(c) => other(c.flops(c.size().sides, config.embed_dim)),
            None => 0.0,
        },
        Modality::Audio => match &config.audio {
            Some(AudioConfig::Transformer(c)) => {
                let [t, bands] = c.stem.grid([c.max_frames, c.mels]);
                blocks(&c.transformer, if c.grid { t * bands } else { t })
            }
            Some(c) => other(c.flops(c.most()[0], config.embed_dim)),
            None => 0.0,
        },
    }
}

/// Bytes of memory that are free or can be freed; `None` where the system does not say.
pub fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn model() -> Model {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sentences/clip-now");
        Model::load(&dir, Device::Cpu).unwrap()
    }

    #[test]
    fn a_batch_fills_half_of_the_memory() {
        let (model, used) = (model(), [Modality::Text, Modality::Image].into());
        let each = activations(&model, Modality::Text) + activations(&model, Modality::Image);
        // 40 and 5 tokens of 16 numbers in one block each.
        assert_eq!(each, 45.0 * 16.0 * 4.0 * (14.0 + 4.5));
        assert_eq!(batch(&model, &used, None), USUAL);
        for (fits, chosen) in [(0.5, 2), (9.0, 8), (16.0, 16), (1e6, MOST)] {
            assert_eq!(batch(&model, &used, Some((2.0 * fits * each) as u64 + 1)), chosen, "{fits}");
        }
    }

    #[test]
    fn a_batch_is_a_quarter_of_few_records_unless_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.jsonl");
        let said = |records: usize, batch: Option<usize>| {
            let line = |i: usize, split: &str| {
                format!(
                    "{{\"id\":\"{split}{i}\",\"text\":\"a\",\"image\":\"{i}.png\",\"split\":\"{split}\"}}\n"
                )
            };
            let lines = (0..records).map(|i| line(i, "train")).chain((0..2).map(|i| line(i, "val")));
            std::fs::write(&path, lines.collect::<String>()).unwrap();
            let split = |name: &str| Split { source: SourceConfig::new(path.clone()), name: name.into() };
            let asked = Finetune {
                model: "model".into(),
                out: "run".into(),
                train: split("train"),
                held: split("val"),
                canary: None,
                epochs: 3,
                batch,
                lr: 1e-4,
            };
            let source = unisono_datasets::open(&asked.train.source).unwrap();
            let text = asked.recipe(&model(), &*source, None, Some(u64::MAX)).unwrap();
            let recipe = Recipe::parse(&text, Path::new(RECIPE)).unwrap();
            (recipe.data[0].per_batch.unwrap(), recipe.steps, text.contains("a quarter of the records"))
        };
        assert_eq!(said(22, None), (5, 15, true));
        // Two are the fewest that can be told apart.
        assert_eq!(said(6, None), (2, 9, true));
        assert_eq!(said(600, None), (MOST, 15, true));
        assert_eq!(said(22, Some(16)), (16, 6, false));
        assert_eq!(said(22, Some(64)), (22, 3, false));
    }

    #[test]
    fn modalities_are_paired_once() {
        use Modality::{Audio, Image, Text, Video};
        let model = model();
        assert_eq!(pairs(&model, &[Text, Image, Audio].into()), [(Text, Image)]);
        assert_eq!(pairs(&model, &[Text, Image, Video].into()), [(Text, Image), (Text, Video)]);
        assert!(pairs(&model, &[Text, Audio].into()).is_empty());
    }
}
