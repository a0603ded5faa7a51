//! Pages read back, strictly: the oracle for everything that renders one, here and in the crates above.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code)]

use roxmltree::{Document, Node};
use std::collections::HashSet;

/// The page as XML: elements that have no inside are closed, the document type is left out.
pub fn as_xml(page: &str) -> String {
    let mut xml = String::with_capacity(page.len() + 100);
    let mut parts = page.strip_prefix("<!DOCTYPE html>").unwrap().split('<');
    xml += parts.next().unwrap();
    for part in parts {
        let name = part.split([' ', '>']).next().unwrap();
        xml.push('<');
        if ["meta", "img", "wbr"].contains(&name) {
            // Within attributes an angle is escaped: the first one ends the tag.
            let (tag, rest) = part.split_once('>').unwrap();
            xml.extend([tag, "/>", rest]);
        } else {
            xml += part;
        }
    }
    xml
}

/// Every rule of the house for a page: well-formed, complete in itself, nothing that runs or is fetched, names for those who do not see it.
pub fn check(page: &str) {
    let xml = as_xml(page);
    let document = Document::parse(&xml).unwrap_or_else(|e| panic!("{e}: {xml}"));
    let elements: Vec<Node> = document.descendants().filter(Node::is_element).collect();
    let named = |name: &str| elements.iter().copied().filter(|n| n.has_tag_name(name)).collect::<Vec<_>>();
    // Drawings have titles of their own.
    assert_eq!(named("head")[0].children().filter(|n| n.has_tag_name("title")).count(), 1);
    for once in ["head", "style", "header", "h1", "main", "footer"] {
        assert_eq!(named(once).len(), 1, "<{once}>");
    }
    let policy =
        named("meta").into_iter().find_map(|n| n.attribute("content").filter(|c| c.contains("default-src")));
    assert!(policy.unwrap().starts_with("default-src 'none';"));
    let ids: Vec<&str> = elements.iter().filter_map(|n| n.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "ids stand once: {ids:?}");
    for node in &elements {
        element(node, &ids);
    }
    for table in named("table") {
        let row = |row: Node| -> usize {
            row.children()
                .filter(Node::is_element)
                .map(|c| c.attribute("colspan").map_or(1, |n| n.parse().unwrap()))
                .sum()
        };
        let rows: Vec<usize> = table.descendants().filter(|n| n.has_tag_name("tr")).map(row).collect();
        assert!(rows.iter().all(|&n| n == rows[0]), "{rows:?}");
    }
}

fn element(node: &Node, ids: &[&str]) {
    let name = node.tag_name().name();
    assert!(!["script", "link", "iframe", "object", "embed", "form", "base"].contains(&name), "<{name}>");
    for attribute in node.attributes() {
        let (key, value) = (attribute.name(), attribute.value());
        assert!(!key.starts_with("on"), "{key}={value}");
        match key {
            "src" => assert!(value.starts_with("data:"), "{}", &value[..40]),
            // A file beside the page is opened by whoever wants it; nothing has a scheme or a host.
            "href" => match value.strip_prefix('#') {
                Some(id) => assert!(ids.contains(&id), "{value} leads nowhere"),
                None => assert!(!value.contains(':') && !value.starts_with('/'), "{value} leads elsewhere"),
            },
            "style" => assert!(value.split("url(").skip(1).all(|url| url.starts_with("data:")), "{value}"),
            _ => {}
        }
        if ["d", "x", "y", "x1", "x2", "width", "height", "style"].contains(&key) && !value.contains("url(") {
            assert!(!value.contains("NaN") && !value.contains("inf"), "{name} {key}={value}");
        }
    }
    match name {
        "svg" => assert!(node.has_attribute("aria-label") || node.has_attribute("aria-hidden")),
        "img" => assert!(node.has_attribute("alt")),
        "style" => {
            let css = node.text().unwrap();
            assert!(!css.contains("url(") && !css.contains("@import"));
            assert_eq!(css.matches('{').count(), css.matches('}').count());
        }
        _ => {}
    }
}

/// The text within the first element of this name, white space as it is.
pub fn text_of(page: &str, name: &str) -> String {
    let xml = as_xml(page);
    let document = Document::parse(&xml).unwrap();
    let node = document.descendants().find(|n| n.has_tag_name(name)).unwrap();
    node.descendants().filter(Node::is_text).filter_map(|n| n.text()).collect()
}
