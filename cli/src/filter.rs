//! Options that say which items of an index count.

use crate::error::Error;
use unisono_jobs::Modality;
use unisono_jobs::index::{Filter, Places, Test, moment};

/// Which items count.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct FilterArgs {
    /// Only files of this pattern, such as 'holiday/**/*.jpg'; may be given several times
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Only items of this label; may be given several times
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only files that were written then or later: a day (2024-05-01), a time (2024-05-01T12:30:00Z) or so long ago (30days)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only files that were written before that
    #[arg(long, value_name = "WHEN")]
    before: Option<String>,
    /// Only items whose key is such: id, label, lang, text, path or a key of their record, as in year>=2020, lang=fr, tags=sea, text~bus; may be given
    /// several times
    #[arg(long = "where", value_name = "TEST")]
    tests: Vec<String>,
}

impl FilterArgs {
    /// The filter that is asked for, among these modalities (none: all).
    pub(crate) fn get(&self, modalities: &[Modality]) -> Result<Filter, Error> {
        let wrong = |option: &str, e: String| Error::Usage(format!("{option}: {e}"));
        let when = |option: &'static str, text: &Option<String>| {
            let at = text.as_ref().map(|text| moment(text).map_err(|e| wrong(option, e.to_string())));
            at.transpose()
        };
        let places = match self.path.is_empty() {
            true => None,
            false => Some(Places::new(&self.path).map_err(|e| wrong("--path", e.to_string()))?),
        };
        let tests =
            self.tests.iter().map(|text| text.parse::<Test>().map_err(|e| wrong("--where", e.to_string())));
        Ok(Filter {
            modalities: modalities.to_vec(),
            places,
            labels: self.label.clone(),
            since: when("--since", &self.since)?,
            before: when("--before", &self.before)?,
            tests: tests.collect::<Result<_, _>>()?,
        })
    }

    /// Whether anything is asked for.
    pub(crate) fn is_given(&self) -> bool {
        !self.path.is_empty()
            || !self.label.is_empty()
            || self.since.is_some()
            || self.before.is_some()
            || !self.tests.is_empty()
    }
}
