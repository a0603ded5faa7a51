//! Languages for people (`French`) and for browsers (`zh-Hant`).

/// English names of the languages that the sample data speak.
const NAMES: &[(&str, &str)] = &[
    ("af", "Afrikaans"),
    ("ar", "Arabic"),
    ("ast", "Asturian"),
    ("az", "Azerbaijani"),
    ("be", "Belarusian"),
    ("bg", "Bulgarian"),
    ("bn", "Bengali"),
    ("br", "Breton"),
    ("bs", "Bosnian"),
    ("ca", "Catalan"),
    ("cs", "Czech"),
    ("cy", "Welsh"),
    ("da", "Danish"),
    ("de", "German"),
    ("el", "Greek"),
    ("en", "English"),
    ("eo", "Esperanto"),
    ("es", "Spanish"),
    ("et", "Estonian"),
    ("eu", "Basque"),
    ("fa", "Persian"),
    ("fi", "Finnish"),
    ("fo", "Faroese"),
    ("fr", "French"),
    ("ga", "Irish"),
    ("gd", "Scottish Gaelic"),
    ("gl", "Galician"),
    ("gu", "Gujarati"),
    ("he", "Hebrew"),
    ("hi", "Hindi"),
    ("hr", "Croatian"),
    ("hu", "Hungarian"),
    ("hy", "Armenian"),
    ("id", "Indonesian"),
    ("is", "Icelandic"),
    ("it", "Italian"),
    ("ja", "Japanese"),
    ("ka", "Georgian"),
    ("km", "Khmer"),
    ("kn", "Kannada"),
    ("ko", "Korean"),
    ("ku", "Kurdish"),
    ("lt", "Lithuanian"),
    ("lv", "Latvian"),
    ("mk", "Macedonian"),
    ("ml", "Malayalam"),
    ("mr", "Marathi"),
    ("ms", "Malay"),
    ("nb", "Norwegian Bokmål"),
    ("nl", "Dutch"),
    ("nn", "Norwegian Nynorsk"),
    ("oc", "Occitan"),
    ("pa", "Punjabi"),
    ("pl", "Polish"),
    ("pt", "Portuguese"),
    ("pt_BR", "Brazilian Portuguese"),
    ("ro", "Romanian"),
    ("ru", "Russian"),
    ("sk", "Slovak"),
    ("sl", "Slovenian"),
    ("sq", "Albanian"),
    ("sr", "Serbian"),
    ("sv", "Swedish"),
    ("sw", "Swahili"),
    ("ta", "Tamil"),
    ("te", "Telugu"),
    ("th", "Thai"),
    ("tr", "Turkish"),
    ("uk", "Ukrainian"),
    ("vi", "Vietnamese"),
    ("zh", "Chinese"),
    ("zh_CN", "Chinese, simplified"),
    ("zh_TW", "Chinese, traditional"),
    ("zu", "Zulu"),
];

/// The language's English name, with its region's where that has its own; the code itself when unknown.
///
/// Reads POSIX (`pt_BR`, `sr@latin`) and BCP 47 (`pt-br`) spellings.
pub fn name(code: &str) -> &str {
    let spelled = code.replace('-', "_");
    let base = spelled.split(['_', '@', '.']).next().unwrap_or_default();
    let find = |wanted: &str| {
        NAMES.iter().find(|(code, _)| code.eq_ignore_ascii_case(wanted)).map(|&(_, name)| name)
    };
    find(&spelled).or_else(|| find(base)).unwrap_or(code)
}

/// The BCP 47 tag for `lang=`, which chooses the right Han glyphs, hyphenation and reading voice; `None` for anything
/// that is no tag.
pub(crate) fn tag(code: &str) -> Option<String> {
    let tag = match code.split_once('@') {
        Some((base, "latin")) => format!("{base}-Latn"),
        Some((base, "cyrillic")) => format!("{base}-Cyrl"),
        Some((base, _)) => base.to_owned(),
        None => code.to_owned(),
    };
    let tag = tag.replace('_', "-");
    let fine = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (tag.len() >= 2 && tag.split('-').all(fine)).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet() {
        assert_eq!(name("pt_BR"), "Brazilian Portuguese");
        assert_eq!(name("pt-br"), "Brazilian Portuguese");
        assert_eq!(name("fr_CA"), "French");
        assert_eq!(name("sr@latin"), "Serbian");
        assert_eq!(name("tlh"), "tlh");
        assert_eq!(name(""), "");
        assert_eq!(tag("zh_TW").as_deref(), Some("zh-TW"));
        assert_eq!(tag("sr@latin").as_deref(), Some("sr-Latn"));
        assert_eq!(tag("\" onload=x"), None);
        assert_eq!(tag(""), None);
    }
}
