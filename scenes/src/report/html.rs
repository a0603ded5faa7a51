//! HTML and SVG, written in place. Text comes in by [`Html::text`] and attributes only: both clean and escape it, so that none can be
//! forgotten.

use crate::write::text::clean;

/// Markup that grows.
#[derive(Debug, Default)]
pub(super) struct Html(String);

/// Name and value.
pub(super) type Attribute<'a> = (&'static str, &'a str);

impl Html {
    /// An element with what `inside` writes.
    pub(super) fn el(
        &mut self,
        name: &'static str,
        attributes: &[Attribute],
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        inside(self);
        self.0 += "</";
        self.0 += name;
        self.0.push('>');
    }

    /// An element with a text.
    pub(super) fn say(&mut self, name: &'static str, attributes: &[Attribute], text: &str) {
        self.el(name, attributes, |h| h.text(text));
    }

    /// An element that has no inside: `img`, `meta`.
    pub(super) fn open(&mut self, name: &'static str, attributes: &[Attribute]) {
        self.0.push('<');
        self.0 += name;
        for (key, value) in attributes {
            self.0.push(' ');
            self.0 += key;
            self.0 += "=\"";
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Anybody's text.
    pub(super) fn text(&mut self, text: &str) {
        for c in clean(text).chars() {
            match c {
                '&' => self.0 += "&amp;",
                '<' => self.0 += "&lt;",
                '>' => self.0 += "&gt;",
                '"' => self.0 += "&quot;",
                '\'' => self.0 += "&#39;",
                c => self.0.push(c),
            }
        }
    }

    /// Our own markup, known when this is compiled.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.0 += markup;
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A count with thousands parted: `1,234,567`.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 shot`, `2 shots`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count as u64), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut html = Html::default();
        html.el("p", &[("title", "\"><script>\u{202e}")], |h| h.text("<b>&'\u{0}"));
        let expected = "<p title=\"&quot;&gt;&lt;script&gt;\u{fffd}\">&lt;b&gt;&amp;&#39;\u{fffd}</p>";
        assert_eq!(html.into_string(), expected);
        assert_eq!(counted(1_234_567, "frame", "frames"), "1,234,567 frames");
    }
}
