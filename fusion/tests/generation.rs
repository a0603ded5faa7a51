//! Generation against searches that try every text: a vocabulary so small that nothing needs to be left out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};
use unisono_encoders::Mode;
use unisono_encoders::config::TransformerConfig;
use unisono_fusion::config::{EarlyStopping, LanguageHead, StackConfig};
use unisono_fusion::generate::Rule;
use unisono_fusion::{Error, Generated, Generation, Generator, Mask, Stack};
use unisono_nn::Scope;

const VOCABULARY: i64 = 5;
const END: i64 = 4;
const START: i64 = 0;

/// A stack whose scores differ widely from token to token and from place to place.
fn stack(seed: u64) -> Stack {
    let transformer = TransformerConfig { causal: true, ..TransformerConfig::new(12, 2, 3) };
    let config = StackConfig {
        memory_width: None,
        head: Some(LanguageHead::Own),
        ..StackConfig::new(VOCABULARY, 8, transformer, 4)
    };
    let root = Scope::root(seed, Device::Cpu);
    let stack = Stack::new(&root, &config).unwrap();
    tch::no_grad(|| {
        for (name, p) in root.finish().iter() {
            let by = if name == "head.weight" {
                4.0
            } else if name.contains("norm") {
                1.0
            } else {
                30.0
            };
            let _ = p.tensor.shallow_clone().g_mul_scalar_(by);
        }
    });
    stack
}

/// Log-probabilities of the token after `ids`, computed anew.
fn next(stack: &Stack, ids: &[i64]) -> Vec<f32> {
    tch::no_grad(|| {
        let ids = Tensor::from_slice(ids).unsqueeze(0);
        let hidden = stack.forward(&ids, &Mask::Causal, None, None, Mode::Eval).unwrap();
        let last = hidden.select(1, ids.size()[1] - 1);
        let log = stack.scores(&last).unwrap().log_softmax(-1, Kind::Float);
        Vec::try_from(log.squeeze_dim(0)).unwrap()
    })
}

/// Every text that can follow `prompt`, with the sum of its log-probabilities. `allowed(ids, next)`.
fn every(
    stack: &Stack,
    prompt: &[i64],
    most: usize,
    allowed: &dyn Fn(&[i64], i64) -> bool,
) -> Vec<(Vec<i64>, f32)> {
    let (mut open, mut all) = (vec![(prompt.to_vec(), 0f32)], Vec::new());
    while let Some((ids, sum)) = open.pop() {
        let scores = next(stack, &ids);
        for token in (0..VOCABULARY).filter(|t| allowed(&ids, *t)) {
            let text = [ids.as_slice(), &[token]].concat();
            let found = (text, sum + scores[token as usize]);
            let done = token == END || found.0.len() == most;
            if done { all.push(found) } else { open.push(found) }
        }
    }
    all
}

