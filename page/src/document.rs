//! The page around everything.

use std::borrow::Cow;

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Colours, type, tables, cards and charts: what every page shares.
const STYLE: &str = include_str!("style.css");
/// Holds even if an escape were forgotten: no script runs, nothing is fetched.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; form-action 'none'; base-uri 'none'";

/// A whole page.
#[derive(Debug)]
pub struct Page<'a> {
    /// The window's title.
    pub title: &'a str,
    /// Styles of what only this page has, after the shared ones.
    pub style: &'static str,
    /// What stands on it: a [`crate::banner`] and `main`.
    pub body: &'a Markup,
}

impl Page<'_> {
    /// The complete HTML document. Control characters and those that turn the direction of writing are shown as `\u{fffd}`, whoever put
    /// them in.
    pub fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content="Unisono";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) (PreEscaped(self.style)) }
                }
                body {
                    div.page {
                        (self.body)
                        footer { "Made by Unisono. This file is complete: it loads nothing and runs nothing." }
                    }
                }
            }
        };
        let page = page.into_string();
        match unisono_files::clean(&page) {
            Cow::Owned(cleaned) => cleaned,
            Cow::Borrowed(_) => page,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_unseen_is_shown_wherever_it_stands() {
        let evil = "\u{202e}gpj.exe\u{0}\u{1b}[31m";
        let body = html! { p title=(evil) { (evil) } };
        let page = Page { title: evil, style: "", body: &body }.render();
        assert!(!page.contains(['\u{202e}', '\u{0}', '\u{1b}']));
        assert_eq!(page.matches("\u{fffd}gpj.exe\u{fffd}\u{fffd}[31m").count(), 3);
    }
}
