//! What is put before texts, and for whom: prompts by name, as sentence-transformers keeps them.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It asks.
    Query,
    /// It is found.
    Document,
}

impl Role {
    /// `query`, `document`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Document => "document",
        }
    }

    /// The prompts that serve it, the first that a model has.
    const fn served_by(self) -> &'static [&'static str] {
        match self {
            Self::Query => &["query"],
            Self::Document => &["document", "passage", "corpus"],
        }
    }
}

/// What is put before a text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Its name among the model's; none of words that somebody gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The words, as they stand before the text.
    pub text: String,
}

/// The prompts that a model was trained with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// By name; an empty one says that its texts have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, String>,
    /// The name of the one for texts of which no role is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl Prompts {
    /// The names of those that say something.
    pub fn names(&self) -> Vec<&str> {
        self.named.iter().filter(|(_, text)| !text.is_empty()).map(|(name, _)| name.as_str()).collect()
    }

    /// The prompt of this name.
    ///
    /// # Errors
    /// There is none; those that there are.
    pub fn named(&self, name: &str) -> Result<Prompt> {
        match self.named.get(name) {
            Some(text) => Ok(Prompt { name: Some(name.to_owned()), text: text.clone() }),
            None => Err(Error::Input(match self.named.is_empty() {
                true => format!("prompt {name:?}: this model has no prompts; give its words with --prompt"),
                false => {
                    let names = self.named.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    format!("prompt {name:?}: this model has none of that name; it has: {names}")
                }
            })),
        }
    }

    /// The prompt of texts with this role; without one, the default's. A role that no prompt serves has none, whatever the default is.
    pub fn of(&self, role: Option<Role>) -> Prompt {
        let name = match role {
            None => self.default.as_deref(),
            Some(role) => role.served_by().iter().copied().find(|name| self.named.contains_key(*name)),
        };
        name.and_then(|name| self.named(name).ok()).unwrap_or_default()
    }

    /// Refuses a default that is none of them; `at`: the key of this table.
    ///
    /// # Errors
    /// Its name, with those that there are.
    pub fn validate(&self, at: &str) -> Result<()> {
        match self.default.as_deref().map(|name| self.named(name)) {
            Some(Err(e)) => Err(Error::config(format!("{at}.default"), e.to_string())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(named: &[(&str, &str)], default: Option<&str>) -> Prompts {
        let named = named.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        Prompts { named, default: default.map(str::to_owned) }
    }

    #[test]
    fn a_role_has_the_first_prompt_that_serves_it() {
        let e5 = prompts(&[("query", "query: "), ("passage", "passage: ")], None);
        let text = |p: &Prompts, role| p.of(role).text;
        assert_eq!(text(&e5, Some(Role::Query)), "query: ");
        assert_eq!(text(&e5, Some(Role::Document)), "passage: ");
        assert_eq!(e5.of(None), Prompt::default());
        // An empty one is an answer, and no role falls back to the default.
        let empty = prompts(&[("document", ""), ("passage", "passage: "), ("other", "o: ")], Some("other"));
        assert_eq!(
            empty.of(Some(Role::Document)),
            Prompt { name: Some("document".into()), text: String::new() }
        );
        assert_eq!((text(&empty, Some(Role::Query)).as_str(), text(&empty, None).as_str()), ("", "o: "));
        assert_eq!(empty.names(), ["other", "passage"]);
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_that_are() {
        let all = prompts(&[("query", "q: "), ("document", "")], Some("nobody"));
        let said = all.named("passage").unwrap_err().to_string();
        assert_eq!(said, "prompt \"passage\": this model has none of that name; it has: document, query");
        assert!(Prompts::default().named("query").unwrap_err().to_string().contains("has no prompts"));
        let said = all.validate("text.prompts").unwrap_err().to_string();
        assert!(said.starts_with("text.prompts.default: prompt \"nobody\""), "{said}");
        prompts(&[("a", "b")], Some("a")).validate("text.prompts").unwrap();
    }
}
