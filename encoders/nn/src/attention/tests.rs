//! Against an attention that is written out: loops over heads, queries and keys.

use super::*;
use crate::config::RotaryConfig;
use crate::{Params, Rotary};
use tch::Device;

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape)
}

fn get(params: &Params, name: &str) -> Tensor {
    params.get(name).unwrap().tensor.to_kind(Kind::Double)
}

/// Biases and scales at which a mistake would show.
fn stir(params: &Params) {
    tch::no_grad(|| {
        for (i, (name, p)) in params.iter().enumerate() {
            if name.ends_with("bias") || name.contains("norm") {
                let x = wave(&p.tensor.size(), 0.7 + i as f64) * 0.3;
                p.tensor.shallow_clone().copy_(&if name.contains("norm") { x + 1.0 } else { x });
            }
        }
    });
}

/// One head's features of one token.
fn head(x: &Tensor, token: i64, head: i64, width: i64) -> Vec<f64> {
    Vec::try_from(x.get(token).narrow(0, head * width, width)).unwrap()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Root-mean-square norm of one head.
fn rms(x: &[f64], weight: &Tensor, eps: f64) -> Vec<f64> {
    let scale = (dot(x, x) / x.len() as f64 + eps).sqrt();
    let weight = Vec::<f64>::try_from(weight).unwrap();
    x.iter().zip(weight).map(|(v, w)| v / scale * w).collect()
}

/// Pairs of features as complex numbers, turned by the place times their speed.
fn turned(x: &[f64], place: i64, c: &RotaryConfig) -> Vec<f64> {
    let n = (x.len() as f64 * c.share).round() as usize / 2 * 2;
    let mut out = x.to_vec();
    for i in 0..n / 2 {
        let angle = place as f64 * c.base.powf(-2.0 * i as f64 / n as f64);
        let (a, b) = (x[i], x[i + n / 2]);
        (out[i], out[i + n / 2]) = (a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin());
    }
    out
}

/// What one query head gathers; `bias`: what is added to each score, minus infinity where the key is hidden.
fn gathered(query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>], bias: impl Fn(usize) -> f64) -> Vec<f64> {
    let scale = (query.len() as f64).sqrt();
    let scores: Vec<f64> =
        keys.iter().enumerate().map(|(s, k)| (dot(query, k) / scale + bias(s)).exp()).collect();
    let sum: f64 = scores.iter().sum();
    (0..query.len()).map(|i| scores.iter().zip(values).map(|(p, v)| p / sum * v[i]).sum()).collect()
}

struct Case {
    c: AttentionConfig,
    rotary: Option<RotaryConfig>,
    mask: Mask,
    bias: fn(usize, usize, usize) -> f64,
}

