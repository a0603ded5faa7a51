//! The server's page in a browser: what people see, click, type, drop and hear read to them. Skipped, and said so, where there is no Chromium, and in CI.
//! `UNISONO_TEST_CHROMIUM` names another one. Pictures of what was seen are left in `target/tmp/screenshots`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "browser/chrome.rs"]
mod chrome;
#[allow(dead_code)]
#[path = "serve/http.rs"]
mod http;
#[path = "browser/looks.rs"]
mod looks;
#[path = "browser/map.rs"]
mod map;
mod room;
#[path = "browser/searches.rs"]
mod searches;
mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use chrome::Chrome;
use http::Served;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use support::{outcome, unisono};

/// A name that no card is as wide as.
const LONG: &str =
    "the-picture-whose-name-goes-on-and-on-without-a-space-for-longer-than-any-card-is-wide-0001.png";

/// A folder with an index of everything, made once.
fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        room::fill(&dir);
        fs::create_dir(dir.join("more")).unwrap();
        tiny::image(&dir.join("more").join(LONG), 200);
        tiny::image(&dir.join("more/gone.png"), 210);
        let add = |args: &[&str]| {
            let all = ["index", "add", "IDX"].iter().chain(args);
            let (code, _, stderr) = outcome(unisono(all).current_dir(&dir));
            assert_eq!(code, 0, "{stderr}");
        };
        add(&[
            "more",
            "--text",
            "A text of some length, which is shown as it is, and <b>not</b> as a page.",
            "--manifest",
            "films.jsonl",
        ]);
        fs::remove_file(dir.join("more/gone.png")).unwrap();
        dir
    })
}

/// A server of the index, and a browser at its page; none where there is no browser.
fn opened(path: &str, size: (u32, u32), args: &[&str]) -> Option<(Served, Chrome)> {
    let mut chrome = Chrome::start()?;
    let all: Vec<&str> = ["--index", "IDX"].iter().chain(args).copied().collect();
    let served = Served::start(place(), &all);
    chrome.open(&format!("http://{}{path}", served.addr), size);
    chrome.until("document.querySelector('#holds').textContent.includes('picture')");
    Some((served, chrome))
}

/// Nothing went wrong in the page, and nothing was asked of anybody else.
fn ends_well(served: Served, chrome: &Chrome) {
    assert!(chrome.errors.is_empty(), "{:#?}", chrome.errors);
    let own = format!("http://{}/", served.addr);
    let strange =
        |url: &&String| !["about:", "data:", "blob:", own.as_str()].iter().any(|ours| url.starts_with(ours));
    assert_eq!(chrome.asked.iter().find(strange), None);
    assert_eq!(served.end(), Some(0));
}
