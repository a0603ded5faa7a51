//! OpenTimelineIO's JSON, which carries what an edit decision list cannot: exact ranges, markers, the file itself.

use super::Unit;
use super::edits::{Edit, edits};
use super::exact::Exact;
use super::text::url;
use super::timecode::Timecode;
use crate::record::{Event, EventKind, Moment, VideoScenes};
use serde_json::{Map, Value, json};
use unisono_files::line;

/// The pieces of a video as a timeline: one video track, and one of audio where there is audio. Times count from the first frame at the
/// video's rate; where that rate changes, in parts of a frame of the nearest rate, so that nothing is rounded. Events are markers; cuts
/// are so in scenes only, where they are not the pieces' edges. `Clip.1` and `Transition.1` are read by every version.
pub fn otio(of: &VideoScenes, unit: Unit) -> String {
    let write = Writer { of, unit, code: Timecode::of(&of.video) };
    let edits = edits(of, unit);
    let mut tracks = vec![write.track("Video", &edits, true)];
    if of.video.audio {
        tracks.push(write.track("Audio", &edits, false));
    }
    let markers: Vec<Value> = of
        .events
        .iter()
        .filter(|e| unit == Unit::Scenes || e.kind != EventKind::Cut)
        .map(|e| write.marker(e))
        .collect();
    let timeline = json!({
        "OTIO_SCHEMA": "Timeline.1",
        "name": line(&of.video.name(), 255),
        "global_start_time": null,
        "metadata": {"unisono": {"detector": of.video.detector, "variable_rate": of.video.variable_rate}},
        "tracks": {
            "OTIO_SCHEMA": "Stack.1", "name": "tracks", "metadata": {}, "source_range": null, "effects": [],
            "markers": markers,
            "children": tracks,
        },
    });
    format!("{timeline:#}\n")
}

struct Writer<'a> {
    of: &'a VideoScenes,
    unit: Unit,
    code: Timecode,
}

impl Writer<'_> {
    fn track(&self, kind: &str, edits: &[Edit], transitions: bool) -> Value {
        let mut children = Vec::with_capacity(edits.len());
        for edit in edits {
            if let Some(dissolve) = edit.dissolve.filter(|_| transitions) {
                children.push(json!({
                    "OTIO_SCHEMA": "Transition.1", "name": "dissolve", "metadata": {},
                    "transition_type": "SMPTE_Dissolve",
                    "in_offset": self.span(dissolve.start, edit.start),
                    "out_offset": self.span(edit.start, dissolve.end),
                }));
            }
            children.push(self.clip(edit));
        }
        json!({
            "OTIO_SCHEMA": "Track.1", "name": kind, "kind": kind, "metadata": {}, "source_range": null,
            "effects": [], "markers": [],
            "children": children,
        })
    }

    fn clip(&self, edit: &Edit) -> Value {
        let video = &self.of.video;
        let mut about = Map::new();
        about.insert("index".into(), json!(edit.index));
        about.insert("frames".into(), json!([edit.start.frame, edit.end.frame]));
        about.insert("seconds".into(), json!([edit.start.time.to_string(), edit.end.time.to_string()]));
        if let Some(scene) = self.of.scenes.get(edit.index).filter(|_| self.unit == Unit::Scenes) {
            let best = |labels: &Vec<crate::record::Label>| labels.first().map(|l| l.label.clone());
            let labels: Map<String, Value> =
                scene.labels.iter().filter_map(|(set, l)| Some((set.clone(), best(l)?.into()))).collect();
            if !labels.is_empty() {
                about.insert("labels".into(), labels.into());
            }
            if let Some(caption) = &scene.caption {
                about.insert("caption".into(), json!(caption));
            }
        }
        json!({
            "OTIO_SCHEMA": "Clip.1",
            "name": format!("{} {}", self.unit.name(), edit.index + 1),
            "metadata": {"unisono": about},
            "source_range": self.range(edit.start, edit.end),
            "effects": [], "markers": [],
            "media_reference": {
                "OTIO_SCHEMA": "ExternalReference.1", "name": line(&video.name(), 255), "metadata": {},
                "target_url": url(&video.path),
                "available_range": self.range(video.start, video.end),
            },
        })
    }

    fn marker(&self, event: &Event) -> Value {
        let colour = match event.kind {
            EventKind::Cut => "WHITE",
            EventKind::Dissolve => "BLUE",
            EventKind::Fade => "MAGENTA",
            EventKind::Flash => "YELLOW",
        };
        json!({
            "OTIO_SCHEMA": "Marker.2", "name": event.kind.name(), "color": colour,
            "metadata": {"unisono": {"detector": event.detector, "score": event.score}},
            "marked_range": self.range(event.start, event.end),
        })
    }

    fn range(&self, start: Moment, end: Moment) -> Value {
        json!({"OTIO_SCHEMA": "TimeRange.1", "start_time": self.time(self.at(start)), "duration": self.span(start, end)})
    }

    fn span(&self, start: Moment, end: Moment) -> Value {
        self.time(self.at(end).minus(self.at(start)))
    }

    /// Frames of the timeline's rate: whole ones, unless the video's own do not stand at whole ones.
    fn at(&self, moment: Moment) -> Exact {
        let exact = self.code.exact(moment);
        if self.of.video.variable_rate { exact } else { Exact::new(exact.round(), 1) }
    }

    fn time(&self, frames: Exact) -> Value {
        json!({"OTIO_SCHEMA": "RationalTime.1", "value": frames.value(), "rate": self.code.rate()})
    }
}
