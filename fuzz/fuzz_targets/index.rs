#![no_main]
//! An index's header, then its items behind a zero byte.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |b| *b == 0);
    file::file("index.json", parts.next().unwrap_or_default());
    file::file("items.jsonl", parts.next().unwrap_or_default());
    let _ = unisono_jobs::index::open(file::folder());
});
