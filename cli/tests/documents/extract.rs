//! Command lines in Markdown: in fences without a language (or of a shell), and in code spans.

pub use crate::line::words;

/// Words with which a command line begins. Whatever else stands in a plain fence is no command: such a fence names its language.
const PROGRAMS: [&str; 14] = [
    "unisono",
    "cargo",
    "python",
    "python3",
    "pip",
    "ffmpeg",
    "hf",
    "rm",
    "npm",
    "git",
    "time",
    "nvidia-smi",
    "sudo",
    "taskset",
];

/// A command line of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The document.
    pub file: String,
    /// Counted from 1.
    pub number: usize,
    /// Without its comment, its prompt and the table's escapes.
    pub text: String,
}

/// All of them, in their order. Second: what stands in a plain fence and is no command.
pub fn commands(file: &str, markdown: &str) -> (Vec<Line>, Vec<Line>) {
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    let line =
        |number: usize, text: &str| Line { file: file.to_owned(), number: number + 1, text: text.to_owned() };
    let mut fence: Option<bool> = None;
    // Code spans may go over a line's end, not over a paragraph's.
    let mut paragraph = String::new();
    let mut begun = 0;
    let spans = |paragraph: &mut String, begun: usize, found: &mut Vec<Line>| {
        for text in code_spans(paragraph) {
            if is_command(&text) && text.contains(' ') {
                found.push(line(begun, &text));
            }
        }
        paragraph.clear();
    };
    let mut joined = String::new();
    for (number, raw) in markdown.lines().enumerate() {
        if let Some(language) = raw.trim_start().strip_prefix("```") {
            spans(&mut paragraph, begun, &mut found);
            fence = match fence {
                Some(_) => None,
                None => Some(matches!(language.trim(), "" | "sh" | "bash" | "console" | "shell")),
            };
            continue;
        }
        match fence {
            Some(true) => {
                let text = without_comment(raw.trim().trim_start_matches("$ "));
                joined += text.strip_suffix('\\').unwrap_or(&text);
                if text.ends_with('\\') {
                    continue;
                }
                let text = std::mem::take(&mut joined).trim().to_owned();
                match text.as_str() {
                    "" => {}
                    text if is_command(text) => found.push(line(number, text)),
                    text => strange.push(line(number, text)),
                }
            }
            Some(false) => {}
            None if raw.trim().is_empty() || raw.starts_with('|') => {
                spans(&mut paragraph, begun, &mut found);
                if raw.starts_with('|') {
                    paragraph += &raw.replace("\\|", "|");
                    spans(&mut paragraph, number, &mut found);
                }
            }
            None => {
                if paragraph.is_empty() {
                    begun = number;
                }
                paragraph += raw;
                paragraph.push(' ');
            }
        }
    }
    spans(&mut paragraph, begun, &mut found);
    (found, strange)
}

fn is_command(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|word| PROGRAMS.contains(&word))
}

/// A `#` after a space, outside of quotes, begins a comment.
fn without_comment(line: &str) -> String {
    let (mut quoted, mut before) = (false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted && before == ' ' => return line[..at].trim_end().to_owned(),
            _ => {}
        }
        before = c;
    }
    line.trim_end().to_owned()
}

/// What stands between runs of backticks of the same length.
fn code_spans(paragraph: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut rest = paragraph;
    while let Some(start) = rest.find('`') {
        let marks = rest[start..].chars().take_while(|c| *c == '`').count();
        let (mark, after) = (&rest[start..start + marks], &rest[start + marks..]);
        let Some(end) = after.find(mark) else { break };
        spans.push(after[..end].split_whitespace().collect::<Vec<_>>().join(" "));
        rest = &after[end + marks..];
    }
    spans
}

/// Whether a line only names a command, as `unisono index build` in a sentence. `unisono doctor` is a whole line.
pub fn is_name(words: &[String]) -> bool {
    let plain =
        |word: &String| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    words[0] == "unisono" && words.iter().all(plain) && words[1..] != ["doctor"]
}

/// What a line with optional parts, alternatives and dots stands for: without the parts, and with them all, for each alternative.
pub fn meanings(line: &str) -> Vec<String> {
    let (mut without, mut with, mut depth) = (String::new(), String::new(), 0);
    for c in line.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            // Dots say that there may be more of it; alone in quotes they are any words.
            '…' => {
                if with.ends_with('"') {
                    with += "a red bus";
                    without += if depth == 0 { "a red bus" } else { "" };
                }
            }
            c => {
                with.push(c);
                if depth == 0 {
                    without.push(c);
                }
            }
        }
    }
    let mut made: Vec<String> = [without, with].iter().flat_map(|line| alternatives(line)).collect();
    made.iter_mut().for_each(|line| *line = line.split_whitespace().collect::<Vec<_>>().join(" "));
    made.dedup();
    made
}

/// `--to a|b|c` → three lines.
fn alternatives(line: &str) -> Vec<String> {
    let Some(word) = line.split_whitespace().find(|w| w.contains('|')) else { return vec![line.to_owned()] };
    word.split('|').map(|one| line.replacen(word, one, 1)).collect()
}

#[test]
fn lines_are_found_and_understood() {
    let text = "# T\n```\n$ unisono embed a \"# b\" # c\nunisono x \\\n  y\n\nwhat\n```\n```json\n{}\n```\nSee `unisono\nscenes` and\n`cargo test`, `unisono`.\n\n| `unisono q --to a\\|b [--c D]` | z |\n";
    let (found, strange) = commands("F", text);
    let found: Vec<(usize, &str)> = found.iter().map(|l| (l.number, l.text.as_str())).collect();
    assert_eq!(
        found,
        [
            (3, "unisono embed a \"# b\""),
            (5, "unisono x y"),
            (12, "unisono scenes"),
            (12, "cargo test"),
            (16, "unisono q --to a|b [--c D]"),
        ]
    );
    assert_eq!((strange.len(), strange[0].text.as_str()), (1, "what"));
    assert_eq!(
        meanings("q --to a|b [--c D] F…"),
        ["q --to a F", "q --to b F", "q --to a --c D F", "q --to b --c D F"]
    );
    assert_eq!(meanings("m \"…\""), ["m \"a red bus\""]);
    assert_eq!(words("a \"b c\" '' d"), ["a", "b c", "", "d"]);
}
