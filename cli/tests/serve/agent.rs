//! `unisono mcp`: what an agent says, line by line.

use crate::support::unisono;
use crate::{command, place};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

/// What is answered to these messages.
fn told(args: &[&str], messages: &[Value]) -> Vec<Value> {
    let lines: String = messages.iter().map(|m| format!("{m}\n")).collect();
    said(args, lines.as_bytes())
}

fn said(args: &[&str], input: &[u8]) -> Vec<Value> {
    let mut command = unisono(["mcp"].iter().chain(args));
    command.current_dir(place()).env("OMP_NUM_THREADS", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn ask(id: usize, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn call(id: usize, name: &str, arguments: Value) -> Value {
    ask(id, "tools/call", json!({"name": name, "arguments": arguments}))
}

/// The JSON that a tool said.
fn content(answer: &Value) -> Value {
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
}

#[test]
fn an_agent_searches_and_asks() {
    let args: Vec<&str> = ["model", "captions", "answers", "speech"]
        .iter()
        .flat_map(|m| ["--model", *m])
        .chain(["--index", "IDX"])
        .collect();
    let at = |name: &str| place().join(name).display().to_string();
    let answers = told(
        &args,
        &[
            ask(
                1,
                "initialize",
                json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
            ),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            ask(2, "tools/list", json!({})),
            call(3, "search", json!({"query": "a red bus", "k": 3, "modality": ["image"]})),
            call(4, "caption", json!({"path": at("photos/p1.png")})),
            call(5, "ask", json!({"path": at("photos/p1.png"), "question": "what is it?"})),
            call(6, "transcribe", json!({"path": at("talks/s1.wav"), "language": "de"})),
            call(7, "scenes", json!({"path": at("clip.mp4")})),
            ask(8, "ping", json!({})),
            call(
                9,
                "search",
                json!({"query": "a red bus", "glob": ["p0[01].*"], "chance": 1, "where": ["lang=en"]}),
            ),
            call(10, "search", json!({"query": "a red bus", "not": "un chat", "since": "then"})),
        ],
    );
    let ids: Vec<u64> = answers.iter().map(|a| a["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-03-26");
    let tools = answers[1]["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search", "caption", "ask", "transcribe", "scenes"]);
    assert!(tools.iter().all(|t| t["inputSchema"]["type"] == "object"));
    let hits = content(&answers[2]);
    let found =
        command(&["search", "--index", "IDX", "a red bus", "-k", "3", "--modality", "image", "--json"]);
    for (a, b) in hits["hits"].as_array().unwrap().iter().zip(found["hits"].as_array().unwrap()) {
        assert_eq!((&a["id"], &a["path"]), (&b["id"], &b["path"]));
    }
    let pictures = answers[2]["result"]["content"].as_array().unwrap();
    assert!(pictures.len() == 4 && pictures[1]["mimeType"] == "image/jpeg", "{pictures:?}");
    let told = command(&["caption", "--model", "captions", "--json", "photos/p1.png"]);
    assert_eq!(content(&answers[3])["caption"], told["files"][0]["caption"]);
    let told =
        command(&["ask", "--model", "answers", "--json", "--question", "what is it?", "photos/p1.png"]);
    assert_eq!(content(&answers[4])["answer"], told["files"][0]["answer"]);
    let told = command(&["transcribe", "--model", "speech", "--json", "--language", "de", "talks/s1.wav"]);
    assert_eq!(content(&answers[5])["text"], told["files"][0]["text"]);
    assert!(!content(&answers[6])["scenes"].as_array().unwrap().is_empty());
    let some = content(&answers[8]);
    let some = some["hits"].as_array().unwrap();
    assert!(!some.is_empty() && some.iter().all(|h| h["path"].as_str().unwrap().contains("/p0")), "{some:?}");
    assert!(some.iter().all(|h| h["chance"].as_f64().is_some_and(|chance| chance <= 1.0)), "{some:?}");
    assert_eq!(answers[9]["result"]["isError"], true);
}

#[test]
fn what_an_agent_says_wrong_is_said_and_it_goes_on() {
    let mut input = b"{\"jsonrpc\": \n\n[]\n\xff\xfe\n".to_vec();
    for message in [
        ask(1, "resources/list", json!({})),
        call(2, "delete", json!({})),
        call(3, "search", json!({"query": "a"})),
        json!({"jsonrpc": "2.0", "id": 9, "result": {}}),
        ask(4, "initialize", json!({"protocolVersion": "1999-01-01"})),
        call(5, "scenes", json!({"path": "/none.mp4", "row": 1})),
    ] {
        input.extend(format!("{message}\n").bytes());
    }
    let answers = said(&["--model", "model"], &input);
    let codes: Vec<i64> = answers.iter().filter_map(|a| a["error"]["code"].as_i64()).collect();
    // No index: no search.
    assert_eq!(codes, [-32700, -32600, -32700, -32601, -32602, -32602]);
    assert_eq!(answers[6]["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(answers[7]["result"]["isError"], true);
}
