//! Nothing that a stranger sends ends it, or gets what is not theirs.

use crate::http::{Reply, Served, signal};
use crate::support::{outcome, unisono};
use crate::{data_url, place, room, served, tiny};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

#[test]
fn only_files_of_the_index_are_served() {
    let s = served();
    let found = s.post("/v1/search", &json!({"query": "a", "modality": "image", "k": 1})).json();
    let hit = &found["hits"][0];
    let (row, path) = (hit["row"].as_u64().unwrap(), hit["file"].as_str().unwrap());
    let whole = s.get(path);
    assert_eq!((whole.status, whole.headers["content-type"].as_str()), (200, "image/png"));
    let bytes = fs::read(place().join("media").join(hit["name"].as_str().unwrap())).unwrap();
    assert_eq!(whole.body, bytes);
    assert!(whole.headers["content-security-policy"].contains("sandbox"));
    let part = s.send("GET", path, &[("Range", "bytes=3-9")], b"");
    assert_eq!((part.status, &part.body[..]), (206, &bytes[3..10]));
    assert_eq!(part.headers["content-range"], format!("bytes 3-9/{}", bytes.len()));
    assert_eq!(s.send("GET", path, &[("Range", "bytes=9999999-")], b"").status, 416);
    // What a client has is not sent again; a part of another state is not sent at all.
    let tag = whole.headers["etag"].as_str();
    assert_eq!(s.send("GET", path, &[("If-None-Match", tag)], b"").status, 304);
    assert_eq!(s.send("GET", path, &[("Range", "bytes=3-9"), ("If-Range", tag)], b"").status, 206);
    assert_eq!(s.send("GET", path, &[("Range", "bytes=3-9"), ("If-Range", "\"other\"")], b"").status, 200);
    let edge = |edge: &str| s.get(&format!("/v1/items/{row}/thumbnail?edge={edge}"));
    assert_eq!(
        [edge("16").status, edge("15").status, edge("x").status, edge("9999").status],
        [200, 400, 400, 400]
    );
    assert_ne!(edge("16").headers["etag"], edge("17").headers["etag"]);
    let small = s.get(&format!("/v1/items/{row}/thumbnail"));
    assert_eq!((small.status, &small.body[..2]), (200, &[0xff, 0xd8][..]));
    for path in [
        "/v1/items/999/file",
        "/v1/items/-1/file",
        "/v1/items/..%2f..%2fetc%2fpasswd/file",
        "/v1/items/../../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ] {
        let reply = s.get(path);
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
}

#[test]
fn a_link_in_the_place_of_a_file_leads_nowhere() {
    let dir = place().join("linked");
    fs::create_dir_all(dir.join("in")).unwrap();
    tiny::image(&dir.join("in/a.png"), 5);
    let args = ["index", "build", "--model", "model", "--out", "linked/IDX", "linked/in"];
    let (code, _, stderr) = outcome(unisono(args).current_dir(place()));
    assert_eq!(code, 0, "{stderr}");
    let s = Served::start(place(), &["--index", "linked/IDX"]);
    assert_eq!(s.get("/v1/items/0/file").status, 200);
    fs::write(dir.join("secret"), "a secret").unwrap();
    fs::remove_file(dir.join("in/a.png")).unwrap();
    room::link(&dir.join("secret"), &dir.join("in/a.png"));
    for path in ["/v1/items/0/file", "/v1/items/0/thumbnail"] {
        let reply = s.get(path);
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    // What a model would tell of it is not told either.
    let row = json!({"row": 0});
    for (path, body) in [
        ("/v1/embeddings", json!({"input": row})),
        ("/v1/embeddings", json!({"input": ["a", row]})),
        ("/v1/classify", json!({"input": row, "labels": ["a", "b"]})),
        ("/v1/why", json!({"query": "a", "row": 0})),
    ] {
        let reply = s.post(path, &body);
        assert!(reply.status == 403 && reply.message().contains("not followed"), "{path}: {}", reply.text());
    }
    assert_eq!(s.end(), Some(0));
}

#[test]
fn a_link_in_the_place_of_an_archive_leads_nowhere() {
    let dir = place().join("packed");
    fs::create_dir_all(dir.join("far")).unwrap();
    for n in 0..2 {
        let at = dir.join(format!("a{n}.png"));
        tiny::image(&at, 70 + n);
        fs::write(dir.join(format!("a{n}.txt")), format!("packed {n}")).unwrap();
    }
    let tar = |name: &str| {
        let args = ["-cf", name, "a0.png", "a0.txt", "a1.png", "a1.txt"];
        assert!(Command::new("tar").args(args).current_dir(&dir).status().unwrap().success());
    };
    tar("far/shard.tar");
    // One that was a link when the index was made is the user's own.
    room::link(&dir.join("far/shard.tar"), &dir.join("shard.tar"));
    let args = ["index", "build", "--model", "model", "--out", "packed/IDX", "--data", "packed/shard.tar"];
    let (code, _, stderr) = outcome(unisono(args).current_dir(place()));
    assert_eq!(code, 0, "{stderr}");
    let s = Served::start(place(), &["--index", "packed/IDX"]);
    let found = s.post("/v1/search", &json!({"query": "packed", "modality": "image", "k": 1})).json();
    let path = found["hits"][0]["file"].as_str().unwrap();
    assert_eq!(s.get(path).status, 200);
    tar("other.tar");
    fs::remove_file(dir.join("shard.tar")).unwrap();
    room::link(&dir.join("other.tar"), &dir.join("shard.tar"));
    assert_eq!(s.get(path).status, 403);
    assert_eq!(s.post("/v1/embeddings", &json!({"input": {"row": found["hits"][0]["row"]}})).status, 403);
    assert_eq!(s.end(), Some(0));
}

#[test]
fn a_link_in_the_place_of_a_folder_leads_nowhere() {
    let dir = place().join("behind");
    fs::create_dir_all(dir.join("far/of")).unwrap();
    tiny::image(&dir.join("far/of/a.png"), 5);
    // A link above that was there when the index was made is the user's own.
    room::link(&dir.join("far"), &dir.join("in"));
    let args = ["index", "build", "--model", "model", "--out", "behind/IDX", "behind/in"];
    let (code, _, stderr) = outcome(unisono(args).current_dir(place()));
    assert_eq!(code, 0, "{stderr}");
    let s = Served::start(place(), &["--index", "behind/IDX"]);
    assert_eq!(s.get("/v1/items/0/file").status, 200);
    fs::create_dir(dir.join("secret")).unwrap();
    fs::write(dir.join("secret/a.png"), "a secret").unwrap();
    fs::rename(dir.join("far/of"), dir.join("far/was")).unwrap();
    assert_eq!(s.get("/v1/items/0/file").status, 404);
    room::link(&dir.join("secret"), &dir.join("far/of"));
    for path in ["/v1/items/0/file", "/v1/items/0/thumbnail"] {
        let reply = s.get(path);
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    fs::remove_file(dir.join("far/of")).unwrap();
    fs::rename(dir.join("far/was"), dir.join("far/of")).unwrap();
    assert_eq!(s.get("/v1/items/0/file").status, 200);
    assert_eq!(s.end(), Some(0));
}

/// So many connections that say nothing keep nobody waiting.
fn idle(wanted: usize) {
    let s = Served::start(place(), &["--model", "model"]);
    let idle: Vec<_> = (0..wanted).map(|_| s.connect()).collect();
    assert_eq!(s.post("/v1/embeddings", &json!({"input": "a"})).status, 200);
    assert_eq!(s.get("/health").status, 200);
    drop(idle);
    assert_eq!(s.post("/v1/embeddings", &json!({"input": "a"})).status, 200);
    assert_eq!(s.end(), Some(0));
}

#[test]
fn connections_that_say_nothing_keep_nobody_waiting() {
    idle(500);
}

/// Lets these tests have so many open files; whether they have them then.
fn may_open(files: usize) -> bool {
    let args = ["--pid", &std::process::id().to_string(), &format!("--nofile={files}:")];
    Command::new("prlimit").args(args).status().is_ok_and(|status| status.success())
}

#[test]
fn ten_thousand_connections_that_say_nothing_keep_nobody_waiting() {
    match may_open(12_000) {
        true => idle(10_000),
        false => println!("skipped: the system allows no 12,000 open files (`ulimit -Hn`)"),
    }
}

#[test]
fn more_values_than_anybody_means_are_not_held() {
    let s = Served::start(place(), &["--model", "model"]);
    let many = format!("{{\"input\": [{}]}}", vec!["{}"; 1 << 20].join(","));
    let reply = s.send("POST", "/v1/embeddings", &[("Content-Type", "application/json")], many.as_bytes());
    assert!(
        reply.status == 413 && reply.message().contains("values, and the limit is 262144"),
        "{}",
        reply.text()
    );
    let parts =
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat((1 << 18) + 1) + "--XX--\r\n";
    let form = [("Content-Type", "multipart/form-data; boundary=XX")];
    assert_eq!(s.send("POST", "/v1/embeddings", &form, parts.as_bytes()).status, 413);
    assert_eq!(s.post("/v1/embeddings", &json!({"input": "a"})).status, 200);
    assert_eq!(s.end(), Some(0));
}

#[test]
fn a_gigabyte_is_not_read() {
    let s = Served::start(place(), &["--model", "model"]);
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        s.addr
    );
    let mut stream = s.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [format!("{:x}\r\n", 1 << 20).as_bytes(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    // It hears what is wrong, and the rest is not taken.
    let sent = (0..1024).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 200, "{sent} MiB were taken");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&rest));
    let memory = fs::read_to_string(format!("/proc/{}/status", s.child.id())).unwrap();
    let most = memory.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    let most: u64 = most.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(most < 1 << 20, "{most} kB");
    assert_eq!(s.post("/v1/embeddings", &json!({"input": "a"})).status, 200);
    assert_eq!(s.end(), Some(0));
}

#[test]
fn hostile_requests_are_refused_and_it_goes_on() {
    let s = Served::start(place(), &["--model", "model", "--max-body", "50K", "--max-inputs", "4"]);
    let json_type = [("Content-Type", "application/json")];
    let post = |body: &[u8]| s.send("POST", "/v1/embeddings", &json_type, body);
    for (body, part) in [
        (&b"{\"input\": "[..], "no JSON"),
        (b"", "no JSON"),
        (b"[]", "expected a JSON object"),
        (b"{}", "expected an input"),
        (b"{\"input\": [[1, 2]]}", "token ids are not taken"),
        (b"{\"input\": \"a\", \"dimensions\": 99}", "embeds with 1 to 12 numbers"),
        (b"{\"input\": \"a\", \"encoding_format\": \"hex\"}", "unknown variant"),
        (b"{\"input\": {\"image\": \"https://example.org/a.png\"}}", "URLs are not fetched"),
        (b"{\"input\": {\"image\": \"aGFsbG8=\"}}", "input"),
        (&b"{\"input\": \"".repeat(2)[..], "no JSON"),
    ] {
        let reply = post(body);
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.message().contains(part), "{part}: {}", reply.text());
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(post(b"{\"input\": \"a\", \"model\": \"gpt\"}").status, 404);
    assert_eq!(post(b"{\"input\": [\"a\", \"a\", \"a\", \"a\", \"a\"]}").status, 413);
    assert_eq!(post(&vec![b' '; 60_000]).status, 413);
    assert_eq!(s.send("POST", "/v1/embeddings", &[("Content-Type", "text/plain")], b"a").status, 415);
    assert_eq!(s.get("/v1/embeddings").status, 405);
    assert_eq!(s.get("/nothing").status, 404);
    assert!(s.get("/v1/index").message().contains("no index here"));
    // Bodies without a length are counted as they come; a head that promises a gigabyte is refused at once.
    let head =
        format!("POST /v1/embeddings HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", s.addr);
    let chunk = format!("{:x}\r\n{}\r\n", 30_000, " ".repeat(30_000));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    assert_eq!(s.raw(chunked.as_bytes()).status, 413);
    assert_eq!(s.raw(format!("{head}Content-Length: 1000000000\r\n\r\n").as_bytes()).status, 413);
    // Heads have a bound, in letters and in lines.
    let long = format!("GET /health HTTP/1.1\r\nHost: {}\r\n", s.addr);
    for more in [format!("X-Long: {}\r\n", "a".repeat(300_000)), "X-Line: a\r\n".repeat(200)] {
        assert_eq!(s.raw(format!("{long}{more}\r\n").as_bytes()).status, 431);
    }
    // A pixel bomb is refused by its header.
    let bomb = place().join("bomb.png");
    tiny::pixel_bomb(&bomb);
    let reply = s.post("/v1/embeddings", &json!({"input": data_url("image/png", "bomb.png")}));
    assert!(reply.status == 400 && reply.message().contains("--max-pixels"), "{}", reply.text());
    // Connections that say nothing, half of something, or leave in between: others are answered meanwhile.
    let idle: Vec<_> = (0..300).map(|_| s.connect()).collect();
    let mut slow = s.connect();
    slow.write_all(b"POST /v1/embeddings HTTP/1.1\r\nHost: lo").unwrap();
    let mut half = s.connect();
    half.write_all(format!("{head}Content-Length: 100\r\n\r\n{{\"input\"").as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut noise = s.connect();
    let _ = noise.write_all(&[0xff; 4096]);
    for _ in 0..8 {
        let mut gone = s.connect();
        let body = json!({"input": "a"}).to_string();
        gone.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        drop(gone);
    }
    assert_eq!(post(b"{\"input\": \"a\"}").status, 200);
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest);
    // Whoever sends a head letter by letter is left.
    let _ = slow.read_to_end(&mut rest);
    drop((idle, slow));
    assert_eq!((s.get("/health").status, s.get("/ready").status), (200, 200));
    assert_eq!(s.end(), Some(0));
}

#[test]
fn strangers_pages_and_wrong_keys_are_refused() {
    let s = Served::start(place(), &["--model", "model"]);
    let get = |headers: &[(&str, &str)]| s.send("GET", "/v1/models", headers, b"").status;
    assert_eq!(get(&[]), 200);
    assert_eq!(get(&[("Host", "evil.example")]), 421);
    assert_eq!(get(&[("Origin", "https://evil.example")]), 403);
    // A picture on a stranger's page names no origin.
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        assert_eq!(get(&[("Sec-Fetch-Site", site)]), status, "{site}");
    }
    assert_eq!(s.send("GET", "/", &[("Sec-Fetch-Site", "cross-site")], b"").status, 200);
    assert_eq!(s.get("/v1/models").headers["cross-origin-resource-policy"], "same-origin");
    assert_eq!(get(&[("Origin", &format!("http://{}", s.addr))]), 200);
    assert_eq!(s.end(), Some(0));
    fs::write(place().join("keys"), "first-key\n\nsecond-key\n").unwrap();
    let s = Served::start(place(), &["--model", "model", "--api-keys", "keys"]);
    let get = |headers: &[(&str, &str)]| s.send("GET", "/v1/models", headers, b"");
    let refused = get(&[]);
    assert_eq!((refused.status, refused.headers["www-authenticate"].as_str()), (401, "Bearer"));
    assert_eq!(get(&[("Authorization", "Bearer first-ke")]).status, 401);
    assert_eq!(get(&[("Authorization", "Bearer first-key")]).status, 200);
    assert_eq!(get(&[("X-API-Key", "second-key")]).status, 200);
    assert_eq!(get(&[("Cookie", "a=b; unisono-key=second-key")]).status, 200);
    for open in ["/health", "/ready", "/"] {
        assert_eq!(s.get(open).status, 200);
    }
    assert_eq!(s.get("/metrics").status, 401);
    assert_eq!(s.end(), Some(0));
}

