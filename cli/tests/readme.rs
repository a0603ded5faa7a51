//! The README's code block is `examples/embed.rs`, which the tests compile.
#![allow(clippy::unwrap_used, missing_docs)]

#[test]
fn the_readme_shows_the_example() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let example = std::fs::read_to_string(root.join("examples/embed.rs")).unwrap();
    let (_, code) = example.split_once('\n').unwrap();
    assert!(readme.contains(code.trim()), "README.md and examples/embed.rs differ");
}
