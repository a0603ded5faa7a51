//! Scenes of videos: what is found, in which files, and that a job that was stopped, split or repeated ends in the same bytes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "support/scenes_again.rs"]
mod again;
#[path = "support/scenes.rs"]
mod media;
#[path = "support/scenes_shared.rs"]
mod shared;
#[path = "support/scenes_streams.rs"]
mod streams;
mod support;

use media::{golden, video};
use std::fs;
use std::path::{Path, PathBuf};
use support::{TOWERS, model};
use tch::Device;
use unisono_jobs::scenes::write::{Output, read};
use unisono_jobs::scenes::{Models, SceneInput, SceneJob, SceneReport, Shard, list, scenes};
use unisono_jobs::{Embedder, Error, Flow, Index, Modality, Result, identity};
use unisono_media::video::Time;
use unisono_scenes::record::{EventKind, Moment, VideoScenes};
use unisono_scenes::settings::{DetectorName, SceneSettings};

/// A job on all videos, with every file but the page.
const FILES: [Output; 6] =
    [Output::Json, Output::Csv, Output::Scores, Output::Edl, Output::Otio, Output::Chapters];

fn job<'a>(out: &'a Path, settings: &'a SceneSettings) -> SceneJob<'a> {
    SceneJob {
        out,
        settings,
        outputs: &FILES,
        clips: None,
        rate: 25,
        workers: None,
        max_skip: 0,
        fresh: false,
        audio_track: None,
        ffmpeg: None,
        transnet: None,
        limits: Default::default(),
    }
}

fn listed(paths: &[PathBuf]) -> Vec<SceneInput> {
    let (sources, unlisted) = list(paths).unwrap();
    assert!(unlisted.is_empty());
    sources
}

fn run(job: &SceneJob, models: &Models, paths: &[PathBuf], shard: &str) -> Result<SceneReport> {
    scenes(job, models, &listed(paths), shard.parse().unwrap(), &mut |_| Flow::Continue)
}

/// With the default settings and no model.
fn plain(out: &Path, paths: &[PathBuf]) -> SceneReport {
    run(&job(out, &SceneSettings::default()), &Models::default(), paths, "1/1").unwrap()
}

fn one(report: &SceneReport) -> VideoScenes {
    assert_eq!(report.videos.len(), 1);
    read(&report.videos[0].folder).unwrap()
}

/// A model with these towers that embeds frames and audio files.
fn eyes(dir: &Path, towers: &[Modality], settings: &SceneSettings) -> Models {
    let place = dir.join(format!("model-{}", towers.len()));
    let made = model(7, towers);
    made.save(&place).unwrap();
    let mut models = Models::default();
    models.embed(Embedder::new(made), &place, identity(&place).unwrap(), &settings.labels).unwrap();
    models
}

/// Spans follow each other without a gap from the first frame to the end.
fn tiles(spans: &[(Moment, Moment)], of: &VideoScenes) {
    assert_eq!((spans[0].0, spans[spans.len() - 1].1), (of.video.start, of.video.end));
    assert!(spans.windows(2).all(|w| w[0].1 == w[1].0));
    assert!(spans.iter().all(|(a, b)| a.frame < b.frame && a.time < b.time));
}

