//! A run's report: its curves, its recalls on held-out data with controls, examples that nobody chose, and where time went.

use crate::recipe::ShowConfig;
use crate::setup::Manifests;
use crate::tracking::{self, Line};
use crate::{Error, Recipe, Result, Summary, checkpoint};
use image::{ImageFormat, RgbImage, imageops};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Cursor;
use std::path::Path;
use tch::Device;
use unisono_datasets::Record;
use unisono_encoders::{Modality, Model};
use unisono_eval::protocol::{Captions, Embedded, Item, Reading, Spoken, gather};
use unisono_eval::report::{
    CaptionCard, CaptionRow, Curves, DataSet, Fact, Header, Headline, Hit, Media, Mistake, Notes, Query,
    RecallRow, ReportData, Search, Throughput, TimeSpent, TrainPoint, ValPoint,
};
use unisono_eval::retrieval::{Embeddings, Retrieved, top};
use unisono_eval::stats::Bootstrap;
use unisono_files::Budget;
use unisono_fusion::FusionModel;
use unisono_media::{ImageOptions, MediaLimits, decode};

/// Items that are embedded at once.
const BATCH: usize = 256;
/// Longest edge of a picture in the page, in pixels.
const THUMBNAIL: u32 = 128;
/// Larger sounds are left out of the page, in bytes.
const LARGEST_SOUND: u64 = 4 << 20;
/// Items that are captioned at once.
const CAPTIONS: usize = 64;
/// Captions shown of a protocol.
const CARDS: usize = 6;
/// Results shown for a query.
const HITS: usize = 6;

/// What the caller knows and the run does not.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Stages before and after training with their wall seconds.
    pub stages: Vec<(String, f64)>,
    /// The day, as people write it.
    pub date: Option<String>,
    /// The command that made the run.
    pub command: Option<String>,
}

/// Measures the best checkpoint of `run` on the protocols of its recipe's `[report]` and gathers the page.
///
/// # Errors
/// No checkpoint, or data that cannot be read.
pub fn gather_report(run: &Path, context: &Context, tell: &mut dyn FnMut(String)) -> Result<ReportData> {
    let Some(progress) = checkpoint::progress(run)? else {
        return Err(Error::Run {
            path: run.into(),
            message: "holds no training; `unisono train RECIPE --out` makes one".into(),
        });
    };
    let recipe = recipe_of(run, progress.recipe)?;
    let summary: Summary = unisono_processors::read_json(&run.join("summary.json"))?;
    let model = Model::load(&checkpoint::model_dir(run), Device::Cpu)?;
    let limits = recipe.limits;
    let mut show = Show { model, limits, manifests: Manifests::default(), thumbnails: HashMap::new() };
    let lines = tracking::read(&run.join("metrics.jsonl"))?;

    let (mut recall, mut mistakes) = (Vec::new(), Vec::new());
    let mut spoken: BTreeMap<std::path::PathBuf, Spoken> = BTreeMap::new();
    for p in &recipe.report.protocol {
        tell(format!("measuring {}: {} to {}", p.name, p.from, p.to));
        let manifest = show.manifests.get(&p.manifest)?;
        let reading = Reading { limits: show.limits, ffmpeg: None };
        let task = p.task(&*manifest, &show.model, &reading)?;
        let found = task.run(&show.model, BATCH, &Bootstrap::default(), &mut Vec::new())?;
        let controls = if p.from == Modality::Audio || p.to == Modality::Audio {
            if !spoken.contains_key(&p.manifest) {
                let measured = Spoken::measure(&*manifest, "train", &show.limits)?;
                spoken.insert(p.manifest.clone(), measured);
            }
            found.duration_control(&spoken[&p.manifest], &Bootstrap::default())?
        } else {
            None
        };
        if mistakes.len() < HITS {
            mistakes.extend(show.mistakes(&found)?);
        }
        let (control, language_control) = controls.map(|c| (c.duration, c.with_language)).unzip();
        recall.push(RecallRow {
            protocol: p.name.clone(),
            metrics: found.metrics,
            control,
            language_control,
        });
    }
    mistakes.truncate(HITS);
    tell("searching".into());
    let (mut searches, mut sounds, mut captions) = (Vec::new(), Vec::new(), Vec::new());
    for c in &recipe.report.search {
        searches.extend(show.text_to_pictures(c)?);
    }
    for c in &recipe.report.spoken {
        let (pictures, texts) = show.spoken(c)?;
        sounds.extend(pictures);
        captions.extend(texts);
    }
    let (written, cards) = show.captions(run, tell)?;
    Ok(ReportData {
        captions: written,
        captioned: cards,
        header: header(&recipe, &summary, context, &mut show.manifests)?,
        headlines: headlines(&recall),
        curves: Some(curves(&lines, summary.best.map(|(_, step)| step))),
        recall,
        searches,
        spoken: sounds,
        sound_to_text: captions,
        mistakes,
        time: Some(time(&summary, context)),
        notes: Some(notes(&recipe, run)),
    })
}

