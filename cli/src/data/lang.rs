//! Languages of records that name none.

use crate::error::Error;
use unisono_jobs::LangDetector;

/// How they are found.
#[derive(clap::Args, Debug)]
pub(super) struct LangArgs {
    /// Find the language of records that name none, by the letters of their captions; of these languages alone where they are given, as --detect-lang=en,de: then a few words are enough
    #[arg(long, value_name = "TAG,…", num_args = 0.., require_equals = true, value_delimiter = ',')]
    detect_lang: Option<Vec<String>>,
    /// With --detect-lang: a language that is less sure is unknown, 0 to 1 [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "detect_lang")]
    lang_confidence: Option<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|n| (0.0..=1.0).contains(n));
    found.ok_or_else(|| "expected a number from 0 to 1".into())
}

impl LangArgs {
    /// What finds them, where that is asked for.
    pub(super) fn get(&self) -> Result<Option<LangDetector>, Error> {
        let Some(among) = &self.detect_lang else { return Ok(None) };
        let detector = LangDetector::new(among, self.lang_confidence.unwrap_or(LangDetector::MIN));
        detector.map(Some).map_err(|message| Error::Usage(format!("--detect-lang: {message}")))
    }
}
