//! Command lines as words.
#![allow(dead_code)]

/// The words of a line as a shell cuts them: by spaces, with quotes.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => (quote, any) = (Some(c), true),
            (None, ' ') => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// The parts one after another; an option of a later part replaces the same one of an earlier part. `valued`: it is followed by a value.
pub fn merge(parts: &[&str], valued: impl Fn(&str) -> bool) -> Vec<String> {
    let mut line: Vec<String> = Vec::new();
    for part in parts {
        let part = words(part);
        for option in part.iter().filter(|word| word.starts_with("--")) {
            while let Some(at) = line.iter().position(|word| word == option) {
                line.drain(at..line.len().min(at + 1 + usize::from(valued(option))));
            }
        }
        line.extend(part);
    }
    line
}