#[test]
fn cuts_are_the_reference_s_and_nothing_is_invented() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SceneSettings { detectors: vec![DetectorName::Content], ..SceneSettings::default() };
    let golden = golden("golden.json");
    let names: Vec<&String> = golden["videos"].as_object().unwrap().keys().collect();
    let paths: Vec<PathBuf> = names.iter().map(|n| video(n)).collect();
    let report = run(&job(dir.path(), &settings), &Models::default(), &paths, "1/1").unwrap();
    assert_eq!((report.videos.len(), report.skipped.len()), (names.len(), 0));
    let mut count = 0;
    for (name, done) in names.into_iter().zip(&report.videos) {
        // Each cut: the index of the frame, and its number as the reference counts it.
        let cuts = golden["videos"][name]["cuts"]["content"].as_array().unwrap();
        let mut expected = vec![0];
        expected.extend(cuts.iter().map(|c| c[0].as_u64().unwrap()));
        let made = read(&done.folder).unwrap();
        let found: Vec<u64> = made.shots.iter().map(|s| s.start.frame).collect();
        assert_eq!(found, expected, "{name}");
        let frames = golden["videos"][name]["positions"].as_array().unwrap().len() as u64;
        assert_eq!((done.frames, made.video.end.frame), (frames, frames), "{name}");
        assert_eq!((done.shots, done.scenes, done.before), (expected.len(), expected.len(), false));
        tiles(&made.shots.iter().map(|s| (s.start, s.end)).collect::<Vec<_>>(), &made);
        for (scene, shot) in made.scenes.iter().zip(&made.shots) {
            assert_eq!((scene.start, scene.end, scene.key), (shot.start, shot.end, shot.key), "{name}");
            assert_eq!(scene.shots, (shot.index, shot.index + 1));
            assert!(shot.start.frame <= shot.key.frame && shot.key.frame < shot.end.frame);
            assert!(scene.labels.is_empty() && scene.sounds.is_empty() && scene.transcript.is_empty());
            assert!(scene.caption.is_none() && scene.embedding.is_none() && scene.thumbnail.is_none());
        }
        assert!(
            !done.folder.join("vectors.safetensors").exists() && !done.folder.join("thumbnails").exists()
        );
        count += made.scenes.len();
    }
    let gathered = report.gathered.unwrap();
    assert_eq!((gathered.count, gathered.index), (count, None));
    assert_eq!(fs::read_to_string(&gathered.scenes).unwrap().lines().count(), count);
    assert_eq!(media::names(dir.path()), ["scenes.jsonl", "videos"]);
}

#[test]
fn times_are_the_container_s_to_the_last_tick() {
    let dir = tempfile::tempdir().unwrap();
    let all = golden("times.json");
    let paths: Vec<PathBuf> = all.as_object().unwrap().keys().map(|n| video(n)).collect();
    let report = plain(dir.path(), &paths);
    for ((name, told), done) in all.as_object().unwrap().iter().zip(&report.videos) {
        let base = told["base"].as_str().unwrap().parse().unwrap();
        let pts = told["pts"].as_array().unwrap().iter();
        let times: Vec<Time> = pts.map(|p| Time { pts: p.as_i64().unwrap(), base }).collect();
        let made = read(&done.folder).unwrap();
        assert_eq!(made.video.end.frame, times.len() as u64, "{name}");
        let gaps = times.windows(2).map(|w| w[1].pts - w[0].pts);
        let lasts = made.video.end.time.seconds() - times[times.len() - 1].seconds();
        let longest = Time { pts: gaps.max().unwrap(), base }.seconds();
        assert!(lasts > 0.0 && lasts <= longest + 1e-9, "{name}: {lasts}");
        let is = |m: &Moment| {
            let expected = times.get(m.frame as usize).copied().unwrap_or(made.video.end.time);
            assert_eq!(m.time, expected, "{name}: frame {}", m.frame);
        };
        is(&made.video.start);
        made.shots.iter().for_each(|s| [s.start, s.end, s.key].iter().for_each(is));
        made.scenes.iter().for_each(|s| [s.start, s.end, s.key].iter().for_each(is));
        made.events.iter().for_each(|e| [e.start, e.end].iter().for_each(is));
        assert!(made.events.iter().any(|e| e.kind == EventKind::Cut), "{name}");
        let scores = fs::read_to_string(done.folder.join("scores.csv")).unwrap();
        let mut rows = scores.lines();
        assert!(rows.next().unwrap().starts_with("frame,timecode,seconds,exact,"), "{name}");
        let rows: Vec<Vec<&str>> = rows.map(|r| r.split(',').collect()).collect();
        assert_eq!(rows.len(), times.len(), "{name}");
        for (i, (row, time)) in rows.iter().zip(&times).enumerate() {
            assert_eq!((row[0], row[3]), (i.to_string().as_str(), time.to_string().as_str()), "{name}");
        }
    }
}

