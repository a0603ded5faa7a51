//! Complaints of the decoder, by their words.

/// A complaint's words. What stands before the level are parts of FFmpeg; a stranger's text may hold another level's name.
pub(super) fn complaint(line: &str) -> Option<&str> {
    let levels = ["[info] ", "[warning] ", "[error] ", "[fatal] ", "[panic] "];
    let found = levels.iter().filter_map(|level| Some((line.find(level)?, *level)));
    let (at, level) = found.min_by_key(|(at, _)| *at)?;
    let bad = !["[info] ", "[warning] "].contains(&level);
    bad.then(|| &line[at + level.len()..])
}
