//! The map: its items, their pictures, what was found among them, and going about in it.

use crate::{ends_well, opened};
use serde_json::json;

#[test]
fn the_map_is_looked_at_with_keys_and_pointer() {
    let Some((served, mut chrome)) = opened("/", (1180, 860), &[]) else { return };
    let told = served.get("/v1/map").json();
    let count = served.get("/v1/index").json()["count"].as_u64().unwrap() as usize;
    let columns = ["rows", "kinds", "x", "y"].map(|key| told[key].as_array().unwrap().len());
    assert!(columns[0] > 12 && columns[0] <= count && columns.iter().all(|n| *n == columns[0]), "{told}");
    let inside = |v: &serde_json::Value| (0.0..=1.0).contains(&v.as_f64().unwrap());
    assert!(["x", "y"].iter().all(|key| told[key].as_array().unwrap().iter().all(inside)));
    chrome.eval("document.activeElement.blur()");
    chrome.key("g");
    chrome.until("document.activeElement.id === 'field' && document.querySelectorAll('.pin').length > 0");
    chrome.until("[...document.querySelectorAll('.pin')].every(pin => pin.complete && pin.naturalWidth > 0)");
    assert_eq!(chrome.eval("document.querySelector('#view').getAttribute('aria-pressed')"), "true");
    // From item to item: each step says where it is.
    let said = "document.querySelector('#spoken').textContent";
    chrome.key("ArrowRight");
    chrome.until(&format!("{said} !== '' && document.querySelector('#spot .hit') !== null"));
    let first = chrome.eval("chosen");
    chrome.key("ArrowLeft");
    chrome.until(&format!("chosen !== {first}"));
    let moved = chrome.eval(&format!("plot.x[chosen] <= plot.x[{first}]"));
    assert_eq!(moved, true);
    chrome.key("+");
    assert!(chrome.eval("view.zoom").as_f64().unwrap() > 1.5);
    chrome.shot("map");
    chrome.key("0");
    assert_eq!(chrome.eval("[view.zoom, view.x, view.y]"), json!([1, 0.5, 0.5]));
    // More like it lights up what was found, and says so.
    chrome.key("m");
    chrome.until("lights !== null && lights.length > 0");
    assert_eq!(
        chrome.eval("lights.length <= found.length && found.every(hit => plot.rows[chosen] !== undefined)"),
        true
    );
    chrome.until("/result 1$/.test(document.querySelector('#spoken').textContent)");
    chrome.shot("map-found");
    // A dot is clicked.
    let at = chrome.eval("(() => { const f = frame(), box = document.querySelector('#field').getBoundingClientRect(), n = plot.rows.findIndex((_, n) => n !== chosen); \
        return [box.x + f.left(n), box.y + f.top(n), n]; })()");
    for kind in ["mousePressed", "mouseReleased"] {
        chrome.call(
            "Input.dispatchMouseEvent",
            json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}),
        );
    }
    chrome.until(&format!(
        "Math.hypot(frame().left(chosen) - frame().left({0}), frame().top(chosen) - frame().top({0})) < 1",
        at[2]
    ));
    // One modality alone; and back to the results.
    chrome.eval("document.querySelector('#kinds input[value=image]').click()");
    chrome.until("plot.only === 'image'");
    chrome.click("#view");
    assert_eq!(
        chrome.eval("[mapped(), document.querySelectorAll('#grid > li').length > 0]"),
        json!([false, true])
    );
    // A file that is not there any more has no picture; its dot stays.
    chrome.errors.retain(|error| !error.contains("404 (Not Found)"));
    ends_well(served, &chrome);
}
