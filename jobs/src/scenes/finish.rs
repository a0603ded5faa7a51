//! From what was analysed to shots, scenes and their words.

use super::clips::cut_out;
use super::keep::{jpeg, shrunk};
use super::models::Models;
use super::shots::{ShotEmbedding, embed_shots, stands_for, unit};
use super::store::{CLIPS, THUMBNAILS};
use super::work::{Analysis, Kept};
use super::{SceneInput, SceneJob};
use crate::{Error, Flow, Result, Vectors};
use image::RgbImage;
use std::path::Path;

use unisono_media::video::{Ffmpeg, Time};
use unisono_scenes::group::{ShotView, group};
use unisono_scenes::labels::LabelInput;
use unisono_scenes::record::{Scene, Shot, VideoRecord, VideoScenes};
use unisono_scenes::shots::{Boundary, events, shots};
use unisono_scenes::write::{clip_name, uncuttable};

/// Columns of the network's probabilities.
const LEARNED: [&str; 2] = ["transnet", "transnet_within"];

/// Everything but the files; thumbnails and clips are written into `folder`. Besides, the scenes' vectors.
pub(super) fn finish(
    job: &SceneJob,
    models: &Models,
    source: &SceneInput,
    mut analysis: Analysis,
    vectors: Option<Vectors>,
    folder: &Path,
    (ffmpeg, go_on): (Option<&Ffmpeg>, &mut dyn FnMut() -> Flow),
) -> Result<(VideoScenes, Option<Vectors>)> {
    let times = std::mem::take(&mut analysis.times);
    let boundaries = boundaries(job, &mut analysis);
    let (events, starts) = events(&boundaries, &analysis.gradual, &times, &job.settings.shots);
    let mut shots = shots(&starts, &times);
    let rows: Vec<&[f32]> = vectors.as_ref().map(|v| v.rows().collect()).unwrap_or_default();
    let seen = embed_shots(models, &analysis, &shots, &rows)?;
    for (shot, seen) in shots.iter_mut().zip(&seen) {
        if let Some(kept) = stands_for(seen, &rows, shot, &analysis) {
            shot.key = times.at(analysis.kept[kept].frame);
        }
    }
    let views: Vec<ShotView> = shots
        .iter()
        .zip(&seen)
        .map(|(shot, seen)| ShotView {
            start: shot.start.time.seconds(),
            end: shot.end.time.seconds(),
            vector: seen.vector.as_deref(),
        })
        .collect();
    let ranges = group(&views, &job.settings.group);
    let spoken = match analysis.speech.take() {
        Some(heard) => models.write_down(&heard, folder, go_on)?,
        None => Vec::new(),
    };
    let mut scenes = Vec::with_capacity(ranges.len());
    let mut of_scenes = Vec::new();
    for (index, (a, b)) in ranges.into_iter().enumerate() {
        let (part, seen) = (&shots[a..b], &seen[a..b]);
        let weights: Vec<f64> =
            part.iter().map(|s| (s.end.time.seconds() - s.start.time.seconds()).max(1e-6)).collect();
        let mean = |of: fn(&ShotEmbedding) -> Option<&Vec<f32>>| {
            unit(seen.iter().map(of).zip(&weights).filter_map(|(v, w)| Some((v?.as_slice(), *w))))
        };
        let (image, audio) = (mean(|s| s.image.as_ref()), mean(|s| s.audio.as_ref()));
        let vector = mean(|s| s.vector.as_ref());
        // The shot most like the whole scene stands for it; without vectors the longest.
        let key = (0..part.len()).max_by(|x, y| {
            let like = |i: usize| match (&vector, &seen[i].vector) {
                (Some(scene), Some(shot)) => f64::from(crate::similarity(scene, shot)),
                _ => weights[i],
            };
            like(*x).total_cmp(&like(*y)).then(y.cmp(x))
        });
        let key = part[key.unwrap_or(0)].key;
        let (start, end) = (part[0].start, part[part.len() - 1].end);
        let mut scene = Scene {
            index,
            start,
            end,
            shots: (a, b),
            key,
            thumbnail: None,
            labels: Default::default(),
            sounds: Vec::new(),
            caption: None,
            transcript: Vec::new(),
            embedding: None,
        };
        let top = job.settings.labels.top;
        if let Some(image) = &image {
            scene.labels.extend(models.labels(LabelInput::Images, image, top));
        }
        if let Some(audio) = &audio {
            for (set, labels) in models.labels(LabelInput::Audio, audio, top) {
                if set == "sounds" { scene.sounds = labels } else { drop(scene.labels.insert(set, labels)) }
            }
        }
        if let Some(vector) = vector {
            scene.embedding = Some(of_scenes.len());
            of_scenes.push(vector);
        }
        let middle = |s: &unisono_scenes::record::Spoken| (s.start + s.end) / 2.0;
        let within = |s: &&unisono_scenes::record::Spoken| {
            let first = index == 0 || middle(s) >= start.time.seconds();
            // Words after the last frame are the last scene's.
            first && (middle(s) < end.time.seconds() || b == shots.len())
        };
        scene.transcript = spoken.iter().filter(within).cloned().collect();
        show(job, models, &mut analysis, &mut scene, part, (folder, go_on))?;
        scenes.push(scene);
    }
    let scores = scores(&mut analysis, &times);
    let video = record(job, source, &analysis, &times);
    let mut made = VideoScenes { video, events, shots, scenes, scores };
    clips(job, &mut made, folder, ffmpeg, &analysis)?;
    let dim = of_scenes.first().map(Vec::len);
    Ok((made, dim.map(|dim| Vectors { dim, data: of_scenes.concat() })))
}

