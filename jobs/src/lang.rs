//! Which language a text is in, by its letters: of captions that do not say it themselves.

use whatlang::{Detector, Info, Lang, Script};

/// Bytes of a text that are looked at: more of it tells nothing new, and a text may be a book.
const ENOUGH: usize = 4096;
/// Chinese characters without any kana of which a language is told: Japanese sentences have kana, Japanese names often none.
const HAN: usize = 8;

/// Languages by the tags that records have (BCP 47).
const TAGS: [(Lang, &str); 70] = [
    (Lang::Epo, "eo"),
    (Lang::Eng, "en"),
    (Lang::Rus, "ru"),
    (Lang::Cmn, "zh"),
    (Lang::Spa, "es"),
    (Lang::Por, "pt"),
    (Lang::Ita, "it"),
    (Lang::Ben, "bn"),
    (Lang::Fra, "fr"),
    (Lang::Deu, "de"),
    (Lang::Ukr, "uk"),
    (Lang::Kat, "ka"),
    (Lang::Ara, "ar"),
    (Lang::Hin, "hi"),
    (Lang::Jpn, "ja"),
    (Lang::Heb, "he"),
    (Lang::Yid, "yi"),
    (Lang::Pol, "pl"),
    (Lang::Amh, "am"),
    (Lang::Jav, "jv"),
    (Lang::Kor, "ko"),
    (Lang::Nob, "nb"),
    (Lang::Dan, "da"),
    (Lang::Swe, "sv"),
    (Lang::Fin, "fi"),
    (Lang::Tur, "tr"),
    (Lang::Nld, "nl"),
    (Lang::Hun, "hu"),
    (Lang::Ces, "cs"),
    (Lang::Ell, "el"),
    (Lang::Bul, "bg"),
    (Lang::Bel, "be"),
    (Lang::Mar, "mr"),
    (Lang::Kan, "kn"),
    (Lang::Ron, "ro"),
    (Lang::Slv, "sl"),
    (Lang::Hrv, "hr"),
    (Lang::Srp, "sr"),
    (Lang::Mkd, "mk"),
    (Lang::Lit, "lt"),
    (Lang::Lav, "lv"),
    (Lang::Est, "et"),
    (Lang::Tam, "ta"),
    (Lang::Vie, "vi"),
    (Lang::Urd, "ur"),
    (Lang::Tha, "th"),
    (Lang::Guj, "gu"),
    (Lang::Uzb, "uz"),
    (Lang::Pan, "pa"),
    (Lang::Aze, "az"),
    (Lang::Ind, "id"),
    (Lang::Tel, "te"),
    (Lang::Pes, "fa"),
    (Lang::Mal, "ml"),
    (Lang::Ori, "or"),
    (Lang::Mya, "my"),
    (Lang::Nep, "ne"),
    (Lang::Sin, "si"),
    (Lang::Khm, "km"),
    (Lang::Tuk, "tk"),
    (Lang::Aka, "ak"),
    (Lang::Zul, "zu"),
    (Lang::Sna, "sn"),
    (Lang::Afr, "af"),
    (Lang::Lat, "la"),
    (Lang::Slk, "sk"),
    (Lang::Cat, "ca"),
    (Lang::Tgl, "tl"),
    (Lang::Hye, "hy"),
    (Lang::Cym, "cy"),
];

/// A language, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoken {
    /// Its tag: `en`.
    pub tag: &'static str,
    /// 0 to 1: how far the next language is behind it, for a text of this length.
    pub confidence: f64,
}

/// Tells the languages of texts by their scripts, alphabets and groups of three letters (`whatlang`). The same text always gives the same answer.
#[derive(Debug, Clone)]
pub struct LangDetector {
    detector: Detector,
    /// Empty: all.
    among: Vec<Lang>,
    /// What is less sure is unknown.
    min: f64,
}

impl Default for LangDetector {
    fn default() -> Self {
        Self { detector: Detector::new(), among: Vec::new(), min: Self::MIN }
    }
}

impl LangDetector {
    /// What is less sure than this is unknown, unless another bound is asked for.
    pub const MIN: f64 = 0.9;

    /// Only these languages may come up, by their tags (none: all seventy); what is less sure than `min` is unknown. Of a short text a few languages that
    /// are known to occur are told apart far better than seventy.
    ///
    /// # Errors
    /// A language that it does not know.
    pub fn new<S: AsRef<str>>(among: &[S], min: f64) -> Result<Self, String> {
        let known = |tag: &S| {
            let primary = tag.as_ref().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
            // Norwegian is told by its older tag, too.
            let primary = if primary == "no" { "nb" } else { &primary };
            TAGS.iter().find(|(_, tag)| *tag == primary).map(|(lang, _)| *lang).ok_or_else(|| {
                let mut tags: Vec<&str> = TAGS.iter().map(|(_, tag)| *tag).collect();
                tags.sort_unstable();
                format!("expected languages of {}, found {:?}", tags.join(", "), tag.as_ref())
            })
        };
        let among = among.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        let detector =
            if among.is_empty() { Detector::new() } else { Detector::with_allowlist(among.clone()) };
        Ok(Self { detector, among, min })
    }