/// The recipe as the run's directory has it: its `[report]` and `[limits]` may be edited after the training.
fn recipe_of(run: &Path, trained: Recipe) -> Result<Recipe> {
    let path = run.join("recipe.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let edited = Recipe::parse(&text, &path)?;
            Ok(Recipe { report: edited.report, limits: edited.limits, ..trained })
        }
        Err(_) => Ok(trained),
    }
}

/// A sound as the page carries it: its bytes; a large one is left out, and shows as a placeholder.
fn carried(path: &Path) -> Result<Media> {
    match unisono_files::read(path, &Budget { bytes: LARGEST_SOUND, ..Budget::CONFIG }) {
        Err(unisono_files::Error::Budget { .. }) => Ok(Media::new(Vec::new())),
        bytes => Ok(Media::new(bytes?)),
    }
}

/// The model, and what is shown of its items.
struct Show {
    model: Model,
    limits: MediaLimits,
    manifests: Manifests,
    thumbnails: HashMap<std::path::PathBuf, Media>,
}

impl Show {
    fn gather(&self, records: &[&Record], modality: Modality, langs: &[String]) -> Result<Embedded> {
        let side = gather(&self.model, records, modality, langs, Captions::First, &self.limits)?;
        Ok(side.embed(&self.model, BATCH, &mut Vec::new())?)
    }

