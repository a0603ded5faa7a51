//! The head of a page, and names with values.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Longer titles (names of files are) are set smaller, so that what the page shows stays on the first screen.
const LONG: usize = 60;

/// A name and its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// How much or which.
    pub value: String,
}

impl Fact {
    /// A fact.
    pub fn new(name: impl Into<String>, value: impl ToString) -> Self {
        Self { name: name.into(), value: value.to_string() }
    }
}

/// The head of a page: who made it, beside it `label` (a date, a kind of page), the title, and whatever else belongs there.
pub fn banner(label: Option<&str>, title: &str, inside: &Markup) -> Markup {
    html! {
        header {
            p.eyebrow { "Unisono" @if let Some(label) = label { span { (label) } } }
            h1 class=[(title.chars().count() > LONG).then_some("long")] dir="auto" { (title) }
            (inside)
        }
    }
}

/// Names and values side by side; nothing of none.
pub fn facts(facts: &[Fact]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.facts { @for fact in facts { div { dt { (fact.name) } dd dir="auto" { (fact.value) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_has_what_it_is_given() {
        let head = banner(Some("<b>"), &"x".repeat(61), &facts(&[Fact::new("a<b", 3)])).into_string();
        assert!(
            head.contains("<span>&lt;b&gt;</span>") && head.contains("<h1 class=\"long\" dir=\"auto\">xxx"),
            "{head}"
        );
        assert!(head.contains("<dt>a&lt;b</dt><dd dir=\"auto\">3</dd>"), "{head}");
        assert_eq!(
            banner(None, "T", &facts(&[])).into_string(),
            "<header><p class=\"eyebrow\">Unisono</p><h1 dir=\"auto\">T</h1></header>"
        );
    }
}
