#![no_main]
//! A Parquet file: its footer, its pages, its rows as records.

mod file;

use std::sync::Once;

/// A panic of the `parquet` crate that the reader catches is no find: the fuzzer's hook, which ends the process at once, is taken off. One that is not caught still ends it.
static CAUGHT: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    CAUGHT.call_once(|| std::panic::set_hook(Box::new(|panic| drop(writeln(panic)))));
    unisono_datasets::fuzzing::parquet(file::folder(), bytes)
});

/// What is said of a panic of our own.
fn writeln(panic: &std::panic::PanicHookInfo) -> Option<()> {
    let at = panic.location()?;
    if !at.file().contains("/parquet-") {
        eprintln!("{panic}");
    }
    Some(())
}