    /// The language of a record's captions, taken together; `None`: it has none, or none is sure enough.
    pub fn of<S: AsRef<str>>(&self, texts: &[S]) -> Option<Spoken> {
        let mut text = String::new();
        for more in texts {
            let more = more.as_ref();
            let room = ENOUGH.saturating_sub(text.len());
            let end = (0..=room.min(more.len())).rev().find(|end| more.is_char_boundary(*end)).unwrap_or(0);
            text.push_str(&more[..end]);
            text.push('\n');
            if text.len() >= ENOUGH {
                break;
            }
        }
        let found = self.detector.detect(&text)?;
        let (tag, confidence) = (self.tag(&found)?, sure(&found, &text));
        (confidence >= self.min).then_some(Spoken { tag, confidence })
    }

    /// A script of one language is told whatever languages are asked for.
    fn tag(&self, found: &Info) -> Option<&'static str> {
        let lang = found.lang();
        let wanted = self.among.is_empty() || self.among.contains(&lang);
        TAGS.iter().find(|(known, _)| *known == lang).filter(|_| wanted).map(|(_, tag)| *tag)
    }
}

/// How sure a finding is: a few Chinese characters may be Chinese or Japanese.
fn sure(found: &Info, text: &str) -> f64 {
    let confidence = found.confidence().clamp(0.0, 1.0);
    if found.script() != Script::Mandarin || found.lang() != Lang::Cmn {
        return confidence;
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    confidence * (letters as f64 / HAN as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(text: &str) -> Option<&'static str> {
        LangDetector::default().of(&[text]).map(|spoken| spoken.tag)
    }

    #[test]
    fn sentences_are_told() {
        for (text, expected) in [
            ("A man is riding a bicycle down the street while people are watching him.", "en"),
            ("Ein Mann fährt mit dem Fahrrad die Straße hinunter, während die Leute zuschauen.", "de"),
            ("Un homme descend la rue à vélo pendant que des gens le regardent.", "fr"),
            ("Это большой зелёный автобус, который едет по улице мимо высоких домов.", "ru"),
            ("Чоловік їде на велосипеді вулицею, а люди дивляться на нього.", "uk"),
            ("一个男人骑着自行车在街上行驶，人们看着他。", "zh"),
            ("男性が自転車で通りを走り、人々がそれを見ています。", "ja"),
            ("한 남자가 자전거를 타고 거리를 달리고 있다.", "ko"),
            ("สุนัขตัวหนึ่งวิ่งบนชายหาด", "th"),
            ("Ένας σκύλος τρέχει στην παραλία.", "el"),
            ("رجل يركب دراجة في الشارع بينما ينظر إليه الناس.", "ar"),
        ] {
            assert_eq!(tag(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_sure_is_unknown() {
        for text in ["", "  ", "1234 !?", "😀", "ok", "taxi", "水", "東京都", "電車 2"] {
            assert_eq!(tag(text), None, "{text}");
        }
        // Kana are Japanese alone, however few they are.
        assert_eq!((tag("タクシー"), tag("すし")), (Some("ja"), Some("ja")));
        let all = LangDetector::new::<&str>(&[], 0.0).unwrap();
        let one = all.of(&["水"]).unwrap();
        assert_eq!(one, Spoken { tag: "zh", confidence: 0.125 });
    }

    #[test]
    fn a_few_languages_are_told_apart_better() {
        let few = LangDetector::new(&["en-GB", "de", "no"], LangDetector::MIN).unwrap();
        for (text, expected) in
            [("two people on the street with a red umbrella", "en"), ("Der Hund läuft am Strand", "de")]
        {
            assert_eq!((tag(text), few.of(&[text]).map(|s| s.tag)), (None, Some(expected)));
        }
        assert_eq!(few.of(&["ひらがな"]), None, "none of them");
        let said = LangDetector::new(&["en", "tlh"], 0.5).unwrap_err();
        assert!(said.starts_with("expected languages of af, ak, am,") && said.ends_with("\"tlh\""), "{said}");
    }

    #[test]
    fn captions_of_a_record_are_looked_at_together() {
        let captions = ["Ein Hund am Strand.", "Der Hund läuft über den Sand.", "Ein brauner Hund spielt."];
        assert_eq!(LangDetector::default().of(&captions).map(|s| s.tag), Some("de"));
        // A book costs no more than its beginning.
        let book = "the cat sat on the mat and looked at the dog ".repeat(200_000);
        assert_eq!(LangDetector::default().of(&[&book, "Der Hund"]).map(|s| s.tag), Some("en"));
    }

    #[test]
    fn tags_are_each_of_one_language() {
        let mut tags: Vec<&str> = TAGS.iter().map(|(_, tag)| *tag).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), Lang::all().len());
        assert!(Lang::all().iter().all(|lang| TAGS.iter().any(|(known, _)| known == lang)));
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer_and_always_the_same(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let all = LangDetector::new::<&str>(&[], 0.0).unwrap();
            let found = all.of(&texts);
            prop_assert_eq!(found, all.clone().of(&texts));
            prop_assert!(found.is_none_or(|spoken| (0.0..=1.0).contains(&spoken.confidence)));
        }
    }
}
