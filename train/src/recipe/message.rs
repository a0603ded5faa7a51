//! What a recipe that cannot be read is told.

use crate::Error;
use std::path::Path;

/// The line, and what is wrong there.
pub(super) fn from_toml(path: &Path, text: &str, e: &toml::de::Error) -> Error {
    let line = e.span().map(|s| format!(":{}", text[..s.start.min(text.len())].matches('\n').count() + 1));
    Error::Recipe { path: path.into(), line: line.unwrap_or_default(), message: nearest(e.message()) }
}

/// "unknown field `hight`, expected one of `width`, `height`" → with the nearest name.
pub(super) fn nearest(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(found) = quoted.next().filter(|_| message.starts_with("unknown field")) else { return message };
    let known: Vec<&str> = quoted.collect();
    let best = known.iter().min_by_key(|k| edit_distance(found, k));
    match best {
        Some(best) if edit_distance(found, best) <= found.chars().count().div_ceil(2).max(2) => {
            format!("unknown key `{found}`; did you mean `{best}`? Known here: {}", known.join(", "))
        }
        _ => format!("unknown key `{found}`; known here: {}", known.join(", ")),
    }
}

/// Levenshtein's distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, distance) in
            [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("hight", "height", 1)]
        {
            assert_eq!((edit_distance(a, b), edit_distance(b, a)), (distance, distance));
        }
    }

    #[test]
    fn the_nearest_key_is_named_only_where_it_is_near() {
        let said =
            |found: &str| nearest(&format!("unknown field `{found}`, expected one of `width`, `height`"));
        assert_eq!(said("hight"), "unknown key `hight`; did you mean `height`? Known here: width, height");
        assert_eq!(said("zzzzzzzz"), "unknown key `zzzzzzzz`; known here: width, height");
        assert_eq!(nearest("missing  field\n`x`"), "missing field `x`");
    }
}
