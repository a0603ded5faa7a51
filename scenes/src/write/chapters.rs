//! Chapters for FFmpeg: `ffmpeg -i film.mkv -i chapters.ffmeta -map 0 -map_metadata 0 -map_chapters 1 -c copy out.mkv`.

use super::exact::Exact;
use crate::record::{Scene, VideoScenes};
use std::fmt::Write;
use unisono_files::line;
use unisono_media::video::{Time, gcd};

/// A scene a chapter in FFmpeg's metadata format, its title the caption, else the best label, else its number. Times are exact, as seen
/// from `origin`: where the file's clock starts, for FFmpeg makes that 0 when it copies. `None`: at the first frame.
pub fn chapters(of: &VideoScenes, origin: Option<Time>) -> String {
    let origin = Exact::of(origin.unwrap_or(of.video.start.time));
    let since = |scene: &Scene| [scene.start, scene.end].map(|m| Exact::of(m.time).minus(origin));
    let mut out = String::from(";FFMETADATA1\n");
    for scene in &of.scenes {
        let [start, end] = since(scene);
        // FFmpeg's fractions have 31 bits; millionths of a second where they do not suffice.
        let exact = start.den / gcd(start.den, end.den) * end.den;
        let base = if exact <= i128::from(i32::MAX) { exact } else { 1_000_000 };
        let [from, to] = [start, end].map(|time| time.times(base, 1).round());
        let _ = write!(out, "\n[CHAPTER]\nTIMEBASE=1/{base}\nSTART={from}\nEND={to}\n");
        let _ = writeln!(out, "title={}", escape(&title(scene)));
    }
    out
}

fn title(scene: &Scene) -> String {
    let said = |text: &String| Some(line(text, 200)).filter(|t| !t.is_empty());
    let label = || scene.labels.values().flatten().next().and_then(|l| said(&l.label));
    let number = format!("Scene {}", scene.index + 1);
    match scene.caption.as_ref().and_then(said).or_else(label) {
        Some(text) => format!("{number}: {text}"),
        None => number,
    }
}

/// Marks what would end the value or the line.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '=' | ';' | '#' | '\\' | '\n') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_has_a_meaning_is_marked() {
        assert_eq!(escape("a=b;c#d\\e\nf"), "a\\=b\\;c\\#d\\\\e\\\nf");
    }
}
