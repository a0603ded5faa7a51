//! The documented file with the values of other settings than the defaults.

use super::{DOCUMENTED, SceneSettings};
use crate::{Error, Result};
use toml::{Table, Value};

impl SceneSettings {
    /// These settings as a file that explains each: [`DOCUMENTED`], with other values where they differ.
    ///
    /// # Errors
    /// A text that TOML cannot say.
    pub fn documented(&self) -> Result<String> {
        let table = |settings: &Self| {
            Table::try_from(settings).map_err(|e| Error::setting("settings", "what TOML can say", e))
        };
        let (mine, usual) = (table(self)?, table(&Self::default())?);
        let (mut section, mut out) = (Vec::new(), String::with_capacity(DOCUMENTED.len()));
        for line in DOCUMENTED.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.split('.').collect();
            }
            // What has no default stands there as a remark.
            let key = line.trim_start_matches("# ").split_once(" = ").map(|(key, _)| key);
            let value = key.and_then(|key| Some((key, at(&mine, &section, key)?)));
            match value {
                Some((key, value)) if at(&usual, &section, key) != Some(value) => {
                    out += &format!("{key} = {}", written(value));
                }
                _ => out += line,
            }
            out.push('\n');
        }
        Ok(out)
    }
}

fn at<'a>(table: &'a Table, section: &[&str], key: &str) -> Option<&'a Value> {
    let mut here = table;
    for name in section {
        here = here.get(*name)?.as_table()?;
    }
    here.get(key).filter(|value| !value.is_table())
}

/// A number of single precision as short as it can be told.
fn written(value: &Value) -> String {
    match value {
        Value::Float(x) if f64::from(*x as f32) == *x => format!("{:?}", *x as f32),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_was_set() {
        let set = |words: &[&str]| {
            SceneSettings::load(None, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(SceneSettings::default().documented().unwrap(), DOCUMENTED);
        for words in [
            &["content.threshold=30", "detectors=[\"content\", \"hash\"]"][..],
            &["adaptive.kernel_size=7", "content.weights.edges=0.1", "group.similarity=0.7"],
            &["content.min_scene_len=0.6s", "labels.sets=[\"a \\\"b\\\".txt\"]", "threshold.method=ceiling"],
            &["hash.min_scene_len=30", "sample.every=0.3333", "shots.flashes=drop", "gradual.max_bend=0.3"],
        ] {
            let settings = set(words);
            let printed = settings.documented().unwrap();
            assert_eq!(toml::from_str::<SceneSettings>(&printed).unwrap(), settings, "{printed}");
            let changed = printed.lines().zip(DOCUMENTED.lines()).filter(|(a, b)| a != b).count();
            assert_eq!((changed, printed.lines().count()), (words.len(), DOCUMENTED.lines().count()));
        }
        assert!(set(&["gradual.max_bend=0.3"]).documented().unwrap().contains("max_bend = 0.3\n"));
    }
}
