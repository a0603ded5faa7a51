//! Renders a report of invented results, for working on the page itself without training anything:
//!
//! ```text
//! cargo run -p unisono-eval --example report_demo -- report.html [STAMPS]
//! ```
//!
//! `STAMPS` is a folder of Tux Paint stamps (`usr/share/tuxpaint/stamps` of the Debian package
//! `tuxpaint-stamps-default`); without it the page has no images and no audio files, and shows that it is whole without them.
//! The numbers are measured, by the real code, on random vectors.

use std::{error::Error, fs, path::Path};

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use unisono_eval::{
    metrics::RetrievalMetrics,
    report::{self, *},
    retrieval::{Embeddings, ranks},
    stats::{Bootstrap, Estimate},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: report_demo REPORT.html [STAMPS]")?;
    let stamps = match arguments.next() {
        Some(folder) => load_stamps(Path::new(&folder))?,
        None => Vec::new(),
    };
    let recall = vec![
        row("Held-out vendor", "text", "image", 1052, 3.3, None)?,
        row("Held-out vendor", "image", "text", 1052, 3.4, None)?,
        row("Unseen concepts", "text", "image", 186, 4.3, None)?,
        row("Unseen concepts", "image", "text", 186, 4.5, None)?,
        row("Held-out stamps, all languages", "audio", "text", 187, 5.0, Some(8.0))?,
        row("Held-out stamps, all languages", "audio", "image", 187, 5.4, Some(9.0))?,
    ];
    let data = ReportData {
        captions: Vec::new(),
        captioned: Vec::new(),
        header: header(),
        headlines: [(0, 1), (1, 1), (2, 10), (4, 10)]
            .map(|(at, k)| Headline::recall(&recall[at], k))
            .to_vec(),
        curves: Some(curves()),
        recall,
        searches: stamps.chunks_exact(6).take(8).enumerate().map(text_search).collect(),
        spoken: stamps.chunks_exact(6).skip(8).take(4).enumerate().filter_map(spoken_search).collect(),
        audio_to_text: stamps
            .chunks_exact(5)
            .skip(14)
            .take(4)
            .enumerate()
            .filter_map(audio_to_text)
            .collect(),
        mistakes: stamps.chunks_exact(2).skip(50).take(6).enumerate().map(mistake).collect(),
        time: Some(time()),
        notes: Some(notes()),
    };
    report::write(&out, &data)?;
    let sheet = SheetData {
        title: "a red double-decker bus".into(),
        facts: vec![Fact::new("Index", "stamps.idx"), Fact::new("Items", 950), Fact::new("Took", "3 ms")],
        searches: stamps
            .chunks_exact(12)
            .take(1)
            .map(|chunk| Search { rank: None, ..search(chunk, None) })
            .collect(),
    };
    report::write_text(Path::new(&out).with_extension("sheet.html"), &contact_sheet(&sheet))?;
    Ok(())
}

/// Measures a protocol on random vectors: `noise` is added to both members of each pair.
fn row(
    protocol: &str,
    from: &str,
    to: &str,
    items: usize,
    noise: f32,
    control: Option<f32>,
) -> Outcome<RecallRow> {
    let measure = |noise| -> Outcome<RetrievalMetrics> {
        let mut rng = ChaCha8Rng::seed_from_u64(items as u64 + from.len() as u64);
        let dim = 32;
        let mut side = |base: &[f32]| -> Vec<f32> {
            base.iter()
                .map(|v| v + noise * (0..4).map(|_| rng.random_range(-1.0..1.0f32)).sum::<f32>())
                .collect()
        };
        let base: Vec<f32> =
            ChaCha8Rng::seed_from_u64(7).random_iter().take(items * dim).map(|v: f32| v - 0.5).collect();
        let (left, right) = (side(&base), side(&base));
        let names: Vec<String> = (0..items).map(|item| item.to_string()).collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = ranks(&Embeddings::new(dim, &left)?, &keys, &Embeddings::new(dim, &right)?, &keys, None)?;
        Ok(RetrievalMetrics::new(from, to, &found, &keys, &Bootstrap::default())?)
    };
    Ok(RecallRow {
        protocol: protocol.into(),
        metrics: measure(noise * 0.1)?,
        control: control.map(|noise| measure(noise * 0.1)).transpose()?,
        language_control: None,
    })
}

