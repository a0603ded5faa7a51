//! Numbers for people.

/// A count with thousands parted: `1,234,567`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 shot`, `2,000 shots`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count as u64), if count == 1 { one } else { many })
}

/// Up to four significant digits, thousands parted; a dash for what is no number.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() >= 1e6 || value.abs() < 1e-3 {
        return exponent(value);
    }
    let digits = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let (whole, rest) = text.find('.').map_or((text, ""), |dot| text.split_at(dot));
    // The guard above leaves at most seven digits.
    let parted = whole.parse().map_or_else(|_| whole.to_owned(), thousands);
    format!("{sign}{parted}{rest}")
}

/// With an exponent: `3e-4`.
pub fn exponent(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}").replace(".0e", "e") }
}

/// Three significant digits of `value`.
pub fn three_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10f64.powi(value.abs().log10().floor() as i32 - 2);
    let rounded = (value / unit).round() * unit;
    if rounded.is_finite() { rounded } else { value }
}

/// A rank: whole but for ties and for the middle of an even number.
pub fn rank(rank: f64) -> String {
    if !rank.is_finite() {
        return "–".to_owned();
    }
    if (rank - rank.round()).abs() < 0.05 { thousands(rank.round() as u64) } else { format!("{rank:.1}") }
}

/// How long something took: `0.8 s`, `42.0 s`, `3 min 05 s`, `2 h 10 min`; a dash for what is no number.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    // Told apart by what would be written: 59.96 s are a minute.
    if seconds < 59.95 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let whole = seconds.round() as u64;
    match whole {
        0..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A place in time: `5:07`, `1:15:00`, with `tenths` `0:00.5`; nothing for what is no number.
pub fn clock(seconds: f64, tenths: bool) -> String {
    if !seconds.is_finite() {
        return String::new();
    }
    let all = if tenths { (seconds.abs() * 10.0).round() } else { seconds.abs().round() * 10.0 } as u64;
    let (sign, whole) = (if seconds < 0.0 && all > 0 { "−" } else { "" }, all / 10);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let part = if tenths { format!(".{}", all % 10) } else { String::new() };
    if hours > 0 {
        format!("{sign}{hours}:{minutes:02}:{seconds:02}{part}")
    } else {
        format!("{sign}{minutes}:{seconds:02}{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn thousands_are_parted() {
        let written = [0, 12, 999, 1000, 12_345, 1_234_567].map(thousands);
        assert_eq!(written, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(
            (counted(1, "shot", "shots"), counted(2000, "shot", "shots")),
            ("1 shot".into(), "2,000 shots".into())
        );
    }

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.25, "0.25"),
            (12.5, "12.5"),
            (-1234.5, "−1,234"),
            (123_456.0, "123,456"),
            (999_999.9, "1,000,000"),
            (3e-4, "3e-4"),
            (2.5e7, "2.5e7"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(plain(value), text);
        }
        assert_eq!([1.0, 4.5, 1234.0, 2.01, 2.99, f64::NAN].map(rank), ["1", "4.5", "1,234", "2", "3", "–"]);
        assert_eq!([0.0, 12.345, -0.012_345, 99.96].map(three_digits), [0.0, 12.3, -0.0123, 100.0]);
    }

    #[test]
    fn times_read_well() {
        let written = [0.84, 9.4, 42.0, 59.94, 59.96, 185.0, 7800.0, 86_399.0, -1.0, f64::NAN].map(duration);
        let expected = [
            "0.8 s",
            "9.4 s",
            "42.0 s",
            "59.9 s",
            "1 min 00 s",
            "3 min 05 s",
            "2 h 10 min",
            "23 h 59 min",
            "0.0 s",
            "–",
        ];
        assert_eq!(written, expected);
        let written = [0.0, 307.4, 4500.0, -61.0, -0.2, 359_999.0, f64::INFINITY].map(|s| clock(s, false));
        assert_eq!(written, ["0:00", "5:07", "1:15:00", "−1:01", "0:00", "99:59:59", ""]);
        assert_eq!([0.5, 59.96, -0.5].map(|s| clock(s, true)), ["0:00.5", "1:00.0", "−0:00.5"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_the_number(value in -1e9..1e9f64) {
            let back: f64 = plain(value).replace(',', "").replace('−', "-").parse().unwrap();
            // Two digits with an exponent, four without.
            prop_assert!((back - value).abs() <= 0.051 * value.abs(), "{value} {back}");
            let three = three_digits(value);
            prop_assert!((three - value).abs() <= 0.005_01 * value.abs(), "{value} {three}");
        }
    }
}