#[test]
fn more_than_the_queue_holds_is_told_to_come_again() {
    let s = Served::start(place(), &["--model", "model", "--queue", "1", "--batch", "1"]);
    let texts: Vec<String> = (0..400).map(|n| format!("number {n}")).collect();
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let (s, texts) = (&s, &texts);
        let one = || scope.spawn(move || s.post("/v1/embeddings", &json!({"input": texts})));
        let all: Vec<_> = (0..12).map(|_| one()).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(replies.iter().any(|r| r.status == 200));
    for reply in replies.iter().filter(|r| r.status != 200) {
        assert_eq!(reply.status, 429, "{}", reply.text());
        assert!(reply.headers["retry-after"].parse::<u64>().unwrap() >= 1);
        assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    }
    // Nothing is left in the queue.
    assert_eq!(s.post("/v1/embeddings", &json!({"input": "a"})).status, 200);
    assert_eq!(s.end(), Some(0));
}

#[test]
fn what_is_being_answered_is_answered_before_the_end() {
    let mut s = Served::start(place(), &["--model", "model", "--batch", "1"]);
    let texts: Vec<String> = (0..2000).map(|n| format!("number {n}")).collect();
    let body = json!({ "input": texts }).to_string();
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        s.addr,
        body.len()
    );
    let mut stream = s.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    // It is in work when the server counts its inputs.
    while !s.get("/metrics").text().contains("unisono_inputs_inside 2000\n") {
        std::thread::yield_now();
    }
    signal(&s.child);
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&all[..all.len().min(300)]));
    assert_eq!(s.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let said = |args: &[&str]| {
        let all = ["serve"].iter().chain(args);
        let (code, stdout, stderr) = outcome(unisono(all).current_dir(place()));
        assert!(code != 0 && stdout.is_empty() && stderr.lines().count() <= 3, "{stderr}");
        stderr
    };
    assert!(said(&["--model", "model", "--addr", "nowhere"]).contains("give another address with --addr"));
    assert!(said(&["--model", "model", "--api-keys", "/none"]).contains("/none"));
    assert!(said(&["--model", "/none", "--addr", "127.0.0.1:0"]).contains("/none"));
    let twice = said(&["--model", "model", "--model", "./model", "--addr", "127.0.0.1:0"]);
    assert!(twice.contains("two models are called model"), "{twice}");
    let other = said(&["--index", "photos", "--addr", "127.0.0.1:0"]);
    assert!(other.contains("this is no index"), "{other}");
}
