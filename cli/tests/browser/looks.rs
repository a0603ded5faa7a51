//! How it looks and reads: narrow and wide, light and dark, to eyes and to screen readers.

use crate::chrome::Chrome;
use crate::{LONG, ends_well, opened};
use serde_json::json;

/// Relative luminance of `#rrggbb` or `#rgb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let letters: String = match colour.trim().trim_start_matches('#') {
        short if short.len() == 3 => short.chars().flat_map(|c| [c, c]).collect(),
        long => long.to_owned(),
    };
    let linear = |at: usize| {
        let value = f64::from(u8::from_str_radix(&letters[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(0) + 0.7152 * linear(2) + 0.0722 * linear(4)
}

fn contrast(chrome: &mut Chrome, over: &str, under: &str) -> f64 {
    let mut of = |name: &str| {
        let colour =
            chrome.eval(&format!("getComputedStyle(document.documentElement).getPropertyValue('--{name}')"));
        luminance(colour.as_str().unwrap())
    };
    let (a, b) = (of(over), of(under));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Nothing is wider than the page, and what can be pressed is large enough to be hit.
fn fits(chrome: &mut Chrome, what: &str) {
    let wide = chrome.eval("document.scrollingElement.scrollWidth - innerWidth");
    assert!(wide.as_i64().unwrap() <= 0, "{what}: {wide} pixels too wide");
    let out = chrome.eval("[...document.querySelectorAll('button, input, summary, a, .hit b, .hit small')].filter(node => node.checkVisibility()) \
        .map(node => [node.getBoundingClientRect(), node.outerHTML.slice(0, 120)]).filter(([box]) => box.width && (box.right > innerWidth + 1 || box.left < -1)).map(([, html]) => html)");
    assert_eq!(out, json!([]), "{what}");
    let small = chrome.eval("[...document.querySelectorAll('button, summary, .kinds label')].filter(node => node.checkVisibility()) \
        .map(node => [node.getBoundingClientRect(), node.outerHTML.slice(0, 120)]).filter(([box]) => box.width && (box.width < 24 || box.height < 24)).map(([, html]) => html)");
    assert_eq!(small, json!([]), "{what}");
}

#[test]
fn narrow_and_wide_light_and_dark() {
    let Some((served, mut chrome)) = opened("/?q=the%20long%20way", (360, 740), &["--votes", "looks.jsonl"])
    else {
        return;
    };
    chrome.until("document.querySelectorAll('#grid > li').length > 8");
    assert!(chrome.eval("document.body.textContent").as_str().unwrap().contains(LONG));
    for scheme in ["light", "dark"] {
        chrome.scheme(scheme);
        for (width, height) in [(360, 740), (768, 1000), (1180, 860)] {
            chrome.size(width, height);
            let what = format!("{scheme}-{width}");
            fits(&mut chrome, &what);
            chrome.shot(&what);
            chrome.eval("filtering(true)");
            fits(&mut chrome, &format!("{what}-filters"));
            chrome.shot(&format!("{what}-filters"));
            chrome.eval("filtering(false); show(true)");
            chrome.until("plot !== null");
            fits(&mut chrome, &format!("{what}-map"));
            chrome.eval("show(false)");
        }
        for (over, under) in [
            ("ink", "paper"),
            ("ink", "surface"),
            ("muted", "paper"),
            ("muted", "surface"),
            ("muted", "faint"),
            ("muted", "tile"),
            ("accent", "paper"),
            ("accent", "surface"),
            ("accent", "faint"),
            ("on-accent", "accent"),
            ("warn", "paper"),
            ("warn", "surface"),
            ("paper", "stop"),
            ("text", "surface"),
            ("image", "surface"),
            ("audio", "surface"),
            ("video", "surface"),
        ] {
            let found = contrast(&mut chrome, over, under);
            assert!(found >= 4.5, "{scheme}: {over} on {under}: {found:.2}");
        }
    }
    ends_well(served, &chrome);
}

#[test]
fn every_control_has_a_name() {
    let Some((served, mut chrome)) = opened("/", (1180, 860), &["--votes", "names.jsonl"]) else { return };
    let mut seen = 0;
    let mut look = |chrome: &mut Chrome, what: &str| {
        let controls = chrome.controls();
        let nameless: Vec<_> = controls
            .iter()
            .filter(|(role, name)| name.trim().is_empty() && role != "group" && role != "image")
            .collect();
        assert!(nameless.is_empty() && controls.len() > 5, "{what}: {nameless:?} of {controls:?}");
        seen += controls.len();
    };
    look(&mut chrome, "empty");
    chrome.eval("filtering(true); search({ text: 'a red bus' })");
    chrome.until("document.querySelectorAll('#grid > li').length > 8");
    look(&mut chrome, "results");
    chrome.eval("document.querySelector('.why').click()");
    chrome.until("/similarity falls from/.test(document.querySelector('#reason').textContent)");
    let dialog = chrome.controls();
    assert!(dialog.iter().any(|(role, name)| role == "dialog" && !name.is_empty()), "{dialog:?}");
    assert!(dialog.iter().any(|(role, name)| role == "button" && name == "Close"), "{dialog:?}");
    chrome.key("Escape");
    chrome.eval("show(true)");
    chrome.until("plot !== null");
    chrome.eval("choose(0)");
    chrome.until("document.querySelector('#spot .hit') !== null");
    look(&mut chrome, "map");
    assert!(seen > 60, "{seen}");
    // Every picture says what it shows, or is there for the eye alone.
    assert_eq!(chrome.eval("[...document.images].every(image => image.hasAttribute('alt'))"), true);
    assert_eq!(chrome.eval("document.documentElement.lang"), "en");
    ends_well(served, &chrome);
}

#[test]
fn a_key_is_asked_for_once() {
    let Some(mut chrome) = Chrome::start() else { return };
    std::fs::write(crate::place().join("page-keys"), "sësame & co\n").unwrap();
    let served = crate::Served::start(crate::place(), &["--index", "IDX", "--api-keys", "page-keys"]);
    chrome.open(&format!("http://{}/?q=a", served.addr), (1180, 860));
    for (key, end) in [
        ("wrong", "document.querySelector('#unknown').textContent !== ''"),
        ("sësame & co", "document.querySelectorAll('#grid > li').length > 0"),
    ] {
        chrome.until("document.querySelector('#key').open && document.querySelector('#secret').value === ''");
        if key == "wrong" {
            chrome.shot("key");
        }
        chrome.click("#secret");
        chrome.write(key);
        chrome.key("Enter");
        chrome.until(end);
    }
    // Pictures know it too.
    chrome.until("[...document.querySelectorAll('#grid img')].some(image => image.naturalWidth > 0)");
    chrome.errors.retain(|error| !error.contains("401 (Unauthorized)"));
    ends_well(served, &chrome);
}
