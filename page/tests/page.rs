//! Whole pages: whatever is put in comes out as text, and nothing else does.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "support/document.rs"]
mod document;

use maud::html;
use proptest::prelude::*;
use unisono_page::chart::{Axis, Bullet, Histogram, Rule, Scale, Series, SeriesStyle, StackedBar};
use unisono_page::{
    Column, Fact, Media, Page, Section, Table, banner, chart::LineChart, contents, facts, show,
};

/// A page of everything there is, with `text` wherever a stranger's may stand and `points` on every chart.
fn page(text: &str, points: &[(f64, f64)]) -> String {
    let mut table = Table::new(&[Column::text("Name"), Column::number("Value")]).stacked();
    table.row([html! { (text) }]).group(text).row([html! { (text) }, html! { "1" }]);
    let series = |style: SeriesStyle| Series {
        intervals: points.iter().map(|p| (p.1 - 1.0, p.1 + 1.0)).collect(),
        chance: points.first().map(|p| p.1),
        style,
        ..Series::new(text, points.to_vec())
    };
    let chart = |scale: Scale| LineChart {
        title: text.to_owned(),
        x: Axis { label: text.to_owned(), scale, ..Axis::default() },
        y: Axis { label: text.to_owned(), scale, ..Axis::default() },
        series: [SeriesStyle::Line, SeriesStyle::Smooth, SeriesStyle::Envelope].map(series).to_vec(),
        rules: vec![Rule { value: 2.0, name: text.to_owned() }],
        mark: points.last().map(|p| (p.0, text.to_owned())),
        events: points.iter().map(|p| p.0).collect(),
    };
    let bar = StackedBar {
        title: text.to_owned(),
        parts: points.iter().map(|p| (text.to_owned(), p.1)).collect(),
        write: None,
    };
    let bars = Histogram {
        title: text.to_owned(),
        unit: text.to_owned(),
        summary: text.to_owned(),
        whole: points.len() == 1,
        x: Axis { label: text.to_owned(), ..Axis::default() },
        bars: points.iter().map(|p| (p.0, p.0 + 1.0, p.1)).collect(),
    };
    let body = html! {
        (table.render())
        (chart(Scale::Linear).render())
        (chart(Scale::Log).render())
        (bar.render())
        (bars.render())
        (Bullet { value: 0.5, interval: points.first().copied(), chance: points.first().map(|p| p.0), control: None }.render())
        (show(&Media::new(*b"\x89PNG\r\n\x1a\n"), text))
        (show(&Media::new(*b"OggS"), text))
        (show(&Media::new(text.as_bytes()), text))
    };
    let sections =
        [Some(Section::new("one", "One", text, body)), Some(Section::new("two", "Two", "", html! {})), None];
    let body = html! {
        (banner(Some(text), text, &facts(&[Fact::new(text, text)])))
        (contents(&sections))
        main { @for section in sections.iter().flatten() { (section.markup) } }
    };
    Page { title: text, style: "", body: &body }.render()
}

#[test]
fn hostile_text_stays_text() {
    for text in [
        "<script>alert('x')</script>\"' onload=\"alert(1)",
        "</style></title><!-- ]]> {{x}} ${x} %n%s",
        "</svg></td></table>&lt;&#x3c;",
        "\u{202e}gpj.exe\u{2066}\u{0}\u{7}\u{1b}[31m\u{2028}\u{feff}\r\n",
        "javascript:alert(1) http://example.org url(http://example.org) @import 'x'",
        "",
        "🎬 映画 שלום مرحبا é̂",
    ] {
        let found = page(text, &[(0.0, 1.0), (1.0, 3.0)]);
        document::check(&found);
        let clean = unisono_files::clean(text);
        assert_eq!(
            (document::text_of(&found, "h1"), document::text_of(&found, "dd")),
            (clean.to_string(), clean.to_string())
        );
    }
}

#[test]
fn nothing_and_numbers_that_are_none_are_fine() {
    document::check(&page("x", &[]));
    let strange = [
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
        (1.0, f64::NEG_INFINITY),
        (2.0, f64::MAX),
        (f64::MIN, -1.0),
        (3.0, 1e-320),
    ];
    document::check(&page("x", &strange));
    let many: Vec<(f64, f64)> = (0..5000).map(|i| (f64::from(i), f64::from(i % 13))).collect();
    document::check(&page("x", &many));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// XML knows no text with these two; HTML does.
    #[test]
    fn any_text_comes_back(text in any::<String>().prop_filter("not of XML", |t| !t.contains(['\u{fffe}', '\u{ffff}']))) {
        let found = page(&text, &[(0.0, 1.0), (1.0, 3.0)]);
        document::check(&found);
        prop_assert_eq!(document::text_of(&found, "h1"), unisono_files::clean(&text));
        prop_assert_eq!(document::text_of(&found, "title"), unisono_files::clean(&text));
    }

    #[test]
    fn any_numbers_are_drawn(points in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..70)) {
        document::check(&page("x", &points));
    }
}
