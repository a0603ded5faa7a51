//! The made-up videos of `fixtures/timelines/cases.json`.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use unisono_media::video::{Ratio, Time};
use unisono_scenes::record::{
    Event, EventKind, FailureRecord, Moment, Scene, Scores, Shot, VideoRecord, VideoScenes,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    rate: Option<String>,
    #[serde(rename = "timecode")]
    _timecode: String,
    base: String,
    #[serde(default)]
    first: i64,
    #[serde(default)]
    step: i64,
    #[serde(default)]
    pts: Vec<i64>,
    #[serde(default)]
    variable: bool,
    shots: Vec<u64>,
    scenes: Vec<usize>,
    events: Vec<(EventKind, u64, u64)>,
    audio: bool,
    captions: Vec<Option<String>>,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/timelines")
}

pub fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(folder().join("cases.json")).unwrap()).unwrap()
}

impl Case {
    fn at(&self, frame: u64) -> Moment {
        let base: Ratio = self.base.parse().unwrap();
        let pts = self.pts.get(frame as usize).copied().unwrap_or(self.first + self.step * frame as i64);
        Moment { frame, time: Time { pts, base } }
    }

    pub fn video(&self) -> VideoScenes {
        let shot = |(index, pair): (usize, &[u64])| Shot {
            index,
            start: self.at(pair[0]),
            end: self.at(pair[1]),
            key: self.at((pair[0] + pair[1]) / 2),
        };
        let scene = |(index, pair): (usize, &[usize])| Scene {
            index,
            start: self.at(self.shots[pair[0]]),
            end: self.at(self.shots[pair[1]]),
            shots: (pair[0], pair[1]),
            key: self.at(self.shots[pair[0]]),
            thumbnail: None,
            labels: Default::default(),
            sounds: Vec::new(),
            caption: self.captions[index].clone(),
            transcript: Vec::new(),
            embedding: None,
        };
        let event = |&(kind, start, end): &(EventKind, u64, u64)| Event {
            kind,
            start: self.at(start),
            end: self.at(end),
            detector: "content".into(),
            score: 31.5,
        };
        VideoScenes {
            video: VideoRecord {
                path: format!("/films/My {} film.mp4", self.name).into(),
                size: (1280, 720),
                sizes: Vec::new(),
                rate: self.rate.as_ref().map(|r| r.parse().unwrap()),
                variable_rate: self.variable,
                start: self.at(0),
                end: self.at(self.shots.last().copied().unwrap_or(0)),
                audio: self.audio,
                failures: FailureRecord::default(),
                detector: "content".into(),
            },
            events: self.events.iter().map(event).collect(),
            shots: self.shots.windows(2).enumerate().map(shot).collect(),
            scenes: self.scenes.windows(2).enumerate().map(scene).collect(),
            scores: Scores::default(),
        }
    }
}
