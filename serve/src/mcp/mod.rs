//! The Model Context Protocol on standard input and output: an agent searches, and asks about what it finds. A line is a message (JSON-RPC 2.0); the few that a
//! server of tools needs are here, as <https://modelcontextprotocol.io/specification/2025-06-18> says them.

mod tools;

use crate::app::App;
use crate::refresh::refresh;
use crate::server::runtime;
use crate::{Error, Result};
use serde_json::{Value, json};
use std::io::{BufRead, Read, Write};
use std::sync::Arc;

/// Versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// Longest message, in bytes.
const LONGEST: u64 = 64 << 20;

/// Codes of JSON-RPC.
const NO_JSON: i64 = -32700;
const NO_REQUEST: i64 = -32600;
const NO_METHOD: i64 = -32601;
const NO_PARAMS: i64 = -32602;

/// Answers until the input ends.
///
/// # Errors
/// The input cannot be read, or the output cannot be written.
pub fn serve(app: App, mut input: impl BufRead, mut output: impl Write) -> Result<()> {
    let app = Arc::new(app);
    let runtime = runtime(app.settings.workers)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if read.map_err(Error::system("standard input"))? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = match serde_json::from_slice::<Value>(&line) {
            Ok(message) => runtime.block_on(answer(&app, &message)),
            Err(e) => Some(failure(&Value::Null, NO_JSON, &format!("no JSON: {e}"))),
        };
        if let Some(answer) = answer {
            let mut text = answer.to_string();
            text.push('\n');
            let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
            written.map_err(Error::system("standard output"))?;
        }
    }
    app.end();
    Ok(())
}

/// What is answered to a message; nothing to one that wants no answer.
async fn answer(app: &Arc<App>, message: &Value) -> Option<Value> {
    let id = message.get("id").filter(|id| !id.is_null());
    let (method, id) = match (message.get("method").and_then(Value::as_str), id) {
        (Some(method), Some(id)) => (method, id),
        // A notification, or an answer to what was never asked.
        (Some(_), None) => return None,
        (None, Some(_)) if message.get("result").is_some() || message.get("error").is_some() => return None,
        (None, id) => return Some(failure(id.unwrap_or(&Value::Null), NO_REQUEST, "expected a method")),
    };
    let params = message.get("params").cloned().unwrap_or_default();
    let result = match method {
        "initialize" => initialized(app, &params),
        "ping" => json!({}),
        "tools/list" => json!({ "tools": tools::list(app) }),
        "tools/call" => {
            refresh(app);
            let name = params["name"].as_str().unwrap_or_default();
            let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
            match tools::call(app, name, arguments).await {
                Some(Ok(content)) => json!({ "content": content, "isError": false }),
                // The agent reads it, and does better.
                Some(Err(e)) => {
                    json!({ "content": [{ "type": "text", "text": e.message }], "isError": true })
                }
                None => return Some(failure(id, NO_PARAMS, &format!("there is no tool {name:?}"))),
            }
        }
        _ => return Some(failure(id, NO_METHOD, &format!("there is no method {method:?}"))),
    };
    Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn failure(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

fn initialized(app: &App, params: &Value) -> Value {
    let wanted = params["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS.iter().find(|v| **v == wanted).unwrap_or(&VERSIONS[0]);
    let holds = app.index_if_any().map(|index| {
        let counts: Vec<String> = index.counts().iter().map(|(m, n)| format!("{n} {m}")).collect();
        format!(" The index holds {}; a hit's row names it in other tools.", counts.join(", "))
    });
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "unisono", "version": env!("CARGO_PKG_VERSION") },
        "instructions": format!(
            "Searches pictures, sounds, videos and texts by meaning, and says what they show.{}", holds.unwrap_or_default()
        ),
    })
}
