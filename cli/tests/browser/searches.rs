//! Searches: by words, by a picture that is dropped, at a moment of a video; votes; all of it without a mouse.

use crate::{ends_well, opened, place};
use serde_json::{Value, json};
use std::fs;

const WIDE: (u32, u32) = (1180, 860);

/// The names on the cards, in their order.
const CAPTIONS: &str = "[...document.querySelectorAll('#grid > li')].map(c => c.getAttribute('aria-label').replace(/^\\d+: /, ''))";
const SEARCHED: &str = "/\\d+ results? of/.test(document.querySelector('#said').textContent)";

#[test]
fn words_find_what_the_server_finds_and_votes_are_kept() {
    let votes = place().join("votes.jsonl");
    let Some((served, mut chrome)) = opened("/", WIDE, &["--votes", "votes.jsonl"]) else { return };
    chrome.shot("empty");
    chrome.click("#words");
    chrome.write("a red bus");
    chrome.key("Enter");
    chrome.until(SEARCHED);
    chrome.shot("words");
    let told = served.post("/v1/search", &json!({"query": "a red bus", "k": 48})).json();
    let caption = |hit: &Value| {
        let said = |key: &str| hit[key].as_str().map(str::to_owned);
        said("text").or(said("name")).or(said("label")).or(said("id")).unwrap()
    };
    let hits = told["hits"].as_array().unwrap();
    let expected: Vec<String> = hits.iter().map(caption).collect();
    assert_eq!(chrome.eval(CAPTIONS), json!(expected));
    assert_eq!(chrome.eval("location.search"), "?q=a%20red%20bus");
    // A vote, and its opposite, and none.
    let pressed = "[...document.querySelectorAll('.thumb')].slice(0, 2).map(b => b.getAttribute('aria-pressed')).join()";
    for (click, after) in [(1, "true,false"), (2, "false,true"), (2, "false,false")] {
        chrome.click(&format!("#grid > li:first-child .thumb:nth-child({click})"));
        chrome.until(&format!("{pressed} === '{after}'"));
    }
    let lines = fs::read_to_string(&votes).unwrap();
    let kept: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.iter().map(|v| v["vote"].as_i64().unwrap()).collect::<Vec<_>>(), [1, -1, 0]);
    assert!(
        kept.iter().all(|v| v["query"] == "a red bus" && v["rank"] == 1 && v["item"]["id"] == hits[0]["id"]),
        "{lines}"
    );
    // One modality alone, then a filter that nothing passes, then all again, and back to the search before.
    chrome.eval("document.querySelector('#kinds input[value=audio]').click()");
    chrome.until("document.querySelectorAll('#grid > li.audio').length === document.querySelectorAll('#grid > li').length");
    chrome.eval("document.querySelector('#kinds input').click(); filtering(true)");
    chrome.click("#path");
    chrome.write("none/*");
    chrome.key("Enter");
    chrome.until("document.querySelector('#said').textContent === 'Nothing was found.'");
    assert_eq!(chrome.eval("document.querySelector('#active').textContent"), " · 1");
    chrome.shot("nothing");
    chrome.click("#reset");
    chrome.until(SEARCHED);
    chrome.eval("document.querySelector('#words').value = 'Bild 2'; document.querySelector('.go').click()");
    chrome.until("location.search === '?q=Bild%202'");
    chrome.until(SEARCHED);
    chrome.eval("history.back()");
    chrome.until("document.querySelector('#words').value === 'a red bus'");
    chrome.until(&format!("JSON.stringify({CAPTIONS}) === {:?}", json!(expected).to_string()));
    // What the server refuses is said.
    chrome.eval("document.querySelector('#where').value = 'year'; document.querySelector('.go').click()");
    chrome.until("document.querySelector('#said').className === 'wrong'");
    assert!(
        chrome
            .eval("document.querySelector('#said').textContent")
            .as_str()
            .unwrap()
            .contains("expected KEY=VALUE")
    );
    chrome.shot("refused");
    // The refusal itself stands in the browser's log.
    chrome.errors.retain(|error| !error.contains("400 (Bad Request)"));
    ends_well(served, &chrome);
}