/// Self-attention of one sample `[T, W]`, written out.
fn naive(case: &Case, params: &Params, x: &Tensor) -> Tensor {
    let (c, each) = (&case.c, case.c.head_width());
    let linear = |x: &Tensor, name: &str| {
        let y = x.matmul(&get(params, &format!("{name}.weight")).tr());
        if c.bias { y + get(params, &format!("{name}.bias")) } else { y }
    };
    let all = linear(x, "qkv");
    let t = x.size()[0];
    let norm = |x: Vec<f64>, name: &str| match c.qk_norm {
        Some((_, eps)) => rms(&x, &get(params, &format!("{name}.weight")), eps),
        None => x,
    };
    let turn = |x: Vec<f64>, place: i64| case.rotary.as_ref().map_or(x.clone(), |r| turned(&x, place, r));
    let mut out = Vec::new();
    for query in 0..t {
        for h in 0..c.heads {
            let of = h / (c.heads / c.kv_heads);
            let q = turn(norm(head(&all, query, h, each), "q_norm"), query);
            let key = |s| turn(norm(head(&all, s, c.heads + of, each), "k_norm"), s);
            let keys: Vec<_> = (0..t).map(key).collect();
            let values: Vec<_> = (0..t).map(|s| head(&all, s, c.heads + c.kv_heads + of, each)).collect();
            let bias = |s: usize| (case.bias)(h as usize, query as usize, s);
            out.extend(gathered(&q, &keys, &values, bias));
        }
    }
    linear(&Tensor::from_slice(&out).view([t, c.width]), "out")
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

fn never(hidden: bool) -> f64 {
    if hidden { f64::NEG_INFINITY } else { 0.0 }
}

fn cases() -> Vec<Case> {
    let plain = AttentionConfig::new(24, 4);
    let open = |_: usize, _: usize, _: usize| 0.0;
    let causal = |_: usize, q: usize, s: usize| never(s > q);
    let case = |c, rotary, mask, bias| Case { c, rotary, mask, bias };
    let grouped = AttentionConfig { kv_heads: 2, ..plain };
    let normed = AttentionConfig { qk_norm: Some((NormKind::Rms, 1e-3)), bias: false, kv_heads: 1, ..plain };
    // Hides the last key of five, and adds to each score by head and distance.
    let keys = Tensor::from_slice(&[true, true, true, true, false]).view([1, 1, 1, 5]);
    let added: Vec<f32> = (0..100).map(|i| added(i / 25, i / 5 % 5, i % 5) as f32).collect();
    vec![
        case(plain, None, Mask::None, open),
        case(plain, None, Mask::Causal, causal),
        case(plain, None, Mask::Pairs(keys), |_, _, s| never(s == 4)),
        case(plain, None, Mask::Pairs(Tensor::from_slice(&added).view([1, 4, 5, 5])), added_at),
        case(grouped, None, Mask::Causal, causal),
        case(grouped, Some(RotaryConfig::default()), Mask::Causal, causal),
        case(plain, Some(RotaryConfig { base: 100.0, share: 0.67, learned: false }), Mask::None, open),
        case(normed, Some(RotaryConfig::default()), Mask::Causal, causal),
    ]
}

fn added(head: usize, query: usize, key: usize) -> f64 {
    head as f64 * 0.5 - (query as f64 - key as f64).abs() * 0.25
}

fn added_at(head: usize, query: usize, key: usize) -> f64 {
    added(head, query, key)
}

#[test]
fn every_kind_is_the_written_out_one() {
    for (i, case) in cases().iter().enumerate() {
        let root = Scope::root(i as u64, Device::Cpu);
        let attention = Attention::new(&root, &case.c).unwrap();
        let params = root.finish();
        stir(&params);
        let x = wave(&[2, 5, 24], 0.37);
        let rotary = case.rotary.as_ref().map(|r| Rotary::new(r, case.c.head_width()));
        let rotation = rotary.as_ref().map(|r| r.places(0, 5, Device::Cpu).unwrap());
        let found = tch::no_grad(|| {
            attention
                .forward(&x.to_kind(Kind::Float), &case.mask, rotation.as_ref(), None, &Pass::EVAL)
                .unwrap()
        });
        for b in 0..2 {
            let distance = far(&found.get(b), &naive(case, &params, &x.get(b)));
            assert!(distance < 2e-5, "case {i}: {distance}");
        }
    }
}

/// Token by token, or a prompt and then the rest, by a cache: what all at once gives.
#[test]
fn a_cache_changes_nothing() {
    for case in cases().iter().filter(|c| matches!(c.mask, Mask::Causal)) {
        let root = Scope::root(7, Device::Cpu);
        let attention = Attention::new(&root, &case.c).unwrap();
        stir(&root.finish());
        let x = wave(&[2, 5, 24], 0.37).to_kind(Kind::Float);
        let rotary = case.rotary.as_ref().map(|r| Rotary::new(r, case.c.head_width()));
        let at = |first, t| rotary.as_ref().map(|r| r.places(first, t, Device::Cpu).unwrap());
        tch::no_grad(|| {
            let whole = attention.forward(&x, &Mask::Causal, at(0, 5).as_ref(), None, &Pass::EVAL).unwrap();
            for pieces in [vec![1i64; 5], vec![3, 1, 1], vec![2, 3]] {
                let mut cache = attention.cache(2, 5, Device::Cpu, &Pass::EVAL).unwrap();
                for n in pieces {
                    let first = cache.length();
                    let rotation = at(first, n);
                    let part = x.narrow(1, first, n);
                    let y = attention
                        .forward(&part, &Mask::Causal, rotation.as_ref(), Some(&mut cache), &Pass::EVAL)
                        .unwrap();
                    assert!(far(&y, &whole.narrow(1, first, n)) < 1e-5);
                }
                assert_eq!(cache.length(), 5);
                assert!(
                    cache
                        .append(&Tensor::zeros([2, case.c.kv_heads, 1, 6], (Kind::Float, Device::Cpu)), &x)
                        .is_err()
                );
            }
        });
    }
}

/// Two texts about each of two items, and queries that all items share: what each item alone gives, and what is written out.
#[test]
fn a_memory_is_looked_at_by_all_its_texts() {
    for kv_heads in [1, 2, 4] {
        let c = AttentionConfig { kv_heads, ..AttentionConfig::new(24, 4) };
        let root = Scope::root(3, Device::Cpu);
        let attention = Attention::cross(&root, &c, 10).unwrap();
        let params = root.finish();
        stir(&params);
        let (x, memory) = (wave(&[4, 3, 24], 0.37), wave(&[2, 6, 10], 0.53));
        let real =
            Tensor::from_slice(&[true, true, true, true, true, true, true, true, false, false, false, false]);
        let mask = real.view([2, 1, 1, 6]);
        let linear = |x: &Tensor, name: &str| {
            x.matmul(&get(&params, &format!("{name}.weight")).tr()) + get(&params, &format!("{name}.bias"))
        };
        let want = |x: &Tensor, item: i64| {
            let (q, kv) = (linear(x, "q"), linear(&memory.get(item), "kv"));
            let mut out = Vec::new();
            for (query, h) in (0..3).flat_map(|query| (0..4).map(move |h| (query, h))) {
                let of = h / (4 / kv_heads);
                let keys: Vec<_> = (0..6).map(|s| head(&kv, s, of, 6)).collect();
                let values: Vec<_> = (0..6).map(|s| head(&kv, s, kv_heads + of, 6)).collect();
                out.extend(gathered(&head(&q, query, h, 6), &keys, &values, |s| never(item == 1 && s > 1)));
            }
            linear(&Tensor::from_slice(&out).view([3, 24]), "out")
        };
        tch::no_grad(|| {
            let kv = attention.cross_kv(&memory.to_kind(Kind::Float), &Pass::EVAL).unwrap();
            let found =
                attention.forward_cross(&x.to_kind(Kind::Float), &kv, Some(&mask), &Pass::EVAL).unwrap();
            for row in 0..4 {
                assert!(far(&found.get(row), &want(&x.get(row), row / 2)) < 2e-5);
            }
            let shared = x.narrow(0, 0, 1).to_kind(Kind::Float);
            let found = attention.forward_cross(&shared, &kv, Some(&mask), &Pass::EVAL).unwrap();
            for item in 0..2 {
                assert!(far(&found.get(item), &want(&x.get(0), item)) < 2e-5);
            }
        });
    }
}

/// Groups attend within their own, by a mask with a head for each of a group's.
#[test]
fn groups_are_attentions_of_their_own() {
    let c = AttentionConfig { kv_heads: 2, ..AttentionConfig::new(24, 4) };
    let root = Scope::root(5, Device::Cpu);
    let attention = Attention::new(&root, &c).unwrap();
    let x = wave(&[2, 3, 5, 24], 0.37).to_kind(Kind::Float);
    let bias = wave(&[1, 12, 5, 5], 0.9).to_kind(Kind::Float);
    tch::no_grad(|| {
        let all = attention.forward(&x, &Mask::Pairs(bias.shallow_clone()), None, None, &Pass::EVAL).unwrap();
        for group in 0..3 {
            let own = Mask::Pairs(bias.narrow(1, 4 * group, 4));
            let want = attention.forward(&x.select(1, group), &own, None, None, &Pass::EVAL).unwrap();
            assert!(far(&all.select(1, group), &want) < 1e-5);
        }
    });
}

/// Scores depend on distances only: a text that begins later is the same text.
#[test]
fn rotary_positions_are_relative() {
    let rotary = Rotary::new(&RotaryConfig::default(), 6);
    let (q, k) =
        (wave(&[1, 1, 1, 6], 0.37).to_kind(Kind::Float), wave(&[1, 1, 1, 6], 0.53).to_kind(Kind::Float));
    let score = |a: i64, b: i64| {
        let turn = |x: &Tensor, place| rotary.places(place, 1, Device::Cpu).unwrap().forward(x).unwrap();
        (turn(&q, a) * turn(&k, b)).sum(Kind::Double).double_value(&[])
    };
    for shift in [1, 10, 500] {
        assert!((score(3, 1) - score(3 + shift, 1 + shift)).abs() < 1e-4);
    }
    assert!((score(3, 1) - score(3, 2)).abs() > 1e-3);
}

/// What stays bfloat16 within an attention, as on a GPU, is near the single-precision one, whatever stands between; what comes out is not.
#[test]
fn bfloat16_stays_inside() {
    for (i, case) in cases().iter().enumerate() {
        let root = Scope::root(i as u64, Device::Cpu);
        let mut attention = Attention::new(&root, &case.c).unwrap();
        stir(&root.finish());
        let x = wave(&[2, 5, 24], 0.37).to_kind(Kind::Float);
        let rotary = case.rotary.as_ref().map(|r| Rotary::new(r, case.c.head_width()));
        let rotation = rotary.as_ref().map(|r| r.places(0, 5, Device::Cpu).unwrap());
        tch::no_grad(|| {
            let want = attention.forward(&x, &case.mask, rotation.as_ref(), None, &Pass::EVAL).unwrap();
            let pass = Pass { compute: Some(Kind::BFloat16), ..Pass::EVAL };
            let masters = attention.forward(&x, &case.mask, rotation.as_ref(), None, &pass).unwrap();
            attention.prepare(Precision::Bf16).unwrap();
            let found = attention.forward(&x, &case.mask, rotation.as_ref(), None, &pass).unwrap();
            assert_eq!(found, masters, "case {i}: packed weights are the masters, rounded");
            assert_eq!(found.kind(), Kind::Float);
            let size = want.abs().max().double_value(&[]);
            let distance = far(&found, &want) / size;
            assert!(distance > 0.0 && distance < 0.03, "case {i}: {distance}");
            if matches!(case.mask, Mask::Causal) {
                let mut cache = attention.cache(2, 5, Device::Cpu, &pass).unwrap();
                let cached =
                    attention.forward(&x, &Mask::Causal, rotation.as_ref(), Some(&mut cache), &pass).unwrap();
                assert!(far(&cached, &found) / size < 0.01, "case {i}");
            }
        });
    }
}
