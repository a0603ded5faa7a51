//! What servers answer: one of its own tells nothing of its options, so each is asked the same.

use crate::support;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command says; a server's answers behind it.
pub fn outcome(name: &str, dir: &Path, command: &mut Command) -> (i32, String, String) {
    match name {
        "serve" => served(dir, command),
        "mcp" => agent(dir, command),
        _ => support::outcome(command),
    }
}

fn url(dir: &Path, name: &str, mime: &str) -> String {
    format!("data:{mime};base64,{}", BASE64_STANDARD.encode(fs::read(dir.join(name)).unwrap()))
}

fn ask(addr: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // One that is refused early may be closed before all of it is sent.
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let all = String::from_utf8_lossy(&all).into_owned();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    format!("{} {body}", head.lines().next().unwrap())
}

/// Starts it, asks, and asks it to end.
fn served(dir: &Path, command: &mut Command) -> (i32, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut output, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
    output.read_line(&mut line).unwrap();
    let mut said = String::new();
    if let Some(addr) = line.trim().strip_prefix("listening on http://") {
        let mut post = |path: &str, body: Value| {
            said += &format!("{path}: {}\n", ask(addr, "POST", path, &body.to_string()))
        };
        post("/v1/embeddings", json!({"input": ["a red bus", "un chat", "x", "ein blauer Bus", "a"]}));
        post(
            "/v1/embeddings",
            json!({"input": [url(dir, "photos/p0.png", "image/png"), url(dir, "photos/p1.png", "image/png")]}),
        );
        for (name, mime) in [("cut.png", "image/png"), ("audio.wav", "audio/wav"), ("clip.mp4", "video/mp4")]
        {
            post("/v1/embeddings", json!({"input": url(dir, name, mime)}));
        }
        post("/v1/search", json!({"query": " ".repeat(60_000) + "a", "k": 1}));
        let index = ask(addr, "GET", "/v1/index", "");
        let metrics = ask(addr, "GET", "/metrics", "");
        let batches = metrics.lines().filter(|line| {
            line.starts_with("unisono_batches_total") || line.starts_with("unisono_model_bytes")
        });
        said += &format!("{index}\n{}\n", batches.collect::<Vec<_>>().join("\n"));
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    } else {
        said = line;
    }
    let mut errors = String::new();
    output.read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    // Tests of times have their own file: here an answer's seconds are no news.
    let said = said
        .split("\"seconds\":")
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit() || ".e-".contains(c)));
    (child.wait().unwrap().code().unwrap_or(-1), said.collect::<Vec<_>>().join("\"seconds\":"), errors)
}

/// Asks it for what is like some files.
fn agent(dir: &Path, command: &mut Command) -> (i32, String, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"}).to_string() + "\n";
    for name in ["photos/p0.png", "cut.png", "audio.wav", "clip.mp4"] {
        let arguments = json!({"path": dir.join(name), "k": 1, "modality": ["text"]});
        let params = json!({"name": "search", "arguments": arguments});
        lines +=
            &format!("{}\n", json!({"jsonrpc": "2.0", "id": name, "method": "tools/call", "params": params}));
    }
    // One that does not start reads nothing.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}
