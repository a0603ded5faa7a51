//! What a record must be to be kept, as far as it says so itself and its files' heads do.

use crate::LangDetector;
use crate::inspect::see::{Measure, measure};
use crate::named::{Kind, files};
use serde::Serialize;
use unisono_datasets::Record;

/// Conditions, each of what a record has: an image's are none of an audio file. `None`, empty: anything.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Least pixels of the shorter side of an image.
    pub min_side: Option<u32>,
    /// Most times that the longer side is the shorter one.
    pub max_aspect: Option<f64>,
    /// Least seconds of every audio file and video, or of the part that is meant.
    pub min_seconds: Option<f64>,
    /// Most seconds.
    pub max_seconds: Option<f64>,
    /// Least words of a caption; of several one must have them.
    pub min_words: Option<usize>,
    /// Most words, of the same caption.
    pub max_words: Option<usize>,
    /// Languages of records, as BCP 47 tags: `en` is `en-GB`, too.
    pub langs: Vec<String>,
    /// Finds the languages of records that name none, by their captions.
    pub detector: Option<LangDetector>,
}

/// What a record fell by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fell {
    /// It cannot be read, or a file of it, or its head does not say what was asked for.
    Unreadable,
    /// By [`Conditions::min_side`].
    MinSide,
    /// By [`Conditions::max_aspect`].
    MaxAspect,
    /// By [`Conditions::min_seconds`].
    MinSeconds,
    /// By [`Conditions::max_seconds`].
    MaxSeconds,
    /// By [`Conditions::min_words`] and [`Conditions::max_words`].
    Words,
    /// By [`Conditions::langs`].
    Lang,
    /// It is a copy of an earlier record.
    NearCopy,
    /// It has not both of a pair of modalities, or one could not be embedded.
    NoPair,
    /// Its pair is less similar than asked for.
    MinSimilarity,
    /// Its pair is not among the best.
    KeepBest,
}

impl Fell {
    /// Whether it had met what records and their files say, so that it was measured.
    pub(super) fn was_measured(self) -> bool {
        matches!(self, Self::NearCopy | Self::NoPair | Self::MinSimilarity | Self::KeepBest)
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "what cannot be read",
            Self::MinSide => "the shorter side",
            Self::MaxAspect => "the sides' ratio",
            Self::MinSeconds => "least seconds",
            Self::MaxSeconds => "most seconds",
            Self::Words => "words",
            Self::Lang => "language",
            Self::NearCopy => "copies",
            Self::NoPair => "no such pair",
            Self::MinSimilarity => "least similarity",
            Self::KeepBest => "the best alone",
        }
    }
}

/// What was measured of a record, where it was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Measured {
    /// The language of a record that names none, where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<&'static str>,
    /// How sure that is, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang_confidence: Option<f32>,
    /// Pixels of the image, as it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Of the longest audio file or video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Of the first caption that has as many as it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<u32>,
}

impl Conditions {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        let Self { min_side, max_aspect, min_seconds, max_seconds, min_words, max_words, langs, detector } =
            self;
        let sizes = min_side.is_none() && max_aspect.is_none();
        let lengths = min_seconds.is_none() && max_seconds.is_none();
        sizes
            && lengths
            && min_words.is_none()
            && max_words.is_none()
            && langs.is_empty()
            && detector.is_none()
    }

    /// Measures what is asked for, until the record falls.
    pub(super) fn judge(&self, record: &Record) -> Result<Measured, Fell> {
        let mut made = Measured::default();
        if let (Some(detector), None) = (&self.detector, &record.lang)
            && let Some(spoken) = detector.of(&record.text)
        {
            made.lang = Some(spoken.tag);
            made.lang_confidence = Some((spoken.confidence * 1000.0).round() as f32 / 1000.0);
        }
        if !self.langs.is_empty() {
            let speaks = |lang: &str| self.langs.iter().any(|wanted| covers(wanted, lang));
            record.lang.as_deref().or(made.lang).filter(|lang| speaks(lang)).ok_or(Fell::Lang)?;
        }
        if (self.min_words.is_some() || self.max_words.is_some()) && !record.text.is_empty() {
            let fits = |n: &usize| {
                self.min_words.is_none_or(|least| *n >= least) && self.max_words.is_none_or(|most| *n <= most)
            };
            let words = record.text.iter().map(|text| text.split_whitespace().count()).find(fits);
            made.words = Some(words.ok_or(Fell::Words)? as u32);
        }
        let (sides, time) = (
            self.min_side.is_some() || self.max_aspect.is_some(),
            self.min_seconds.is_some() || self.max_seconds.is_some(),
        );
        for (kind, blob, span) in files(record) {
            match kind {
                Kind::Image if sides => match measure(kind, blob, span) {
                    Measure::Size(width, height) => self.size(width, height, &mut made)?,
                    _ => return Err(Fell::Unreadable),
                },
                Kind::Audio | Kind::Video if time => match measure(kind, blob, span) {
                    Measure::Seconds(seconds) => self.length(seconds, &mut made)?,
                    _ => return Err(Fell::Unreadable),
                },
                _ => {}
            }
        }
        Ok(made)
    }

    fn size(&self, width: u32, height: u32, made: &mut Measured) -> Result<(), Fell> {
        let (short, long) = (width.min(height), width.max(height));
        if self.min_side.is_some_and(|least| short < least) {
            return Err(Fell::MinSide);
        }
        if self.max_aspect.is_some_and(|most| f64::from(long) > most * f64::from(short)) {
            return Err(Fell::MaxAspect);
        }
        (made.width, made.height) = (Some(width), Some(height));
        Ok(())
    }

    fn length(&self, seconds: f64, made: &mut Measured) -> Result<(), Fell> {
        if self.min_seconds.is_some_and(|least| seconds < least) {
            return Err(Fell::MinSeconds);
        }
        if self.max_seconds.is_some_and(|most| seconds > most) {
            return Err(Fell::MaxSeconds);
        }
        made.seconds = Some(made.seconds.map_or(seconds, |before| before.max(seconds)));
        Ok(())
    }
}

