//! Style sheets of an SVG, matched as usvg matches them.

use resvg::usvg::roxmltree::{Document, Node};
use simplecss::{AttributeOperator, Element, PseudoClass, StyleSheet};

/// Every `<style>` that usvg reads.
pub(super) fn sheet<'a>(document: &'a Document<'a>) -> StyleSheet<'a> {
    let mut sheet = StyleSheet::new();
    for node in document.descendants().filter(|n| n.has_tag_name("style")) {
        if matches!(node.attribute("type"), None | Some("text/css"))
            && let Some(text) = node.text()
        {
            sheet.parse_more(text);
        }
    }
    sheet
}

/// The most steps that matching one element against all rules can take in a document of this depth: a selector of k words that stand for
/// ancestors tries every choice of k of them, each with tests by its length.
pub(super) fn steps(sheet: &StyleSheet, depth: u64) -> u64 {
    sheet.rules.iter().fold(0, |sum: u64, rule| {
        let text = rule.selector.to_string();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let joined = |word: &&&str| [">", "+"].contains(*word);
        let ancestors = words.len() - 1 - (2 * words.iter().filter(joined).count()).min(words.len() - 1);
        let tests = 1 + text.len() as u64 / 16;
        sum.saturating_add(choices(depth, ancestors as u64).saturating_mul(tests))
    })
}

/// Ways to choose up to `k` of `n`.
fn choices(n: u64, k: u64) -> u64 {
    let (mut ways, mut all) = (1u64, 1u64);
    for i in 0..k.min(n) {
        ways = ways.saturating_mul(n - i) / (i + 1);
        all = all.saturating_add(ways);
        if all > 1 << 40 {
            break;
        }
    }
    all
}

/// An element as selectors see it.
pub(super) struct Styled<'a, 'input>(pub(super) Node<'a, 'input>);

impl Element for Styled<'_, '_> {
    fn parent_element(&self) -> Option<Self> {
        self.0.parent_element().map(Self)
    }

    fn prev_sibling_element(&self) -> Option<Self> {
        self.0.prev_sibling_element().map(Self)
    }

    fn has_local_name(&self, name: &str) -> bool {
        self.0.tag_name().name() == name
    }

    fn attribute_matches(&self, name: &str, operator: AttributeOperator) -> bool {
        self.0.attribute(name).is_some_and(|value| operator.matches(value))
    }

    fn pseudo_class_matches(&self, class: PseudoClass) -> bool {
        class == PseudoClass::FirstChild && self.prev_sibling_element().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_cost_what_they_may_try() {
        let of = |text: &str, depth| steps(&StyleSheet::parse(text), depth);
        assert_eq!(of("rect { fill: red }", 100), 1);
        assert_eq!(of("g > rect { fill: red } .a { fill: blue }", 100), 2);
        assert_eq!(of("g rect { fill: red }", 10), 11);
        assert_eq!(of(&format!("{} {{ fill: red }}", ".a".repeat(80)), 10), 61);
        assert!(of(&format!("{} rect {{ fill: red }}", "g ".repeat(20)), 200) > 1 << 40);
    }
}