fn header() -> Header {
    let set = |name: &str, counts: &[(&str, u64)], licence: &str| DataSet {
        name: name.into(),
        counts: counts.iter().map(|&(name, count)| (name.into(), count)).collect(),
        licence: licence.into(),
        source: None,
    };
    Header {
        title: "Text, images and speech in one space".into(),
        subtitle: Some(
            "Three encoders trained together from random weights on emoji and on spoken stamps. \
             An example page: the numbers come from random vectors."
                .into(),
        ),
        date: Some("1 March 2025".into()),
        facts: vec![
            Fact::new("Model", "quickstart"),
            Fact::new("Parameters", "3.4 million"),
            Fact::new("Space", "256 dimensions"),
            Fact::new("Machine", "2 cores, AVX-512, 8 GB"),
            Fact::new("Training", "4 min 41 s"),
            Fact::new("Whole run", "13 min 20 s"),
        ],
        data_sets: vec![
            set(
                "Emoji",
                &[("images", 8161), ("concepts", 1238), ("vendors", 8)],
                "Apache-2.0, CC BY 4.0, CC BY-SA 4.0, MIT",
            ),
            set("Stamps", &[("images", 950), ("recordings", 7390), ("languages", 60)], "GPL-2"),
        ],
        command: Some("cargo xtask quickstart".into()),
    }
}

fn curves() -> Curves {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut noise = move |size: f64| size * (rng.random::<f64>() - 0.5);
    let lr = |step: f64| {
        1e-3 * (step / 100.0).min(1.0) * (1.0 + (step / 1800.0 * std::f64::consts::PI).cos()) / 2.0
    };
    let train = (1..=360).map(|at| {
        let step = f64::from(at) * 5.0;
        let fall = |from: f64, to: f64, pace: f64| to + (from - to) * (-step / pace).exp();
        let pairs = [
            ("image–text", fall(4.9, 1.1, 420.0)),
            ("audio–text", fall(4.6, 2.2, 700.0)),
            ("audio–image", fall(4.6, 2.5, 800.0)),
        ];
        let pairs = pairs.map(|(name, loss)| (name.to_owned(), loss + noise(0.5)));
        let loss = pairs.iter().map(|p| p.1).sum::<f64>() / 3.0;
        TrainPoint {
            step: step as u64,
            loss,
            lr: Some(lr(step)),
            pairs: pairs.to_vec(),
            ..TrainPoint::default()
        }
    });
    let val = (1..=12u32).map(|at| {
        let grown = 1.0 - (-f64::from(at) / 4.0).exp();
        let recalls = [
            ("text → image R@1", 0.36, 0.001),
            ("image → text R@1", 0.33, 0.001),
            ("audio → text R@10", 0.3, 0.053),
        ];
        let recalls = recalls.map(|(name, top, chance)| {
            let value = top * grown;
            let half = 1.96 * (value * (1.0 - value) / 600.0).sqrt();
            let value = Estimate { value, low: value - half, high: value + half };
            RecallPoint { name: name.to_owned(), value, chance: Some(chance) }
        });
        ValPoint { step: u64::from(at) * 150, recalls: recalls.to_vec() }
    });
    let (train, val) = (train.collect(), val.collect());
    Curves { train, val, best_step: Some(1650) }
}

fn time() -> TimeSpent {
    let parts =
        |parts: &[(&str, f64)]| parts.iter().map(|&(name, seconds)| (name.to_owned(), seconds)).collect();
    TimeSpent {
        stages: parts(&[
            ("set-up", 118.0),
            ("build", 203.0),
            ("data", 96.0),
            ("train", 281.0),
            ("evaluate", 31.0),
            ("search and report", 9.0),
        ]),
        training: parts(&[
            ("forward", 84.0),
            ("backward", 148.0),
            ("optimizer", 11.0),
            ("data wait", 9.4),
            ("evaluation", 22.0),
        ]),
        throughput: Some(Throughput { reached: 171.0, machine: 292.0 }),
        verdict: Some("Both cores were busy: training waited for data 3 % of its time.".into()),
    }
}

fn notes() -> Notes {
    Notes {
        paragraphs: vec![
            "R@k is the share of queries with a right answer among the first k; several right answers count once. Ties count by expectation.".into(),
            "Intervals are 95 % percentile bootstrap over labels, 2,000 resamples. Chance is exact. The duration control predicts how long a caption takes to say and ranks captions by the difference to the clip's length.".into(),
            "No near-copy crosses a split: all images of a test concept, and all stamps that share a recording, stay on one side.".into(),
        ],
        commands: vec![
            "unisono data sample emoji --out data/emoji".into(),
            "unisono train recipes/quickstart.toml".into(),
            "unisono eval retrieval --model runs/quickstart/best --data data/emoji/manifest.jsonl --split test-vendor".into(),
        ],
        facts: vec![
            Fact::new("Seed", 0),
            Fact::new("Model hash", "9f2c1e77a0b84d15"),
            Fact::new("Manifest hash", "41d8a6b20c39f7e4"),
            Fact::new("libtorch", "2.11.0"),
        ],
    }
}

/// A stamp with its captions and one recording.
struct Stamp {
    id: String,
    image: Media,
    captions: Vec<(String, String)>,
    speech: Option<(String, Media)>,
}