/// What every detector says.
fn boundaries(job: &SceneJob, analysis: &mut Analysis) -> Vec<Boundary> {
    let mut boundaries = Vec::new();
    if let Some(found) = &analysis.found {
        for (cuts, settings) in found.cuts.iter().zip(job.settings.classical()) {
            let detector = settings.name().to_owned();
            boundaries.extend(cuts.iter().map(|cut| Boundary {
                frame: cut.frame,
                detector: detector.clone(),
                score: cut.score,
                span: cut.fade,
            }));
        }
    }
    let threshold = job.settings.transnet.threshold;
    let single: Vec<f32> = analysis.learned.iter().map(|p| p.0).collect();
    let scenes = unisono_transnet::scenes(&single, threshold);
    // The network marks the last frame before a cut, and the middle of what takes longer; how far that reaches its other output tells.
    let within = |i: usize| analysis.learned.get(i).is_some_and(|p| p.1 > threshold);
    for pair in scenes.windows(2) {
        let (first, after) = (pair[0][1], pair[1][0]);
        let score = single[first..after].iter().copied().fold(0.0, f32::max);
        let (mut from, mut to) = (first, after);
        while from > 0 && within(from - 1) {
            from -= 1;
        }
        while within(to) {
            to += 1;
        }
        boundaries.push(Boundary {
            frame: after as u64,
            detector: "transnet".into(),
            score: score.into(),
            span: Some((from as u64 + 1, to as u64)),
        });
    }
    boundaries
}

/// The thumbnail, and the caption of the frames that stand for the scene's shots.
fn show(
    job: &SceneJob,
    models: &Models,
    analysis: &mut Analysis,
    scene: &mut Scene,
    shots: &[Shot],
    (folder, go_on): (&Path, &mut dyn FnMut() -> Flow),
) -> Result<()> {
    if analysis.kept.is_empty() {
        return Ok(());
    }
    let path = folder.join(THUMBNAILS).join(format!("scene-{:04}.jpg", scene.index + 1));
    let image = kept_at(analysis, scene.key.frame)?;
    let side = job.settings.sample.thumbnail;
    let bytes = jpeg(shrunk(&image, side).as_ref().unwrap_or(&image));
    let bytes = bytes.map_err(|e| Error::Input(format!("a thumbnail as JPEG: {e}")))?;
    std::fs::create_dir_all(folder.join(THUMBNAILS)).map_err(Error::io(folder, "write"))?;
    std::fs::write(&path, bytes).map_err(Error::io(&path, "write"))?;
    scene.thumbnail = path.strip_prefix(folder).ok().map(Path::to_path_buf);
    if models.captions() {
        let mut frames = Vec::new();
        for i in models.caption_frames(shots.len()) {
            frames.extend(seen_at(analysis, shots[i].key.frame)?);
        }
        scene.caption = models.write_caption(frames, go_on)?;
    }
    Ok(())
}

/// What was kept of a frame, or else of the one nearest to it.
fn nearest(analysis: &Analysis, frame: u64) -> Result<Kept> {
    let nearest = analysis.kept.iter().min_by_key(|kept| kept.frame.abs_diff(frame)).copied();
    nearest.ok_or_else(|| Error::Input("no frame was kept".into()))
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::Input(format!("a frame that was kept cannot be read back: {why}"))
}