#[test]
fn a_model_labels_groups_and_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let (loud, silent) = (dir.path().join("loud.mkv"), video("late.mp4"));
    media::with_audio("cuts-23.976.mp4", None, &loud);
    let settings =
        SceneSettings::load(None, &["sample.every=0.3".into(), "group.similarity=1.1".into()]).unwrap();
    let models = eyes(dir.path(), &TOWERS, &settings);
    let out = dir.path().join("out");
    let report = run(&job(&out, &settings), &models, &[loud.clone(), silent.clone()], "1/1").unwrap();
    assert!(models.warnings().is_empty() && models.left_out(&settings.labels).is_empty());
    let mut rows = Vec::new();
    for done in &report.videos {
        let made = read(&done.folder).unwrap();
        assert!(made.scenes.len() > 2 && made.scenes.len() == made.shots.len());
        let hears = made.video.path == loud;
        assert_eq!(made.video.audio, hears);
        for (i, scene) in made.scenes.iter().enumerate() {
            assert_eq!(scene.embedding, Some(i));
            assert_eq!(scene.labels.keys().collect::<Vec<_>>(), ["actions", "moods", "objects", "places"]);
            assert_eq!(!scene.sounds.is_empty(), hears, "scene {i}");
            let heard = Some(&scene.sounds).filter(|s| !s.is_empty());
            for labels in scene.labels.values().chain(heard) {
                assert_eq!(labels.len(), 3);
                assert!(labels.iter().all(|l| (0.0..=1.0).contains(&l.probability)));
                assert!(labels.iter().map(|l| l.probability).sum::<f64>() <= 1.0 + 1e-6);
                assert!(labels.windows(2).all(|w| w[0].probability >= w[1].probability));
            }
            assert!(scene.caption.is_none() && scene.transcript.is_empty());
            let thumbnail = done.folder.join(scene.thumbnail.as_ref().unwrap());
            assert_eq!(&fs::read(&thumbnail).unwrap()[..2], b"\xff\xd8");
            rows.push((made.video.path.clone(), scene.start.time, scene.end.time));
        }
    }
    let gathered = report.gathered.unwrap();
    assert_eq!(gathered.count, rows.len());
    let index = Index::open(gathered.index.unwrap()).unwrap();
    assert_eq!((index.header().count, index.header().dim), (rows.len(), support::DIM));
    for (item, (path, start, end)) in index.items().zip(&rows) {
        assert_eq!(item.blob, Some(path.into()));
        assert_eq!((item.span.start, item.span.end), (Some(*start), Some(*end)));
    }
    let [segment] = index.segments() else { panic!("it was written at once") };
    for (i, row) in segment.vectors().chunks(support::DIM).enumerate() {
        let length: f32 = row.iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        let hits = index.search(row, 1, &index.searched(Modality::Text)).unwrap();
        let best = &segment.vectors()[hits[0].index * support::DIM..][..support::DIM];
        assert!(hits[0].index == i || best == row, "a scene finds itself");
    }
    // The index knows its model again.
    let embedder = Embedder::of_index(&index, None, Device::Cpu).unwrap();
    assert_eq!(embedder.texts(&["a red bus".to_owned()]).unwrap().dim, support::DIM);
    // Everything alike within any time is one scene.
    let settings =
        SceneSettings::load(None, &["group.similarity=-1".into(), "group.window=1e6".into()]).unwrap();
    let made = one(&run(&job(&dir.path().join("all"), &settings), &models, &[loud], "1/1").unwrap());
    assert_eq!((made.scenes.len(), made.scenes[0].shots), (1, (0, made.shots.len())));
    tiles(&[(made.scenes[0].start, made.scenes[0].end)], &made);
}