const LANGUAGES: [&str; 10] = ["en", "fr", "ja", "ar", "ru", "el", "de", "zh_TW", "he", "hi"];

fn load_stamps(folder: &Path) -> Outcome<Vec<Stamp>> {
    let mut texts: Vec<_> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("txt") => texts.push(path),
                _ => {}
            }
        }
    }
    texts.sort();
    // A fixed shuffle, so that neighbours are no near-copies.
    texts.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let mut stamps = Vec::new();
    for text in texts {
        let Ok(bytes) = fs::read(text.with_extension("png")) else { continue };
        if bytes.len() > 40_000 {
            continue;
        }
        let content = fs::read_to_string(&text)?;
        let mut captions = vec![("en".to_owned(), content.lines().next().unwrap_or_default().to_owned())];
        let named = content.lines().filter_map(|line| line.split_once(".utf8="));
        captions.extend(named.map(|(lang, text)| (lang.to_owned(), text.to_owned())));
        let stem = text.with_extension("");
        let speech =
            ["fr", "ru", "el", "es", "ro", "bg"].iter().cycle().skip(stamps.len() % 6).take(6).find_map(
                |lang| {
                    fs::read(format!("{}_desc_{lang}.ogg", stem.display()))
                        .ok()
                        .map(|audio| (lang.to_string(), Media::new(audio)))
                },
            );
        let id = stem.strip_prefix(folder)?.display().to_string();
        stamps.push(Stamp { id, image: Media::new(bytes), captions, speech });
    }
    Ok(stamps)
}

impl Stamp {
    fn caption(&self, lang: &str) -> (String, String) {
        let found = self.captions.iter().find(|(l, _)| l == lang).or(self.captions.first());
        found.cloned().unwrap_or_default()
    }

    fn hit(&self, place: usize, right: Option<bool>) -> Hit {
        Hit {
            media: Some(self.image.clone()),
            text: Some(self.caption("en").1),
            lang: Some("en".into()),
            id: Some(self.id.clone()),
            score: Some(0.83 - 0.061 * place as f64),
            right,
        }
    }
}

/// Asks for the stamp at `right` of the chunk (the first when not told).
fn search(chunk: &[Stamp], right: Option<usize>) -> Search {
    let hits = chunk.iter().enumerate().map(|(at, stamp)| stamp.hit(at, right.map(|right| right == at)));
    let (lang, text) = chunk[right.unwrap_or(0)].caption("en");
    let rank = right.map(|right| right as f64 + 1.0);
    Search { query: Query::Text { text, lang: Some(lang) }, hits: hits.collect(), rank, gallery: Some(187) }
}

fn text_search((at, chunk): (usize, &[Stamp])) -> Search {
    let right = [0, 0, 2, 0, 1, 0, 4, 0][at % 8];
    let (lang, text) = chunk[right].caption(LANGUAGES[at % LANGUAGES.len()]);
    Search { query: Query::Text { text, lang: Some(lang) }, ..search(chunk, Some(right)) }
}

fn spoken(stamp: &Stamp) -> Option<Query> {
    let (lang, media) = stamp.speech.clone()?;
    let text = Some(stamp.caption(&lang).1);
    Some(Query::Audio { media, text, lang: Some(lang), seconds: Some(1.7) })
}

fn spoken_search((at, chunk): (usize, &[Stamp])) -> Option<Search> {
    let right = [0, 3, 1, 0][at % 4];
    Some(Search { query: spoken(&chunk[right])?, ..search(chunk, Some(right)) })
}

fn audio_to_text((at, chunk): (usize, &[Stamp])) -> Option<Search> {
    let right = [1, 0, 0, 2][at % 4];
    let query = spoken(&chunk[right])?;
    let lang = chunk[right].speech.as_ref().map(|(lang, _)| lang.clone())?;
    let mut search = search(chunk, Some(right));
    for (hit, stamp) in search.hits.iter_mut().zip(chunk) {
        let (lang, text) = stamp.caption(&lang);
        *hit = Hit { media: None, text: Some(text), lang: Some(lang), ..hit.clone() };
    }
    Some(Search { query, ..search })
}

fn mistake((at, pair): (usize, &[Stamp])) -> Mistake {
    let (lang, text) = pair[1].caption(LANGUAGES[(at + 1) % LANGUAGES.len()]);
    let query = match (at % 3, spoken(&pair[1])) {
        (2, Some(query)) => query,
        _ => Query::Text { text, lang: Some(lang) },
    };
    Mistake {
        query,
        found: pair[0].hit(1, Some(false)),
        right: pair[1].hit(8, Some(true)),
        rank: 187.0 - 9.0 * at as f64,
        gallery: Some(187),
    }
}
