//! Sections, and the links to them.

use maud::{Markup, html};

/// A part of the page that the contents list.
#[derive(Debug)]
pub struct Section {
    /// What a link to it ends with.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// The whole section.
    pub markup: Markup,
}

impl Section {
    /// A section with its heading and a sentence under it that says what is seen; empty: none.
    pub fn new(id: &'static str, title: &'static str, lead: &str, body: Markup) -> Self {
        let markup = html! {
            section #(id) {
                h2 { (title) }
                @if !lead.is_empty() { p.lead { (lead) } }
                (body)
            }
        };
        Self { id, title, markup }
    }
}

/// Links to the sections that are there; nothing for a page of one.
pub fn contents(sections: &[Option<Section>]) -> Markup {
    let here: Vec<&Section> = sections.iter().flatten().collect();
    html! {
        @if here.len() > 1 {
            nav.contents aria-label="Contents" { @for section in here { a href={ "#" (section.id) } { (section.title) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_list_what_is_there() {
        let section = |id| Some(Section::new(id, "Title", "", html! { p { "x" } }));
        assert_eq!(contents(&[section("a"), None]).into_string(), "");
        let two = contents(&[section("a"), None, section("b")]).into_string();
        assert!(
            two.contains("href=\"#a\"") && two.contains("href=\"#b\"") && two.matches("<a ").count() == 2
        );
        let lead = Section::new("a", "T", "<lead>", html! {}).markup.into_string();
        assert_eq!(lead, "<section id=\"a\"><h2>T</h2><p class=\"lead\">&lt;lead&gt;</p></section>");
    }
}
