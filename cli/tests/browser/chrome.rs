//! Chromium without a window, driven over the DevTools protocol: messages go through two pipes, each ends with a zero byte.
//! <https://chromedevtools.github.io/devtools-protocol/>

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// The longest that the browser may be silent before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with one page.
pub struct Chrome {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    session: Value,
    /// What went wrong in the page, and where it asked for something: its own server only.
    pub errors: Vec<String>,
    pub asked: Vec<String>,
    _profile: TempDir,
}

/// The browser's program; none where there is none, and none where tests run by themselves.
fn program() -> Option<PathBuf> {
    if std::env::var_os("CI").is_some() {
        return None;
    }
    let folders = std::env::var_os("PATH")?;
    let all = std::env::split_paths(&folders).flat_map(|dir| NAMES.map(|name| dir.join(name)));
    let given = std::env::var_os("UNISONO_TEST_CHROMIUM").map(PathBuf::from);
    given.into_iter().chain(all).find(|path| path.is_file())
}

impl Chrome {
    /// Starts it; where there is no browser, says so.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: there is no chromium on PATH (or this is CI)");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            // The browser reads its third file and writes its fourth.
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
                "--mute-audio",
            ])
            .args([
                "--autoplay-policy=no-user-gesture-required",
                "--force-color-profile=srgb",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(from).split(0) {
                let Ok(message) = message else { return };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let (errors, asked) = (Vec::new(), Vec::new());
        let mut chrome = Self {
            child,
            to,
            from: receiver,
            next: 0,
            session: Value::Null,
            errors,
            asked,
            _profile: profile,
        };
        let target = chrome.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = chrome.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        chrome.session = attached["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            chrome.call(&format!("{domain}.enable"), json!({}));
        }
        Some(chrome)
    }

    /// One command; what it gives.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut got = self.from.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{method}: {e}"));
            if got["id"] == id {
                assert!(got.get("error").is_none(), "{method}: {}", got["error"]);
                return got["result"].take();
            }
            self.note(&got);
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.errors.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.errors.push(params["entry"].to_string());
            }
            "Network.requestWillBeSent" => {
                self.asked.push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => (),
        }
    }

    /// What an expression is in the page, once it is settled.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let made = self.call("Runtime.evaluate", params);
        assert!(made.get("exceptionDetails").is_none(), "{expression}: {}", made["exceptionDetails"]);
        made["result"]["value"].clone()
    }

    /// Waits until an expression holds in the page.
    pub fn until(&mut self, expression: &str) {
        let wait = format!(
            "new Promise((done, fail) => {{ const from = Date.now(), look = () => {{ \
               if ({expression}) done(true); else if (Date.now() - from > 60000) fail(new Error('in vain')); else setTimeout(look, 10); }}; look(); }})"
        );
        self.eval(&wait);
    }

    /// Opens a page, as wide and high as that.
    pub fn open(&mut self, url: &str, (width, height): (u32, u32)) {
        self.size(width, height);
        self.call("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    pub fn size(&mut self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    pub fn scheme(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Presses one key: a letter, or `Enter`, `Tab`, `Escape`, `ArrowDown` and their like.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => Some("\r"),
            one if one.chars().count() == 1 => Some(one),
            _ => None,
        };
        let mut down = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
        if let Some(text) = text {
            down["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call(
            "Input.dispatchKeyEvent",
            json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}),
        );
    }

    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// The middle of the first element that a selector finds, brought into view.
    fn middle(&mut self, selector: &str) -> (f64, f64) {
        let found = format!(
            "(() => {{ const node = document.querySelector({selector:?}); node.scrollIntoView({{ block: 'center' }}); \
               const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let at = self.eval(&found);
        (at[0].as_f64().unwrap(), at[1].as_f64().unwrap())
    }

    pub fn click(&mut self, selector: &str) {
        let (x, y) = self.middle(selector);
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Drags a file over the page, looks at it, and lets it go.
    pub fn drop_file(&mut self, file: &Path, over: impl FnOnce(&mut Self)) {
        let data = json!({"items": [], "files": [file], "dragOperationsMask": 1});
        let event = |kind: &str| json!({"type": kind, "x": 200, "y": 200, "data": data});
        self.call("Input.dispatchDragEvent", event("dragEnter"));
        self.call("Input.dispatchDragEvent", event("dragOver"));
        over(self);
        self.call("Input.dispatchDragEvent", event("drop"));
    }

    /// Keeps what is seen as a picture, for people.
    pub fn shot(&mut self, name: &str) {
        use base64::Engine;
        let made = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = base64::prelude::BASE64_STANDARD.decode(made["data"].as_str().unwrap()).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// Controls of the accessibility tree: role and name.
    pub fn controls(&mut self) -> Vec<(String, String)> {
        const ROLES: [&str; 14] = [
            "button",
            "link",
            "textbox",
            "searchbox",
            "checkbox",
            "radio",
            "combobox",
            "slider",
            "dialog",
            "image",
            "Date",
            "DisclosureTriangle",
            "application",
            "group",
        ];
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false);
        let all = nodes.map(|node| (text(&node["role"]), text(&node["name"])));
        all.filter(|(role, _)| ROLES.contains(&role.as_str())).collect()
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // With its pipes closed it ends by itself, and all its processes with it; the profile's folder goes after.
        let _ = self.to.write_all(b"{\"id\": 0, \"method\": \"Browser.close\"}\0");
        let _ = self.child.wait();
    }
}
