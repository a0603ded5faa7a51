//! Problems: named up to a number, counted by their causes.

use super::found::{Cause, Problem};
use std::collections::BTreeMap;

/// Problems that are named.
const NAMED: usize = 10_000;
/// Causes that are told apart.
const CAUSES: usize = 1000;

#[derive(Default)]
pub(super) struct Problems {
    pub(super) named: Vec<Problem>,
    pub(super) count: usize,
    causes: BTreeMap<(&'static str, String), usize>,
}

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        self.count += 1;
        let key = (problem.stage, cause(&problem.reason));
        // A stranger's words may differ in each file.
        let key = match self.causes.len() < CAUSES || self.causes.contains_key(&key) {
            true => key,
            false => (problem.stage, "other causes".into()),
        };
        *self.causes.entry(key).or_insert(0) += 1;
        if self.named.len() < NAMED {
            self.named.push(problem);
        }
    }

    /// The most frequent first.
    pub(super) fn causes(&self) -> Vec<Cause> {
        let of = |((stage, cause), count): (&(&'static str, String), &usize)| Cause {
            stage,
            cause: cause.clone(),
            count: *count,
        };
        let mut causes: Vec<Cause> = self.causes.iter().map(of).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        causes
    }
}

/// A reason without its numbers and what is quoted, which are of one file only.
fn cause(reason: &str) -> String {
    const MOST: usize = 120;
    let (mut cause, mut quoted) = (String::new(), false);
    for c in reason.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                cause.push_str(if quoted { "\"…" } else { "\"" });
            }
            _ if quoted => {}
            c if c.is_ascii_digit() && cause.ends_with('#') => {}
            c if c.is_ascii_digit() => cause.push('#'),
            c => cause.push(c),
        }
        if cause.len() > MOST {
            cause.push('…');
            break;
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_what_files_have_in_common() {
        assert_eq!(
            cause("cut off after 4711 bytes of \"a b.png\" or 3"),
            "cut off after # bytes of \"…\" or #"
        );
        let mut problems = Problems::default();
        for n in 0..5 {
            let (id, reason) = (n.to_string(), format!("cut off after {n} bytes"));
            problems.add(Problem { id, record: None, stage: if n < 2 { "open" } else { "decode" }, reason });
        }
        let found: Vec<_> = problems.causes().into_iter().map(|c| (c.stage, c.count)).collect();
        assert_eq!(found, [("decode", 3), ("open", 2)]);
    }
}
