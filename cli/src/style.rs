//! Marks, sizes and times as people read them.

use std::io::IsTerminal;
use std::time::Duration;

/// Whether stdout is a terminal that shows UTF-8: only then are marks and colours worth their bytes.
pub(crate) fn fancy() -> bool {
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && utf8 && !dumb
}

/// Whether colours are wanted besides (<https://no-color.org>).
pub(crate) fn coloured() -> bool {
    fancy() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `1.5 GB`, powers of ten as `df -H` and disk makers use.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} B"),
        _ if value < 9.95 => format!("{value:.1} {}", units[unit]),
        _ => format!("{value:.0} {}", units[unit]),
    }
}

/// `151,277,313`.
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// `0.8 s`, `2 min 05 s`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// At most `most` characters, the last one an ellipsis where something was cut.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `1 audio`, `2 audios`.
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `0:01:02.345`, to the nearest millisecond.
pub(crate) fn timecode(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let ms = (seconds.abs() * 1000.0).round() as u64;
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{sign}{}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timecodes() {
        assert_eq!(timecode(3661.0406), "1:01:01.041");
        assert_eq!((timecode(0.0), timecode(-59.9996)), ("0:00:00.000".into(), "-0:01:00.000".into()));
    }

    #[test]
    fn figures() {
        let sizes = [0, 999, 1000, 1_540_000, 999_400_000, 999_600_000, 71_000_000_000].map(bytes);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "1.5 MB", "999 MB", "1.0 GB", "71 GB"]);
        assert_eq!(
            [0.84, 59.99, 125.4].map(|s| clock(Duration::from_secs_f64(s))),
            ["0.8 s", "1 min 00 s", "2 min 05 s"]
        );
        assert_eq!((shorten("автобус", 4), shorten("bus", 3)), ("авт…".into(), "bus".into()));
        assert_eq!(
            (thousands(7), thousands(1234), thousands(151_277_313)),
            ("7".into(), "1,234".into(), "151,277,313".into())
        );
        assert_eq!((count(1, "item"), count(0, "item")), ("1 item".into(), "0 items".into()));
    }
}
