//! Problems: named up to a number, counted by their causes.

use super::found::{Cause, Problem};
use unisono_datasets::Causes;

/// Problems that are named.
const NAMED: usize = 10_000;

#[derive(Default)]
pub(super) struct Problems {
    pub(super) named: Vec<Problem>,
    pub(super) count: usize,
    causes: Causes<&'static str>,
}

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        self.count += 1;
        self.causes.add(problem.stage, &problem.reason);
        if self.named.len() < NAMED {
            self.named.push(problem);
        }
    }

    /// The most frequent first.
    pub(super) fn causes(&self) -> Vec<Cause> {
        let of = |(stage, cause, count)| Cause { stage, cause, count };
        self.causes.table().into_iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_what_files_have_in_common() {
        let mut problems = Problems::default();
        for n in 0..5 {
            let (id, reason) = (n.to_string(), format!("cut off after {n} bytes"));
            problems.add(Problem { id, record: None, stage: if n < 2 { "open" } else { "decode" }, reason });
        }
        let found: Vec<_> = problems.causes().into_iter().map(|c| (c.stage, c.count)).collect();
        assert_eq!(found, [("decode", 3), ("open", 2)]);
    }
}