    fn picture(&mut self, path: &Path) -> Result<Media> {
        if let Some(media) = self.thumbnails.get(path) {
            return Ok(media.clone());
        }
        let limits = self.limits.files();
        let options = ImageOptions { svg_size: THUMBNAIL, limits, ..ImageOptions::default() };
        let full = decode::image(path, &options)?;
        let (w, h) = full.dimensions();
        let scale = (f64::from(THUMBNAIL) / f64::from(w.max(h))).min(1.0);
        let to = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        let small: RgbImage = imageops::resize(&full, to(w), to(h), imageops::FilterType::Triangle);
        let mut bytes = Cursor::new(Vec::new());
        small
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|e| Error::io(path, std::io::Error::other(e)))?;
        let media = Media::new(bytes.into_inner());
        self.thumbnails.insert(path.to_owned(), media.clone());
        Ok(media)
    }

    fn hit(&mut self, item: &Item, score: f32, right: bool) -> Result<Hit> {
        let picture = item.path.as_deref().filter(|_| item.seconds.is_none());
        Ok(Hit {
            media: picture.map(|p| self.picture(p)).transpose()?,
            text: item.text.clone(),
            lang: item.text.as_ref().map(|_| item.lang.clone()),
            id: Some(item.id.clone()),
            score: Some(f64::from(score)),
            right: Some(right),
        })
    }

    fn query(&mut self, item: &Item, caption: Option<String>) -> Result<Query> {
        let lang = Some(item.lang.clone()).filter(|l| !l.is_empty());
        Ok(match (&item.text, &item.path) {
            (Some(text), _) => Query::Text { text: text.clone(), lang },
            (None, Some(path)) if item.seconds.is_some() => {
                let media = carried(path)?;
                Query::Sound { media, text: caption, lang, seconds: item.seconds }
            }
            (None, path) => Query::Picture {
                media: self.picture(path.as_deref().unwrap_or(Path::new("")))?,
                text: caption,
            },
        })
    }

    /// Captions by the run's own fusion part, or by that of the run `fusion` inside it.
    fn captions(
        &mut self,
        run: &Path,
        tell: &mut dyn FnMut(String),
    ) -> Result<(Vec<CaptionRow>, Vec<CaptionCard>)> {
        let inner = run.join("fusion");
        let fused = |run: &Path| unisono_fusion::files::has(&checkpoint::model_dir(run));
        let Some(run) = [run, &inner].into_iter().find(|r| fused(r)) else { return Ok(Default::default()) };
        let Some(progress) = checkpoint::progress(run)? else { return Ok(Default::default()) };
        let recipe = recipe_of(run, progress.recipe)?;
        let model = FusionModel::load(&checkpoint::model_dir(run), Device::Cpu)?;
        let options = model.config().generation.clone();
        let (mut rows, mut cards) = (Vec::new(), Vec::new());
        for p in &recipe.report.captions {
            tell(format!("captions {}", p.name));
            let manifest = self.manifests.get(&p.manifest)?;
            let reading = Reading { limits: recipe.limits, ffmpeg: None };
            let (task, mut skipped) = (p.task(&*manifest, &model, &reading)?, Vec::new());
            let (scores, mut captioned) = task.run(&model, &options, CAPTIONS, &mut skipped)?;
            let baselines = task.baselines(&*manifest, &model, BATCH, &mut skipped)?;
            rows.push(CaptionRow {
                protocol: p.name.clone(),
                model: scores,
                nearest: baselines.nearest,
                frequent: baselines.frequent,
            });
            captioned.sort_by_key(|c| (spread(&c.id), c.id.clone()));
            for c in captioned.into_iter().take(CARDS) {
                let path = c.path.clone().unwrap_or_default();
                let query = if p.from == Modality::Image {
                    Query::Picture { media: self.picture(&path)?, text: None }
                } else {
                    let media = carried(&path)?;
                    Query::Sound { media, text: None, lang: None, seconds: None }
                };
                let truth = c.references.first().cloned().unwrap_or_default();
                cards.push(CaptionCard { query, caption: c.caption, truth });
            }
        }
        Ok((rows, cards))
    }

    /// One search: `item` with its vector against a gallery; right is what shares its key (and language, when `lang` asks so).
    fn search(
        &mut self,
        item: &Item,
        vector: &[f32],
        caption: Option<String>,
        side: &Embedded,
        same_lang: bool,
    ) -> Result<Search> {
        let gallery = Embeddings::new(vector.len(), &side.vectors)?;
        let mut found = top(vector, &gallery, side.items.len())?;
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

    /// Captions in several languages of things that only held-out pictures show.
    fn text_to_pictures(&mut self, c: &ShowConfig) -> Result<Vec<Search>> {
        let manifest = self.manifests.get(&c.manifest)?;
        let held_out = manifest.split(&c.split);
        let gallery = self.gather(&held_out, Modality::Image, &[])?;
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
            let texts = self.gather(&[r], Modality::Text, &[])?;
            if let Some(item) = texts.items.first() {
                out.push(self.search(item, &texts.vectors, None, &gallery, false)?);
            }
        }
        Ok(out)
    }

    /// Recordings: what they find among pictures, and among captions of their language.
    fn spoken(&mut self, c: &ShowConfig) -> Result<(Vec<Search>, Vec<Search>)> {
        let manifest = self.manifests.get(&c.manifest)?;
        let held_out = manifest.split(&c.split);
        let pictures = self.gather(&held_out, Modality::Image, &[])?;
        let texts = self.gather(&held_out, Modality::Text, &c.langs)?;
        let (mut to_pictures, mut to_texts) = (Vec::new(), Vec::new());
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
            let sounds = self.gather(&[r], Modality::Audio, &[])?;
            let Some(item) = sounds.items.first() else { continue };
            let caption = r.text.first().cloned();
            let vector = &sounds.vectors[..sounds.dim];
            to_pictures.push(self.search(item, vector, caption.clone(), &pictures, false)?);
            to_texts.push(self.search(item, vector, caption, &texts, true)?);
        }
        Ok((to_pictures, to_texts))
    }

    /// The worst three of a protocol, one for a thing.
    fn mistakes(&mut self, found: &Retrieved) -> Result<Vec<Mistake>> {
        let mut worst: Vec<_> =
            found.ranks.queries.iter().filter(|q| q.rank > 1.0 && q.best_wrong.is_some()).collect();
        worst.sort_by(|a, b| b.rank.total_cmp(&a.rank).then(a.query.cmp(&b.query)));
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for q in worst {
            let item = &found.queries.items[q.query];
            if out.len() == 3 || !seen.insert(item.key.clone()) {
                continue;
            }
            let wrong = &found.gallery.items[q.best_wrong.unwrap_or(q.best_relevant)];
            let right = &found.gallery.items[q.best_relevant];
            let caption = right.text.clone();
            out.push(Mistake {
                query: self.query(item, caption)?,
                found: self.hit(wrong, q.wrong_score.unwrap_or(0.0), false)?,
                right: self.hit(right, q.relevant_score, true)?,
                rank: q.rank,
                gallery: Some(q.gallery),
            });
        }
        Ok(out)
    }
}

