//! What must be known of an SVG's text before an XML parser sees it.

use std::collections::HashMap;

/// Longest text, and most bytes that entities make of it.
const MAX_BYTES: u64 = 32 << 20;
/// Most attributes of one element: the parser compares each with all before it.
const MAX_ATTRIBUTES: u64 = 20_000;
/// Most steps of what the parser does once for every pair: namespaces by declarations, entities by references.
const MAX_PAIRS: u64 = 100_000_000;

/// # Errors
/// What is too much.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("{} bytes of text, more than {MAX_BYTES}", text.len()));
    }
    // An equals sign for each attribute; those in texts and paths are few.
    let most =
        text.split('<').map(|tag| tag.bytes().filter(|b| *b == b'=').count() as u64).max().unwrap_or(0);
    if most > MAX_ATTRIBUTES {
        return Err(format!("an element of more than {MAX_ATTRIBUTES} attributes"));
    }
    if most.saturating_mul(text.matches("xmlns").count() as u64) > MAX_PAIRS {
        return Err("too many namespaces".into());
    }
    entities(text)
}

/// Bounds what entities expand to; each is text that may name others.
fn entities(text: &str) -> Result<(), String> {
    let mut values: HashMap<&str, &str> = HashMap::new();
    for declaration in text.split("<!ENTITY").skip(1) {
        let declaration = declaration.trim_start();
        let Some((name, rest)) = declaration.split_once(|c: char| c.is_ascii_whitespace()) else { continue };
        let rest = rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|c| ['"', '\''].contains(c)) else { continue };
        let Some((value, _)) = rest[1..].split_once(quote) else { continue };
        // The first of a name counts.
        values.entry(name).or_insert(value);
    }
    if values.is_empty() {
        return Ok(());
    }
    let references = text.matches('&').count() as u64;
    if references.saturating_mul(values.len() as u64) > MAX_PAIRS {
        return Err("too many entities and references to them".into());
    }
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    // The parser goes ten levels deep: after so many rounds every size is what it can become, or far too much.
    for _ in 0..10 {
        let larger: Vec<(&str, u64)> =
            values.iter().map(|(name, value)| (*name, expanded(value, &sizes))).collect();
        sizes = larger.into_iter().collect();
    }
    match expanded(text, &sizes) {
        size if size > MAX_BYTES => Err(format!("entities that expand to more than {MAX_BYTES} bytes")),
        _ => Ok(()),
    }
}

/// Bytes of a text once its references are replaced.
fn expanded(text: &str, sizes: &HashMap<&str, u64>) -> u64 {
    let mut size = text.len() as u64;
    for reference in text.split('&').skip(1) {
        if let Some((name, _)) = reference.split_once(';') {
            size = size.saturating_add(sizes.get(name).copied().unwrap_or(0));
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_counted_as_they_expand() {
        check("<!DOCTYPE svg [<!ENTITY ns 'http://www.w3.org/2000/svg'>]><svg xmlns='&ns;'/>").unwrap();
        let value = "x".repeat(1 << 16);
        let one = |uses: usize| {
            let uses = "&a;".repeat(uses);
            check(&format!("<!DOCTYPE svg [<!ENTITY a \"{value}\">]><svg><path d='{uses}'/></svg>"))
        };
        one(400).unwrap();
        assert!(one(600).unwrap_err().contains("entities that expand"));
        let nested = "<!ENTITY a '0123456789'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>";
        let ten = |c: char, of: char| format!("<!ENTITY {c} '{}'>", format!("&{of};").repeat(10));
        let all: String = "cdefgh".chars().zip("bcdefg".chars()).map(|(c, of)| ten(c, of)).collect();
        let text = format!("<!DOCTYPE svg [{nested}{all}]><svg><desc>&h;</desc></svg>");
        assert!(check(&text).unwrap_err().contains("entities that expand"), "10^8 bytes");
        // Names that go in a circle grow without end.
        assert!(
            check("<!DOCTYPE svg [<!ENTITY a '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><svg>&a;</svg>").is_err()
        );
    }

    #[test]
    fn attributes_and_namespaces_are_counted() {
        let attributes: String = (0..20_001).map(|i| format!(" a{i}='1'")).collect();
        assert!(check(&format!("<svg{attributes}/>")).unwrap_err().contains("20000 attributes"));
        let spaces: String = (0..10_000).map(|i| format!(" xmlns:a{i}='{i}'")).collect();
        assert!(check(&format!("<svg{spaces}>{}</svg>", "<g xmlns:b='b'/>".repeat(1000))).is_err());
        assert!(check(&" ".repeat((32 << 20) + 1)).unwrap_err().contains("bytes of text"));
    }
}