/// Whether a language is the wanted one, or a kind of it.
fn covers(wanted: &str, lang: &str) -> bool {
    let (wanted, lang) = (wanted.to_ascii_lowercase(), lang.to_ascii_lowercase());
    lang.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_and_words() {
        assert!(covers("en", "en-GB") && covers("zh-CN", "zh-cn") && covers("en", "en"));
        assert!(!covers("en", "eng") && !covers("en-GB", "en") && !covers("e", "en"));
        let record = |lang: Option<&str>, text: &[&str]| Record {
            lang: lang.map(str::to_owned),
            text: text.iter().map(|t| (*t).to_owned()).collect(),
            ..Record::default()
        };
        let words = Conditions { min_words: Some(2), max_words: Some(3), ..Conditions::default() };
        let of = |text: &[&str]| words.judge(&record(None, text)).map(|made| made.words);
        assert_eq!(of(&["one", "one two three four", " one  two three "]), Ok(Some(3)));
        assert_eq!(of(&["one", "one two three four"]), Err(Fell::Words));
        // Of what has no caption nothing is asked.
        assert_eq!(of(&[]), Ok(None));
        let langs = Conditions { langs: vec!["de".into(), "en".into()], ..Conditions::default() };
        let of = |lang| langs.judge(&record(lang, &["a"])).err();
        assert_eq!([of(Some("de-AT")), of(Some("fr")), of(None)], [None, Some(Fell::Lang), Some(Fell::Lang)]);
        // What a record does not say is found in its captions; what it says stands.
        let found = Conditions { detector: Some(LangDetector::default()), ..langs };
        let german = "Ein Mann fährt mit dem Fahrrad die Straße hinunter.";
        let of = |lang, text| found.judge(&record(lang, &[text])).map(|made| made.lang);
        assert_eq!(
            (of(None, german), of(Some("de"), "taxi"), of(None, "taxi")),
            (Ok(Some("de")), Ok(None), Err(Fell::Lang))
        );
        assert_eq!(of(Some("fr"), german), Err(Fell::Lang));
    }

    #[test]
    fn sizes_and_lengths() {
        let asked = Conditions {
            min_side: Some(100),
            max_aspect: Some(2.0),
            min_seconds: Some(1.0),
            max_seconds: Some(9.0),
            ..Conditions::default()
        };
        let mut made = Measured::default();
        assert_eq!(asked.size(99, 150, &mut made), Err(Fell::MinSide));
        assert_eq!(asked.size(301, 150, &mut made), Err(Fell::MaxAspect));
        assert_eq!((asked.size(150, 300, &mut made), made.height), (Ok(()), Some(300)));
        assert_eq!(asked.length(0.9, &mut made), Err(Fell::MinSeconds));
        assert_eq!(asked.length(9.1, &mut made), Err(Fell::MaxSeconds));
        assert_eq!((asked.length(9.0, &mut made), asked.length(1.0, &mut made)), (Ok(()), Ok(())));
        assert_eq!(made.seconds, Some(9.0));
    }
}
