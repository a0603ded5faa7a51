//! What it costs to open an index: `open FOLDER` prints how long it takes, and the memory that the process holds then but for what is mapped
//! from files.

use std::time::Instant;
use unisono_index::Index;

/// In MiB, where the system tells.
fn held() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: open FOLDER")?;
    let begun = Instant::now();
    let index = Index::<serde_json::Value>::open(folder)?;
    let seconds = begun.elapsed().as_secs_f64();
    let held = held().map_or_else(|| "unknown".to_owned(), |held| format!("{held:.0} MiB"));
    println!("{} items in {seconds:.2} s, memory {held}", index.len());
    Ok(())
}
