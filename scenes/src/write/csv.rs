//! Tables for spreadsheets: RFC 4180 (commas, CR LF, quotes doubled), UTF-8 without a mark.

use super::exact::{Exact, clock, micros};
use crate::record::{Label, Moment, Scene, Scores, Shot, Spoken, VideoScenes};
use std::collections::BTreeSet;
use std::io::{Result, Write};
use unisono_files::clean;

/// `scenes.csv`: a row a scene. Label sets are two columns each, `label_SET` and `label_SET_probability`, of the best label.
pub(crate) fn scenes(of: &VideoScenes, out: &mut dyn Write) -> Result<()> {
    let sets: BTreeSet<&String> = of.scenes.iter().flat_map(|s| s.labels.keys()).collect();
    let mut head: Vec<String> = ["number", "first_shot", "last_shot"].map(String::from).to_vec();
    head.extend(span_names());
    for set in &sets {
        head.extend([text(&format!("label_{set}")), text(&format!("label_{set}_probability"))]);
    }
    head.extend(["sound", "sound_probability", "caption", "transcript"].map(String::from));
    row(out, &head)?;
    for scene in &of.scenes {
        let mut cells =
            vec![(scene.index + 1).to_string(), (scene.shots.0 + 1).to_string(), scene.shots.1.to_string()];
        cells.extend(span(scene.start, scene.end, scene.key));
        for set in &sets {
            cells.extend(best(scene.labels.get(*set).map_or(&[], Vec::as_slice)));
        }
        cells.extend(best(&scene.sounds));
        cells.extend([text(scene.caption.as_deref().unwrap_or_default()), text(&said(scene))]);
        row(out, &cells)?;
    }
    Ok(())
}

/// `shots.csv`: a row a shot, with the number of its scene.
pub(crate) fn shots(of: &VideoScenes, out: &mut dyn Write) -> Result<()> {
    let mut head = vec!["number".to_owned(), "scene".to_owned()];
    head.extend(span_names());
    row(out, &head)?;
    let scene = |shot: &Shot| of.scenes.iter().find(|s| (s.shots.0..s.shots.1).contains(&shot.index));
    for shot in &of.shots {
        let scene = scene(shot).map(|s| (s.index + 1).to_string()).unwrap_or_default();
        let mut cells = vec![(shot.index + 1).to_string(), scene];
        cells.extend(span(shot.start, shot.end, shot.key));
        row(out, &cells)?;
    }
    Ok(())
}

/// `scores.csv`: a row a frame, a column a score, empty where there is none.
pub(crate) fn scores(of: &Scores, first: u64, out: &mut dyn Write) -> Result<()> {
    let mut head = ["frame", "timecode", "seconds", "exact"].map(String::from).to_vec();
    head.extend(of.names.iter().map(|name| text(name)));
    row(out, &head)?;
    for ((count, time), values) in (0..).zip(&of.times).zip(&of.rows) {
        let frame = first.saturating_add(count);
        let mut cells =
            vec![frame.to_string(), clock(Exact::of(*time)), seconds(micros(*time)), time.to_string()];
        cells.extend(values.iter().map(|v| if v.is_finite() { v.to_string() } else { String::new() }));
        row(out, &cells)?;
    }
    Ok(())
}

fn span_names() -> impl Iterator<Item = String> {
    [
        "start_frame",
        "end_frame",
        "start_timecode",
        "end_timecode",
        "start_seconds",
        "end_seconds",
        "start_exact",
        "end_exact",
        "length_frames",
        "length_seconds",
        "key_frame",
        "key_timecode",
    ]
    .into_iter()
    .map(String::from)
}

fn span(start: Moment, end: Moment, key: Moment) -> [String; 12] {
    let length = Exact::of(end.time).minus(Exact::of(start.time));
    [
        start.frame.to_string(),
        end.frame.to_string(),
        clock(Exact::of(start.time)),
        clock(Exact::of(end.time)),
        seconds(micros(start.time)),
        seconds(micros(end.time)),
        start.time.to_string(),
        end.time.to_string(),
        end.frame.saturating_sub(start.frame).to_string(),
        seconds(length.value()),
        key.frame.to_string(),
        clock(Exact::of(key.time)),
    ]
}

fn seconds(value: f64) -> String {
    format!("{value:.6}")
}

fn best(labels: &[Label]) -> [String; 2] {
    let first = labels.first();
    let probability = first.filter(|l| l.probability.is_finite()).map(|l| format!("{:.4}", l.probability));
    [first.map(|l| text(&l.label)).unwrap_or_default(), probability.unwrap_or_default()]
}

/// What is said, a line a speaker's turn.
fn said(scene: &Scene) -> String {
    let mut out = String::new();
    let mut before: Option<&Spoken> = None;
    for spoken in &scene.transcript {
        let same = before.is_some_and(|b| b.speaker == spoken.speaker);
        if before.is_some() {
            out.push(if same { ' ' } else { '\n' });
        }
        if let Some(speaker) = spoken.speaker.as_ref().filter(|_| !same) {
            out += speaker;
            out += ": ";
        }
        out += spoken.text.trim();
        before = Some(spoken);
    }
    out
}

/// A stranger's text as a cell. Spreadsheets run what begins with one of these as a formula: an apostrophe before it makes it text.
fn text(value: &str) -> String {
    let value = clean(value);
    let formula = value.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || value.starts_with('\t');
    let value = if formula { format!("'{value}") } else { value.into_owned() };
    if value.contains([',', '"', '\n', '\r']) || value.starts_with(' ') || value.ends_with(' ') {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value
    }
}

fn row(out: &mut dyn Write, cells: &[String]) -> Result<()> {
    write!(out, "{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_and_quotes_are_doubled() {
        let cases = [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("  -2", "'  -2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=x", "'\t=x"),
            ("＝cmd", "'＝cmd"),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("two\r\nlines", "\"two\u{fffd}\nlines\""),
            ("", ""),
        ];
        for (value, cell) in cases {
            assert_eq!(text(value), cell);
        }
    }
}
