//! How people name the audio of YouTube's clips that they fetched: by the clip's id, with where it begins and ends.

use super::files::Parsed;
use super::media::Fetched;
use std::path::PathBuf;

/// The audio of a clip. `start` and `end` are seconds.
///
/// `Y` before the id is what the scripts of PANNs (<https://github.com/qiuqiangkong/audioset_tagging_cnn>) write, as an id may begin with a hyphen;
/// `ID_30` those of `aac-datasets`, `ID_30_40` and `ID_30-40` other downloaders', some in milliseconds or with decimals.
pub(super) fn find(fetched: &Fetched, id: &str, start: f64, end: f64) -> Option<PathBuf> {
    let ids = [id.to_owned(), format!("Y{id}")];
    // Of millions of clips most were not fetched: their names are not made up.
    ids.iter().filter(|id| fetched.any(id)).find_map(|id| fetched.find(names(id, start, end)))
}

/// Names without endings, the likeliest first.
fn names(id: &str, start: f64, end: f64) -> Vec<String> {
    let mut moments = Vec::new();
    if start.fract() == 0.0 && end.fract() == 0.0 {
        moments.push((start.to_string(), end.to_string()));
    }
    moments.push((format!("{start:?}"), format!("{end:?}")));
    moments.push((format!("{start:.3}"), format!("{end:.3}")));
    moments.push(((start * 1000.0).round().to_string(), (end * 1000.0).round().to_string()));
    let mut names = vec![id.to_owned()];
    for (start, end) in &moments {
        names.push(format!("{id}_{start}"));
        names.push(format!("{id}_{start}_{end}"));
        names.push(format!("{id}_{start}-{end}"));
    }
    names
}

/// An id of YouTube's, which is a name in a folder.
///
/// # Errors
/// It is none.
pub(super) fn id(text: &str) -> Parsed<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match text.len() == 11 && text.chars().all(word) {
        true => Ok(text),
        false => Err(format!(
            "expected a video's id on YouTube, 11 characters, found {}",
            crate::plain::quoted(text)
        )),
    }
}

/// Seconds from the beginning of a video.
///
/// # Errors
/// No number of them.
pub(super) fn seconds(column: &str, text: &str) -> Parsed<f64> {
    let seconds = text.trim().parse::<f64>().ok().filter(|s| (0.0..1e6).contains(s));
    seconds.ok_or_else(|| format!("{column}: expected seconds, found {}", crate::plain::quoted(text)))
}