/// The image kept for people.
fn kept_at(analysis: &mut Analysis, frame: u64) -> Result<RgbImage> {
    let kept = nearest(analysis, frame)?;
    let bytes = analysis.read(kept.jpeg).map_err(broken)?;
    Ok(image::load_from_memory(&bytes).map_err(broken)?.into_rgb8())
}

/// The frame as the captioning model sees it.
fn seen_at(analysis: &mut Analysis, frame: u64) -> Result<Option<RgbImage>> {
    let Some((piece, (width, height))) = nearest(analysis, frame)?.seen else { return Ok(None) };
    let bytes = analysis.read(piece).map_err(broken)?;
    Ok(RgbImage::from_raw(width, height, bytes))
}

/// The detectors' scores with the network's beside them.
fn scores(analysis: &mut Analysis, times: &unisono_scenes::shots::Times) -> unisono_scenes::record::Scores {
    let mut scores = match analysis.found.take() {
        Some(found) => found.scores,
        None => unisono_scenes::record::Scores {
            names: Vec::new(),
            rows: vec![Vec::new(); times.frames.len()],
            times: times.frames.clone(),
        },
    };
    if !analysis.learned.is_empty() {
        scores.names.extend(LEARNED.map(str::to_owned));
        for (i, row) in scores.rows.iter_mut().enumerate() {
            let (single, within) = analysis.learned.get(i).copied().unwrap_or((f32::NAN, f32::NAN));
            row.extend([f64::from(single), f64::from(within)]);
        }
    }
    scores
}

fn record(
    job: &SceneJob,
    source: &SceneInput,
    analysis: &Analysis,
    times: &unisono_scenes::shots::Times,
) -> VideoRecord {
    let names: Vec<&str> = job.settings.detectors.iter().map(|d| d.name()).collect();
    VideoRecord {
        path: source.path().to_owned(),
        size: analysis.size,
        sizes: analysis.sizes.clone(),
        rate: analysis.rate,
        variable_rate: varies(&times.frames),
        start: times.at(0),
        end: times.at(times.count()),
        audio: analysis.audio,
        failures: analysis.failures.clone(),
        detector: names.join(" + "),
    }
}

/// Gaps between frames that differ by more than a tick (which rounding makes) and a twentieth of their mean.
fn varies(frames: &[Time]) -> bool {
    let gaps: Vec<i64> = frames.windows(2).map(|w| w[1].pts - w[0].pts).collect();
    let mean = gaps.iter().sum::<i64>() as f64 / gaps.len().max(1) as f64;
    gaps.iter().any(|g| (*g as f64 - mean).abs() > (mean / 20.0).max(1.0))
}

/// A file for each scene.
fn clips(
    job: &SceneJob,
    made: &mut VideoScenes,
    folder: &Path,
    ffmpeg: Option<&Ffmpeg>,
    analysis: &Analysis,
) -> Result<()> {
    let (Some(cut), Some(ffmpeg), Some(_)) = (&job.clips, ffmpeg, &analysis.video) else { return Ok(()) };
    if let Some(why) = uncuttable(&made.video, cut) {
        // Of all that is to be said, this is what was asked for and is not there.
        made.video.failures.count += 1;
        made.video.failures.first = Some(format!("no clips: {why}"));
        return Ok(());
    }
    let dir = folder.join(CLIPS);
    std::fs::create_dir_all(&dir).map_err(Error::io(&dir, "create"))?;
    for scene in &made.scenes {
        let out = dir.join(clip_name(&made.video, "scene", scene.index, "mp4"));
        cut_out(
            ffmpeg,
            &made.video,
            scene.start,
            scene.end,
            cut,
            &out,
            &job.limits.over(job.settings.limits),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_media::video::Ratio;

    #[test]
    fn rates_vary_when_more_than_rounding_does() {
        let frames = |gaps: &[i64]| {
            let mut pts = 0;
            let mut all = vec![Time { pts: 0, base: Ratio { num: 1, den: 1000 } }];
            for gap in gaps {
                pts += gap;
                all.push(Time { pts, base: Ratio { num: 1, den: 1000 } });
            }
            all
        };
        assert!(!varies(&frames(&[33, 34, 33, 33, 34])));
        assert!(varies(&frames(&[33, 33, 66, 33])));
        assert!(!varies(&frames(&[])) && !varies(&frames(&[40])));
    }
}
