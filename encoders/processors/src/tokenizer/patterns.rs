//! Regular expressions from strangers' files: how long they may take over a text. Most run in linear time from each place; those that look
//! ahead or behind backtrack, within a number of steps ([`fancy_regex`]'s). From each place that can still add up to the square of a
//! text, so texts are held to a length that ends soon, unless the pattern is one of the published tokenizers', which cut texts in one go.

use fancy_regex::Expr;

/// Bytes of a pattern.
pub(super) const LONGEST: usize = 4096;
/// Bytes of a text that any pattern without looks is given, and one with.
const LINEAR: usize = 64 << 10;
const LOOKING: usize = 16 << 10;

/// Patterns of published tokenizers: GPT-2's, CLIP's, GPT-4's, GPT-4o's, Qwen's, SigLIP's and BERT-like normalisers'.
const KNOWN: [&str; 10] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"\s+",
    r" {2,}",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"##,
    r"[\n\r\t]+",
];

/// What a pattern costs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Bytes of the shortest thing that it matches.
    pub least: usize,
    /// Bytes of the longest text that it is given.
    pub longest: usize,
}

impl Pattern {
    /// A text that is looked for as it is.
    pub fn text(text: &str) -> Self {
        Self { least: text.len(), longest: usize::MAX }
    }

    /// A regular expression.
    ///
    /// # Errors
    /// None, or one that costs too much, in words.
    pub fn new(regex: &str) -> Result<Self, String> {
        if regex.len() > LONGEST {
            return Err(format!("{} bytes, expected at most {LONGEST}", regex.len()));
        }
        let shortest = |r: &regex_syntax::hir::Hir| r.properties().minimum_len().unwrap_or(0);
        let linear = regex_syntax::Parser::new().parse(regex).map(|hir| shortest(&hir));
        let known = KNOWN.contains(&regex);
        if let Ok(least) = linear {
            return Ok(Self { least, longest: if known { usize::MAX } else { LINEAR } });
        }
        let tree = Expr::parse_tree(regex).map_err(|e| format!("no regular expression: {e}"))?;
        walk(&tree.expr, false)?;
        Ok(Self { least: 0, longest: if known { usize::MAX } else { LOOKING } })
    }
}

/// Refuses what takes exponential time: references back, and repetitions without end within such. `within`: inside of one. The parser bounds
/// the depth.
fn walk(expr: &Expr, within: bool) -> Result<(), String> {
    match expr {
        Expr::Concat(all) | Expr::Alt(all) => all.iter().try_for_each(|e| walk(e, within)),
        Expr::Group(e) | Expr::LookAround(e, _) | Expr::AtomicGroup(e) => walk(e, within),
        Expr::Repeat { child, hi, .. } => {
            // A count is written out; without end each round may end anywhere.
            let endless = *hi > 64;
            if endless && within {
                return Err("a repetition without end within another, beside looks ahead or behind, may take for ever".into());
            }
            walk(child, within || endless)
        }
        Expr::Backref(_) | Expr::BackrefExistsCondition(_) | Expr::Conditional { .. } => {
            Err("references back are not supported: they may take for ever".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_patterns_take_texts_of_any_length_and_strangers_shorter_ones() {
        for known in KNOWN {
            assert_eq!(Pattern::new(known).unwrap().longest, usize::MAX, "{known}");
        }
        assert_eq!(Pattern::new(r"\s+").unwrap().least, 1);
        assert_eq!(Pattern::new(r" {2,}").unwrap().least, 2);
        assert_eq!(Pattern::new(r"(a+)+b").unwrap(), Pattern { least: 2, longest: LINEAR });
        assert_eq!(Pattern::new(r"x*").unwrap().least, 0);
        assert_eq!(Pattern::new(r"\p{L}+(?!x)").unwrap(), Pattern { least: 0, longest: LOOKING });
    }

    #[test]
    fn patterns_that_may_take_for_ever_are_refused() {
        for (regex, words) in [
            (r"(a+(?!c))+b".to_owned(), "within another"),
            (r"(?:a*(?=b|a)){1,100}b".to_owned(), "within another"),
            (r"(a+)\1".to_owned(), "references back"),
            (r"(a)?(?(1)b|c)".to_owned(), "references back"),
            ("(".to_owned(), "no regular expression"),
            ("(".repeat(2000), "no regular expression"),
            ("a".repeat(LONGEST + 1), "4097 bytes"),
        ] {
            let said = Pattern::new(&regex).unwrap_err();
            assert!(said.contains(words), "{regex:.40}: {said}");
        }
    }
}