#[test]
fn a_picture_that_is_dropped_finds_itself_and_why_is_shown() {
    let Some((served, mut chrome)) = opened("/", WIDE, &[]) else { return };
    chrome.drop_file(&place().join("media/p02.png"), |chrome| {
        assert_eq!(chrome.eval("document.body.classList.contains('drop')"), true);
        chrome.shot("dropping");
    });
    chrome.until(SEARCHED);
    assert_eq!(chrome.eval("document.body.classList.contains('drop')"), false);
    assert_eq!(chrome.eval("document.querySelector('#given').textContent"), "Like p02.png");
    chrome.until("document.querySelector('#given img').naturalWidth === 24");
    let first = chrome.eval("[document.querySelector('#grid li small').textContent, document.querySelector('#grid .score').title]");
    assert_eq!(first[0], "p02.png");
    assert!(first[1].as_str().unwrap().contains("cosine similarity 1.000"), "{first}");
    chrome.shot("dropped");
    // More like the second, and why a picture is a hit.
    chrome.click("#grid > li:nth-child(2) .more:not(.why)");
    chrome.until("document.querySelector('#given').textContent.startsWith('Like ') && !document.querySelector('#given').textContent.includes('p02')");
    chrome.until(SEARCHED);
    chrome.click(".why");
    chrome.until("/similarity falls from/.test(document.querySelector('#reason').textContent)");
    assert_eq!(chrome.eval("document.querySelectorAll('#parts rect').length"), 49);
    chrome.shot("why");
    chrome.key("Escape");
    assert_eq!(chrome.eval("document.querySelector('#why').open"), false);
    chrome.click("#given .icon");
    chrome.until(
        "document.querySelectorAll('#grid > li').length === 0 && document.activeElement.id === 'words'",
    );
    // No medium: it is said, and nothing is asked.
    chrome.drop_file(&place().join("films.jsonl"), |_| ());
    chrome.until("document.querySelector('#said').textContent === 'That is no picture, sound or video.'");
    ends_well(served, &chrome);
}

#[test]
fn a_video_opens_at_its_moment() {
    let Some((served, mut chrome)) = opened("/?q=film%201", WIDE, &[]) else { return };
    chrome.until(SEARCHED);
    let of =
        "[...document.querySelectorAll('#grid video')].find(v => v.getAttribute('src').endsWith('#t=1,2'))";
    chrome.eval(&format!("{of}.scrollIntoView()"));
    chrome.until(&format!("{of}.readyState >= 1 && {of}.currentTime === 1"));
    let card = chrome.eval(&format!("{of}.closest('li').textContent"));
    assert!(card.as_str().unwrap().contains("0:01 – 0:02"), "{card}");
    // It plays to the moment's end and stands there.
    chrome.eval(&format!("{of}.play()"));
    chrome.until(&format!("{of}.paused && {of}.currentTime >= 1.9 && {of}.currentTime < 2.3"));
    chrome.shot("video");
    ends_well(served, &chrome);
}

#[test]
fn all_of_it_by_keyboard() {
    let Some((served, mut chrome)) = opened("/", WIDE, &["--votes", "keys.jsonl"]) else { return };
    let focus = "document.activeElement.id || document.activeElement.getAttribute('aria-label')";
    chrome.eval("document.activeElement.blur()");
    chrome.key("/");
    assert_eq!(chrome.eval(focus), "words");
    chrome.write("Bild 1");
    chrome.key("Enter");
    chrome.until(SEARCHED);
    chrome.key("ArrowDown");
    let now = "[...document.querySelectorAll('#grid > li')].indexOf(document.activeElement)";
    assert_eq!(chrome.eval(now), 0);
    chrome.key("ArrowRight");
    chrome.key("ArrowRight");
    chrome.key("ArrowLeft");
    assert_eq!(chrome.eval(now), 1);
    let columns = chrome
        .eval("getComputedStyle(document.querySelector('#grid')).gridTemplateColumns.split(' ').length");
    chrome.key("ArrowDown");
    assert_eq!(chrome.eval(now), 1 + columns.as_i64().unwrap());
    chrome.shot("keyboard");
    chrome.key("+");
    chrome.until("document.activeElement.querySelector('.thumb').getAttribute('aria-pressed') === 'true'");
    // Into the card's buttons, and back to the card.
    chrome.key("Tab");
    assert_eq!(
        chrome.eval(&format!("[{now}, document.activeElement.closest('.hit') !== null]")),
        json!([-1, true])
    );
    chrome.key("Escape");
    assert_eq!(chrome.eval(now), 1 + columns.as_i64().unwrap());
    // A picture that was found: why, and more like it.
    chrome.eval("document.querySelector('.why').closest('li').focus()");
    chrome.key("w");
    chrome.until("/similarity falls from/.test(document.querySelector('#reason').textContent)");
    chrome.key("Escape");
    assert_eq!(chrome.eval("document.activeElement.closest('li') !== null"), true);
    chrome.key("m");
    chrome.until("!document.querySelector('#given').classList.contains('hidden')");
    chrome.until(SEARCHED);
    // Out of the results at the top, into the words.
    chrome.eval("document.querySelector('#grid > li').focus()");
    chrome.key("ArrowUp");
    assert_eq!(chrome.eval(focus), "words");
    // The tab key reaches every control that is seen before the results.
    chrome.eval("filtering(true)");
    let mut reached = Vec::new();
    for _ in 0..24 {
        chrome.key("Tab");
        reached.push(chrome.eval(focus).as_str().unwrap_or_default().to_owned());
    }
    for id in [
        "pick", "record", "view", "filter", "not", "path", "label", "where", "since", "before", "good",
        "reset",
    ] {
        assert!(reached.iter().any(|name| name == id), "{id}: {reached:?}");
    }
    ends_well(served, &chrome);
}