#[test]
fn what_a_model_cannot_do_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let loud = [dir.path().join("loud.mkv")];
    media::with_audio("cuts-23.976.mp4", None, &loud[0]);
    let settings = SceneSettings::default();
    // One that is deaf.
    let models = eyes(dir.path(), &[Modality::Text, Modality::Image], &settings);
    assert_eq!(models.left_out(&settings.labels), ["sounds"]);
    let made = one(&run(&job(&dir.path().join("deaf"), &settings), &models, &loud, "1/1").unwrap());
    assert!(made.scenes.iter().all(|s| s.sounds.is_empty() && s.labels.len() == 4 && s.embedding.is_some()));
    // One that is blind and has no words either: vectors of what is heard, no label.
    let models = eyes(dir.path(), &[Modality::Audio], &settings);
    assert_eq!(models.left_out(&settings.labels).len(), 5);
    let report = run(&job(&dir.path().join("blind"), &settings), &models, &loud, "1/1").unwrap();
    let made = one(&report);
    assert!(made.scenes.iter().all(|s| s.sounds.is_empty() && s.labels.is_empty() && s.embedding.is_some()));
    assert!(report.gathered.unwrap().index.is_some());
    // And a silent video with it: no vector at all, no index.
    let report =
        run(&job(&dir.path().join("nothing"), &settings), &models, &[video("late.mp4")], "1/1").unwrap();
    assert!(one(&report).scenes.iter().all(|s| s.embedding.is_none()));
    assert_eq!(report.gathered.unwrap().index, None);
    // One that does neither.
    let place = dir.path().join("reads");
    let made = model(7, &[Modality::Text]);
    made.save(&place).unwrap();
    let error =
        Models::default().embed(Embedder::new(made), &place, "x".into(), &settings.labels).unwrap_err();
    assert!(
        error.to_string().contains("expected a model with an image or audio tower, found: text"),
        "{error}"
    );
}

#[test]
fn labels_about_people_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let loud = [dir.path().join("loud.mkv")];
    media::with_audio("late.mp4", None, &loud[0]);
    let set = ["labels.sets=[\"emotions\", \"voices\"]".to_owned(), "labels.top=1000".to_owned()];
    let settings = SceneSettings::load(None, &set).unwrap();
    let models = eyes(dir.path(), &TOWERS, &settings);
    let warned: Vec<String> = models
        .warnings()
        .into_iter()
        .map(|(set, warning)| {
            assert!(!warning.is_empty());
            set
        })
        .collect();
    assert_eq!(warned, ["emotions", "voices"]);
    let made = one(&run(&job(&dir.path().join("out"), &settings), &models, &loud, "1/1").unwrap());
    for scene in &made.scenes {
        assert_eq!(scene.labels.keys().collect::<Vec<_>>(), ["emotions", "voices"]);
        assert!(scene.sounds.is_empty());
        for labels in scene.labels.values() {
            // All labels of a set: a distribution.
            let sum: f64 = labels.iter().map(|l| l.probability).sum();
            assert!(labels.len() >= 12 && (sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }
}

#[test]
fn captions_and_transcripts_need_their_models() {
    let dir = tempfile::tempdir().unwrap();
    let fusion = |name: &str| {
        unisono_fusion::import::load(&media::fixtures().join("fusion").join(name), Device::Cpu).unwrap().model
    };
    let spoken = [dir.path().join("spoken.mkv")];
    media::with_audio("cuts-23.976.mp4", Some(&media::fixtures().join("audio/speech.wav")), &spoken[0]);
    let settings = SceneSettings::default();
    let mut models = Models::default();
    let caption = fusion("blip-caption");
    let generation = caption.config().generation.clone();
    models.caption(caption, generation, "blip".into()).unwrap();
    let made = one(&run(&job(&dir.path().join("caption"), &settings), &models, &spoken, "1/1").unwrap());
    assert!(made.scenes.iter().all(|s| s.caption.as_ref().is_some_and(|c| !c.trim().is_empty())));
    assert!(
        made.scenes.iter().all(|s| s.transcript.is_empty() && s.labels.is_empty() && s.embedding.is_none())
    );

    let mut models = Models::default();
    let speech = fusion("whisper-speech");
    let mut options = unisono_fusion::speech::Transcription::new(speech.config().generation.clone());
    options.language = Some("de".into());
    models.transcribe(speech, options, "whisper".into()).unwrap();
    let made = one(&run(&job(&dir.path().join("speech"), &settings), &models, &spoken, "1/1").unwrap());
    assert!(made.scenes.iter().all(|s| s.caption.is_none() && s.labels.is_empty() && s.thumbnail.is_none()));
    let said: Vec<_> = made.scenes.iter().flat_map(|s| &s.transcript).collect();
    assert!(!said.is_empty() && said.iter().all(|s| s.end >= s.start && !s.text.is_empty()));
    assert!(said.windows(2).all(|w| w[0].start <= w[1].start), "each line once, in its scene");
    // Models that do something else.
    assert!(Models::default().caption(fusion("blip-match"), Default::default(), String::new()).is_err());
}
