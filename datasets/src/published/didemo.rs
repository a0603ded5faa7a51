//! DiDeMo (Hendricks et al. 2017), <https://github.com/LisaAnne/LocalizingMoments> (`data`): `train_data.json`, `val_data.json`, `test_data.json`:
//!
//! ```json
//! [{"annotation_id": 1, "description": "someone kicks the bug towards some rocks.", "video": "26292851@N04_4253489686_265c3c8051.m4v",
//!   "times": [[4, 4], [4, 4], [0, 0], [4, 4]], "num_segments": 6, "dl_link": "https://…"}]
//! ```
//!
//! A record is a moment: `times` are first and last segments of five seconds, a pair of each annotator; the most frequent pair counts, of equally frequent ones
//! the first. `[4, 4]` is the part from 20 s to 25 s; the last one may go on beyond the video's end. All pairs stay in `extra.times`. Ids are
//! `SPLIT/annotation_id`, a video's moments a group. The videos are Flickr's and not published with the files: they are looked for below the data set's folder under their names, with whatever ending; moments whose video
//! was not fetched are passed over and counted. The page names no licence of the annotations; the videos are under Creative Commons licences of their own.

use super::files::{Parsed, Published, name};
use super::json;
use super::media::{Fetched, stem, within};
use super::packed::Packing;
use crate::fields::Role;
use crate::{Error, Record, Result, Source};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_media::video::Span;

pub(super) const PUBLISHED: Published = Published {
    set: "DiDeMo",
    names: "train_data.json, val_data.json, test_data.json",
    folders: &["", "data"],
    is: |name| matches!(name, "train_data.json" | "val_data.json" | "test_data.json"),
    head: &["\"annotation_id\"", "\"times\""],
};

/// Seconds that a segment lasts.
const SEGMENT: u32 = 5;

#[derive(Deserialize)]
struct Moment {
    annotation_id: u64,
    description: String,
    video: String,
    times: Vec<[u32; 2]>,
    num_segments: u32,
}

impl Moment {
    /// The pair that most annotators chose.
    fn segments(&self) -> Parsed<[u32; 2]> {
        if let Some([first, last]) =
            self.times.iter().find(|[first, last]| first > last || *last >= self.num_segments)
        {
            let segments = self.num_segments;
            return Err(format!(
                "times: expected segments below num_segments ({segments}), found [{first}, {last}]"
            ));
        }
        let count = |pair: &[u32; 2]| self.times.iter().filter(|other| *other == pair).count();
        // Of equals `max_by_key` takes the last.
        let most = self.times.iter().rev().max_by_key(|pair| count(pair));
        most.copied().ok_or_else(|| "times: expected pairs of segments, found none".into())
    }
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let files = PUBLISHED.find(paths)?;
    let first = files.first().cloned().unwrap_or_default();
    let root = media.map_or_else(|| PUBLISHED.root(&first), Path::to_path_buf);
    let mut sets = Vec::new();
    for path in &files {
        let moments: Vec<Moment> =
            json::read(path, &json::BUDGET, "DiDeMo's form (a list of moments with \"times\")")?;
        sets.push((path, moments));
    }
    let fetched = Fetched::below(&root, Role::Video)?;
    let mut packing = Packing::new(&first, &root)?;
    let (mut count, mut missing) = (0_usize, 0_usize);
    for (path, set) in sets {
        let split = name(path).trim_end_matches("_data.json");
        for (i, moment) in set.into_iter().enumerate() {
            count += 1;
            let mut add = || -> Parsed<()> {
                let [first, last] = moment.segments()?;
                let video = within(&moment.video).map_err(|m| format!("video: {m}"))?;
                // Whoever converts a video puts another ending in place of its own or behind it.
                let Some(file) = fetched.find([stem(video), video]) else {
                    missing += 1;
                    return Ok(());
                };
                let at = |segment: u32| u64::from(segment) * u64::from(SEGMENT);
                let span = Span {
                    start: Some(at(first).to_string().parse()?),
                    end: Some((at(last) + u64::from(SEGMENT)).to_string().parse()?),
                };
                let times =
                    moment.times.iter().map(|pair| pair.to_vec().into()).collect::<Vec<serde_json::Value>>();
                packing.push(&Record {
                    id: format!("{split}/{}", moment.annotation_id),
                    text: vec![moment.description.clone()],
                    video: Some(file.into()),
                    span,
                    group: Some(stem(video).to_owned()),
                    split: Some(split.into()),
                    extra: [("times".to_owned(), times.into())].into_iter().collect(),
                    ..Record::default()
                })
            };
            let id = moment.annotation_id;
            add().map_err(|m| Error::archive(path, format!("[{i}] (annotation_id {id}): {m}")))?;
        }
    }
    let (path, root) = (first.display(), fetched.root().display());
    if missing > 0 {
        packing.note(format!(
            "{path}: {missing} of {count} moments passed over: their videos are not in {root}"
        ));
    }
    packing.source(&format!(
        "expected videos of its moments in {root}, found none of them: name their folder by media"
    ))
}