fn best(texts: Vec<(Vec<i64>, f32)>, prompt: usize, penalty: f64) -> (Vec<i64>, f64) {
    let scored = texts.into_iter().map(|(ids, sum)| {
        let by = ((ids.len() - prompt) as f64).powf(penalty);
        (ids, f64::from(sum) / by)
    });
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

fn options(beams: usize, max_length: usize) -> Generation {
    Generation {
        beams,
        max_length,
        end: vec![END],
        early_stopping: EarlyStopping::Never,
        ..Generation::default()
    }
}

fn run(stack: &Stack, options: &Generation, prompts: &[Vec<i64>]) -> Vec<Generated> {
    Generator { stack, memory: None, options, rule: None, first: 0 }.run(prompts, None).unwrap()
}

fn one(stack: &Stack, options: &Generation, prompt: &[i64]) -> Generated {
    run(stack, options, &[prompt.to_vec()]).remove(0)
}

/// With as many beams as there are beginnings nothing is cut off: the search finds the best text of all.
#[test]
fn a_wide_beam_finds_the_best_text_of_all() {
    for seed in 1..6 {
        let stack = stack(seed);
        for penalty in [1.0, 0.0, 0.5, 2.0] {
            let all = every(&stack, &[START], 4, &|_, _| true);
            assert_eq!(all.len(), 1 + 4 + 16 * 5);
            let (ids, score) = best(all, 1, penalty);
            for cache in [true, false] {
                let o = Generation { length_penalty: penalty, cache, ..options(64, 4) };
                let found = one(&stack, &o, &[START]);
                assert_eq!(found.ids, ids, "seed {seed}, penalty {penalty}");
                assert!((found.score - score).abs() < 1e-4, "{} {score}", found.score);
            }
        }
    }
}

#[test]
fn rules_cut_texts_out_of_the_search() {
    let stack = stack(2);
    let base = options(64, 4);
    let twice = |ids: &[i64], token: i64| ids.windows(2).any(|w| w == [ids[ids.len() - 1], token]);
    type Allowed<'a> = &'a dyn Fn(&[i64], i64) -> bool;
    let cases: [(Generation, Allowed); 6] = [
        (Generation { suppress: vec![2], ..base.clone() }, &|_, t| t != 2),
        (Generation { begin_suppress: vec![1, END], ..base.clone() }, &|ids, t| {
            ids.len() > 1 || t != 1 && t != END
        }),
        (Generation { min_length: 3, ..base.clone() }, &|ids, t| ids.len() >= 3 || t != END),
        (Generation { forced_begin: Some(3), ..base.clone() }, &|ids, t| ids.len() > 1 || t == 3),
        (Generation { no_repeat_ngram: 2, ..base.clone() }, &|ids, t| !twice(ids, t)),
        (Generation { no_repeat_ngram: 1, ..base.clone() }, &|ids, t| !ids.contains(&t)),
    ];
    for (o, allowed) in cases {
        let all = every(&stack, &[START], 4, allowed);
        let found = one(&stack, &o, &[START]);
        if o.forced_begin.is_some() {
            // A forced token costs nothing, the others what they cost.
            assert_eq!(found.ids[1], 3);
            continue;
        }
        assert_eq!(found.ids, best(all, 1, 1.0).0, "{o:?}");
    }
}

/// Greedy is the best token of each step, whatever is kept; its score is the mean of what it chose.
#[test]
fn greedy_is_the_best_token_of_each_step() {
    for seed in 1..6 {
        let stack = stack(seed);
        for cache in [true, false] {
            let o = Generation { cache, ..options(1, 7) };
            let found = one(&stack, &o, &[START, 2]);
            let (mut ids, mut sum) = (vec![START, 2], 0f64);
            while ids.len() < 7 && ids.last() != Some(&END) {
                let scores = next(&stack, &ids);
                let at = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
                ids.push(at as i64);
                sum += f64::from(scores[at]);
            }
            assert_eq!((&found.ids, found.prompt), (&ids, 2));
            assert!((found.score - sum / (ids.len() - 2) as f64).abs() < 1e-4);
            let new = &ids[2..];
            let bare = if new.last() == Some(&END) { &new[..new.len() - 1] } else { new };
            assert_eq!(found.text(&[END]), bare);
        }
    }
}

/// A text is the same beside others as alone, by every way of generating.
#[test]
fn a_batch_is_its_texts() {
    let stack = stack(3);
    let prompts: Vec<Vec<i64>> = (0..4).map(|i| vec![START, i]).collect();
    for o in [
        options(1, 7),
        options(3, 7),
        Generation { temperature: 0.8, seed: 5, ..options(1, 7) },
        Generation { repetition_penalty: 1.5, ..options(2, 6) },
    ] {
        let together = run(&stack, &o, &prompts);
        for (i, prompt) in prompts.iter().enumerate() {
            let alone = Generator { stack: &stack, memory: None, options: &o, rule: None, first: i as u64 };
            let alone = alone.run(std::slice::from_ref(prompt), None).unwrap().remove(0);
            assert_eq!(together[i].ids, alone.ids, "{o:?}");
            assert!((together[i].score - alone.score).abs() < 1e-4);
        }
    }
}

#[test]
fn a_draw_from_the_best_token_alone_is_greedy() {
    let stack = stack(4);
    let greedy = one(&stack, &options(1, 7), &[START]);
    for o in [
        Generation { temperature: 1.0, top_k: 1, seed: 9, ..options(1, 7) },
        Generation { temperature: 1.0, top_p: 1e-9, seed: 9, ..options(1, 7) },
        Generation { temperature: 1e-4, seed: 9, ..options(1, 7) },
    ] {
        assert_eq!(one(&stack, &o, &[START]).ids, greedy.ids);
    }
    let drawn = |seed| one(&stack, &Generation { temperature: 5.0, seed, ..options(1, 7) }, &[START]).ids;
    assert_eq!(drawn(1), drawn(1));
    assert!((2..12).any(|seed| drawn(seed) != drawn(1)));
}

/// A wider search never ends with a worse text where all are tried to their ends.
#[test]
fn a_full_search_stops_and_says_so() {
    let stack = stack(5);
    for early_stopping in [EarlyStopping::Full, EarlyStopping::Heuristic, EarlyStopping::Never] {
        let o = Generation { early_stopping, ..options(2, 6) };
        let found = one(&stack, &o, &[START]);
        assert!(found.ids.len() <= 6 && found.score.is_finite());
        let sum: f64 = (1..found.ids.len())
            .map(|at| f64::from(next(&stack, &found.ids[..at])[found.ids[at] as usize]))
            .sum();
        assert!((found.score - sum / (found.ids.len() - 1) as f64).abs() < 1e-4, "{early_stopping:?}");
    }
    let mut steps = 0;
    let mut watch = |_: &[(usize, i64)]| {
        steps += 1;
        if steps > 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let o = Generation { min_length: 6, ..options(1, 7) };
    let generator = Generator { stack: &stack, memory: None, options: &o, rule: None, first: 0 };
    assert!(matches!(generator.run(&[vec![START]], Some(&mut watch)), Err(Error::Stopped)));
    assert_eq!(steps, 3);
}

/// A rule of a model's own comes last, and sees the prompt.
#[derive(Debug)]
struct Alternating;

impl Rule for Alternating {
    fn apply(&self, ids: &[i64], scores: &mut [f32]) {
        let odd = ids.len() % 2 == 1;
        for (i, score) in scores.iter_mut().enumerate() {
            if (i % 2 == 1) != odd {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

#[test]
fn a_models_own_rule_holds_everywhere() {
    let stack = stack(1);
    let all = every(&stack, &[START], 4, &|ids, t| (t % 2 == 1) == (ids.len() % 2 == 1));
    let (ids, _) = best(all, 1, 1.0);
    let o = options(64, 4);
    let run = |options: &Generation| {
        let g = Generator { stack: &stack, memory: None, options, rule: Some(&Alternating), first: 0 };
        g.run(&[vec![START]], None).unwrap().remove(0).ids
    };
    assert_eq!(run(&o), ids);
    for (at, id) in run(&options(1, 6)).iter().enumerate().skip(1) {
        assert_eq!(id % 2 == 1, at % 2 == 1);
    }
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let stack = stack(1);
    let said = |o: &Generation, prompts: &[Vec<i64>]| {
        let g = Generator { stack: &stack, memory: None, options: o, rule: None, first: 0 };
        g.run(prompts, None).unwrap_err().to_string()
    };
    let o = options(1, 4);
    assert!(said(&o, &[vec![0], vec![0, 1]]).contains("prompts of one length"));
    assert!(said(&o, &[Vec::new()]).contains("at least one token"));
    assert!(said(&o, &[vec![0; 4]]).contains("leaves no room: a text has at most 4"));
    // No more than the stack has places for.
    assert!(said(&options(1, 100), &[vec![0; 8]]).contains("at most 8"));
    for (wrong, told) in [
        (Generation { beams: 0, ..o.clone() }, "beams: expected 1 to 64, found 0"),
        (Generation { beams: 2, temperature: 1.0, ..o.clone() }, "a beam search does not draw"),
        (Generation { temperature: -1.0, ..o.clone() }, "temperature: expected 0 or more"),
        (Generation { top_p: 0.0, ..o.clone() }, "top_p: expected more than 0"),
        (Generation { repetition_penalty: 0.0, ..o.clone() }, "repetition_penalty: expected more than 0"),
        (Generation { length_penalty: f64::NAN, ..o.clone() }, "length_penalty: expected a number"),
        (Generation { max_length: 0, ..o.clone() }, "max_length"),
        (Generation { forced_begin: Some(-1), ..o.clone() }, "forced_begin"),
        (Generation { end: vec![1 << 30], ..o.clone() }, "end"),
    ] {
        let e = said(&wrong, &[vec![0]]);
        assert!(e.contains(told), "{e}");
    }
    let g = Generator { stack: &stack, memory: None, options: &o, rule: None, first: 0 };
    assert!(g.run(&[], None).unwrap().is_empty());
}