/// A stable spread of ids, so that examples are neither the first ones nor chosen.
fn spread(id: &str) -> u64 {
    id.bytes().fold(0x9e37_79b9_7f4a_7c15, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}

fn header(
    recipe: &Recipe,
    summary: &Summary,
    context: &Context,
    manifests: &mut Manifests,
) -> Result<Header> {
    let mut data_sets = Vec::new();
    for d in &recipe.report.data_set {
        let manifest = manifests.get(&d.manifest)?;
        let counts = manifest.splits().into_iter().map(|(split, n)| (split, n as u64)).collect();
        data_sets.push(DataSet {
            name: d.name.clone(),
            counts,
            licence: d.licence.clone(),
            source: Some(d.source.clone()),
        });
    }
    let minutes = |s: f64| format!("{} min {:02.0} s", (s / 60.0).floor(), s % 60.0);
    let facts = vec![
        Fact::new("Parameters", format!("{:.2} million", summary.parameters as f64 / 1e6)),
        Fact::new("Steps", summary.step),
        Fact::new("Samples", summary.samples),
        Fact::new("Training", minutes(summary.seconds)),
        Fact::new("Machine", format!("{}, {} threads", summary.device, summary.threads)),
        Fact::new("Seed", recipe.seed),
    ];
    let title = if recipe.report.title.is_empty() { "Unisono: a run" } else { &recipe.report.title };
    Ok(Header {
        title: title.to_owned(),
        subtitle: Some(
            "Text, pictures and speech in one embedding space: one checkpoint gave every number here.".into(),
        ),
        date: context.date.clone(),
        facts,
        data_sets,
        command: context.command.clone(),
    })
}

fn headlines(rows: &[RecallRow]) -> Vec<Headline> {
    rows.iter().take(4).map(|r| Headline::recall(r, if r.metrics.gallery > 500.0 { 5 } else { 10 })).collect()
}

fn curves(lines: &[Line], best_step: Option<u64>) -> Curves {
    let mut curves = Curves { train: Vec::new(), val: Vec::new(), best_step };
    for line in lines {
        match line {
            Line::Train(t) => curves.train.push(TrainPoint {
                step: t.step,
                loss: t.loss,
                lr: Some(t.lr),
                pairs: t.pairs.iter().map(|(k, v)| (k.replace('_', "–"), *v)).collect(),
            }),
            Line::Eval(e) => curves.val.push(ValPoint { step: e.step, recalls: recalls(e) }),
        }
    }
    curves
}

/// R@5 of the protocols that have it.
fn recalls(line: &tracking::EvalLine) -> Vec<(String, f64)> {
    let of = |(name, o): (&String, &unisono_eval::protocol::Outcome)| {
        Some((format!("{name} R@5"), o.value("r5")?))
    };
    line.outcomes.iter().filter_map(of).collect()
}

fn time(summary: &Summary, context: &Context) -> TimeSpent {
    let part = |name: &str| summary.parts.get(name).copied().unwrap_or(0.0);
    let in_loop: f64 = ["data_wait", "forward", "backward", "optimizer"].into_iter().map(part).sum();
    let wait = 100.0 * part("data_wait") / in_loop.max(1e-9);
    let verdict = if wait <= 10.0 {
        format!("The loop waited for data {wait:.1} % of its time: the arithmetic is the limit.")
    } else {
        format!(
            "The loop waited for data {wait:.1} % of its time: decoding is the limit; more workers or a larger cache help."
        )
    };
    let names = ["forward", "backward", "optimizer", "data_wait", "evaluate", "checkpoint", "start"];
    TimeSpent {
        stages: context.stages.clone(),
        training: names.into_iter().map(|n| (n.replace('_', " "), part(n))).collect(),
        throughput: Some(Throughput { reached: summary.gflops, machine: summary.machine_gflops }),
        verdict: Some(verdict),
    }
}

fn notes(recipe: &Recipe, run: &Path) -> Notes {
    let own = "Every protocol's items are held out: no near-copy of them was trained on. R@k is the share of queries whose first right answer is among the k nearest; \
               intervals are 95 % bootstrap intervals that resample things, not queries; chance is exact for the gallery's size.";
    let control = "The duration control never hears anything: it predicts a clip's length from a caption's and ranks by the difference. A speech result means something only beside it. \
                   The second control is also told the clip's language, and knows from the training clips how fast each is spoken.";
    let examples = "Searches and recordings shown were drawn by a hash of their ids, not chosen; the checkpoint is the one with the best mean R@5 on the validation protocols.";
    Notes {
        paragraphs: vec![own.into(), control.into(), examples.into()],
        commands: vec!["cargo xtask quickstart".into(), format!("unisono report --run {}", run.display())],
        facts: vec![Fact::new("Seed", recipe.seed), Fact::new("Recipe", run.join("recipe.toml").display())],
    }
}
