//! CMX 3600 edit decision lists, which every editing program reads.

use super::Unit;
use super::edits::edits;
use super::text::safe;
use super::timecode::Timecode;
use crate::record::{EventKind, VideoScenes};
use std::fmt::Write;
use unisono_files::line;

/// Names of sources that mean something else: black, bars, an unnamed one.
const TAKEN: [&str; 4] = ["BL", "BLACK", "BARS", "AX"];

struct Line {
    unit: usize,
    from: i128,
    to: i128,
    dissolve: i128,
}

/// The pieces of a video as an edit decision list: source and record timecodes are the same and count from the first frame, at the
/// video's rate. Dissolves are `D` with their length; since both sides are the same file at the same place, making them again changes
/// no image. Fades and flashes are `* LOC:` lines. Pieces that the rate cannot tell apart (a changing rate) are left out.
pub fn edl(of: &VideoScenes, unit: Unit) -> String {
    let code = Timecode::of(&of.video);
    let (name, reel) = (line(&of.video.name(), 255), reel(&of.video.name()));
    let mut out = String::new();
    let fcm = if code.drops() { "DROP FRAME" } else { "NON-DROP FRAME" };
    let _ = writeln!(out, "TITLE: {}\nFCM: {fcm}\n", line(&of.video.name(), 70));
    let lines = lines(of, unit, &code);
    let mut marks =
        of.events.iter().filter(|e| matches!(e.kind, EventKind::Fade | EventKind::Flash)).peekable();
    for (at, edit) in lines.iter().enumerate() {
        let head = format!("{:03}  {reel:<8} V     ", at + 1);
        let [start, end] = [edit.from, edit.to].map(|frame| code.write(frame));
        if edit.dissolve > 0 {
            let _ = writeln!(out, "{head}C        {start} {start} {start} {start}");
            let _ = writeln!(out, "{head}D    {:03} {start} {end} {start} {end}", edit.dissolve);
            let _ = writeln!(out, "* FROM CLIP NAME: {name}\n* TO CLIP NAME: {name}");
        } else {
            let _ = writeln!(out, "{head}C        {start} {end} {start} {end}\n* FROM CLIP NAME: {name}");
        }
        let _ = writeln!(out, "* COMMENT: {} {}", unit.name().to_uppercase(), edit.unit + 1);
        while let Some(mark) = marks.next_if(|m| code.frame(m.start) < edit.to) {
            let colour = if mark.kind == EventKind::Fade { "MAGENTA" } else { "YELLOW" };
            let _ = writeln!(
                out,
                "* LOC: {} {colour:<7} {}",
                code.write(code.frame(mark.start)),
                mark.kind.name().to_uppercase()
            );
        }
        out.push('\n');
    }
    out
}

/// Pieces in whole frames: each begins where the one before ends, with the dissolve if there is one.
fn lines(of: &VideoScenes, unit: Unit, code: &Timecode) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    for edit in edits(of, unit) {
        let to = code.frame(edit.end);
        let mut line = Line { unit: edit.index, from: code.frame(edit.start), to, dissolve: 0 };
        if let Some(dissolve) = edit.dissolve {
            let (from, until) = (code.frame(dissolve.start), code.frame(dissolve.end));
            if out.last().is_some_and(|before| before.from < from) && until > from && until <= to {
                (line.from, line.dissolve) = (from, until - from);
            }
        }
        if line.to <= line.from {
            continue;
        }
        if let Some(before) = out.last_mut() {
            before.to = before.to.min(line.from);
        }
        out.push(line);
    }
    out
}

/// Eight characters that every system takes.
fn reel(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let reel = safe(stem, 8).to_uppercase().replace('-', "_");
    if TAKEN.contains(&reel.as_str()) { format!("{reel}_1") } else { reel }
}

#[cfg(test)]
mod tests {
    use super::reel;

    #[test]
    fn reels_are_safe() {
        let names = ["My film, part 1.mov", "bl.mp4", "映画.mkv", "-.mp4", "a.b.c", ""];
        assert_eq!(names.map(reel), ["MY_FILM", "BL_1", "VIDEO", "VIDEO", "A_B", "VIDEO"]);
    }
}
