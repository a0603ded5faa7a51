//! Every pooling against loops.

use super::*;
use tch::Device;
use unisono_nn::Params;

const B: i64 = 2;
const T: i64 = 5;
const W: i64 = 6;
/// Real tokens of each sample.
const LENGTHS: [i64; 2] = [5, 3];

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Float, Device::Cpu)) * speed).sin().view(shape)
}

fn config(final_norm: FinalNorm) -> TransformerConfig {
    TransformerConfig { final_norm, mlp_ratio: 2.0, ..TransformerConfig::new(W, 1, 2) }
}

struct Made {
    head: Head,
    params: Params,
}

fn made(pooling: Pooling, prefix: i64, dense: bool, final_norm: FinalNorm) -> Made {
    let root = Scope::root(7, Device::Cpu);
    let head = Head::new(&root, &config(final_norm), &pooling, prefix, dense).unwrap();
    let params = root.finish();
    tch::no_grad(|| {
        for (i, (name, p)) in params.iter().enumerate() {
            let x = wave(&p.tensor.size(), 0.3 + 0.2 * i as f64) * 0.5;
            let scale = name.contains("norm") && name.ends_with("weight");
            p.tensor.shallow_clone().copy_(&if scale { x + 1.0 } else { x });
        }
    });
    Made { head, params }
}

impl Made {
    fn pooled(&self, mask: bool, at: Option<&[i64]>) -> Tensor {
        let real = unisono_nn::length_mask(&Tensor::from_slice(&LENGTHS), T).unwrap();
        let at = at.map(Tensor::from_slice);
        let (_, pooled) =
            self.head.forward(tokens(), if mask { Some(&real) } else { None }, at.as_ref()).unwrap();
        pooled.detach()
    }

    fn get(&self, name: &str) -> Vec<Vec<f64>> {
        let t = &self.params.get(name).unwrap_or_else(|| panic!("no {name}")).tensor;
        let t = if t.dim() == 1 { t.unsqueeze(0) } else { t.shallow_clone() };
        Vec::try_from(t.detach().to_kind(Kind::Double)).unwrap()
    }

    fn linear(&self, x: &[f64], name: &str) -> Vec<f64> {
        let (w, b) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        w.iter().zip(&b[0]).map(|(w, b)| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + b).collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let by = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n + 1e-5).sqrt();
        let (w, b) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        x.iter().zip(&w[0]).zip(&b[0]).map(|((v, w), b)| (v - mean) / by * w + b).collect()
    }

    /// One query over the tokens: two heads, whose scores are softmaxed.
    fn looked(&self, query: &[f64], tokens: &[Vec<f64>]) -> Vec<f64> {
        let q = self.linear(query, "pool.q");
        let both: Vec<Vec<f64>> = tokens.iter().map(|t| self.linear(t, "pool.kv")).collect();
        let (width, each) = (q.len(), q.len() / 2);
        let mut out = Vec::new();
        for head in 0..2 {
            let at = |i: usize| head * each + i;
            let score = |kv: &Vec<f64>| {
                ((0..each).map(|i| q[at(i)] * kv[at(i)]).sum::<f64>() / (each as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = both.iter().map(score).collect();
            let sum: f64 = scores.iter().sum();
            for i in 0..each {
                out.push(scores.iter().zip(&both).map(|(s, kv)| s / sum * kv[width + at(i)]).sum());
            }
        }
        self.linear(&out, "pool.out")
    }
}

fn tokens() -> Tensor {
    wave(&[B, T, W], 0.37)
}

fn rows(sample: i64) -> Vec<Vec<f64>> {
    Vec::try_from(tokens().get(sample).to_kind(Kind::Double)).unwrap()
}

fn mean_of(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len()).map(|i| rows.iter().map(|r| r[i]).sum::<f64>() / rows.len() as f64).collect()
}

fn near(found: &Tensor, sample: i64, want: &[f64], told: &str) {
    let found: Vec<f64> = Vec::try_from(found.get(sample).to_kind(Kind::Double)).unwrap();
    assert_eq!(found.len(), want.len(), "{told}");
    let far = found.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far < 1e-5, "{told}: {found:?}, {want:?}");
}

#[test]
fn what_takes_single_tokens_takes_those() {
    let first = |_: i64| 0usize;
    let last = |b: i64| LENGTHS[b as usize] as usize - 1;
    let named = |b: i64| [3usize, 1][b as usize];
    type At<'a> = &'a dyn Fn(i64) -> usize;
    let cases: [(Pooling, Option<&[i64]>, bool, At); 5] = [
        (Pooling::First, None, true, &first),
        (Pooling::Last, None, true, &last),
        (Pooling::Last, None, false, &|_| T as usize - 1),
        (Pooling::Highest, Some(&[3, 1]), true, &named),
        (Pooling::End(9), Some(&[3, 1]), true, &named),
    ];
    for (pooling, at, mask, want) in cases {
        let pooled = made(pooling, 0, false, FinalNorm::None).pooled(mask, at);
        for b in 0..B {
            near(&pooled, b, &rows(b)[want(b)], "a token");
        }
    }
    let head = made(Pooling::Highest, 0, false, FinalNorm::None).head;
    assert!(head.forward(tokens(), None, None).unwrap_err().to_string().contains("without ids"));
}

#[test]
fn means_are_over_what_is_real_and_no_prefix() {
    for prefix in [0usize, 1, 2] {
        let pooled = made(Pooling::Mean, prefix as i64, false, FinalNorm::None).pooled(true, None);
        let whole = made(Pooling::Mean, prefix as i64, false, FinalNorm::None).pooled(false, None);
        for b in 0..B {
            near(&pooled, b, &mean_of(&rows(b)[prefix..LENGTHS[b as usize] as usize]), "real");
            near(&whole, b, &mean_of(&rows(b)[prefix..]), "all");
        }
    }
    let pooled = made(Pooling::Prefix, 2, false, FinalNorm::None).pooled(false, None);
    near(&pooled, 1, &mean_of(&rows(1)[..2]), "the prefix");
}

/// Sums over what is real, and maxima; a prompt's tokens are as if they were not there, but for their places.
#[test]
fn every_mode_of_sentence_transformers_is_its_formula() {
    let all = [
        Pooling::First,
        Pooling::Max,
        Pooling::Mean,
        Pooling::MeanSqrt,
        Pooling::WeightedMean,
        Pooling::Last,
    ];
    for left_out in [0usize, 2] {
        for mask in [true, false] {
            let mut made = made(Pooling::Concat(all.to_vec()), 0, false, FinalNorm::None);
            assert!(made.params.iter().next().is_none());
            made.head.leave_out(left_out as i64);
            let pooled = made.pooled(mask, None);
            for b in 0..B {
                let end = if mask { LENGTHS[b as usize] as usize } else { T as usize };
                let of = &rows(b)[left_out..end];
                let (n, sum) = (of.len() as f64, |f: &dyn Fn(usize, f64) -> f64, i: usize| -> f64 {
                    of.iter().enumerate().map(|(at, row)| f(at, row[i])).sum()
                });
                let place = |at: usize| (at + left_out + 1) as f64;
                let weights: f64 = (0..of.len()).map(place).sum();
                let w = W as usize;
                let mut want = of[0].clone();
                want.extend((0..w).map(|i| of.iter().map(|row| row[i]).fold(f64::NEG_INFINITY, f64::max)));
                want.extend((0..w).map(|i| sum(&|_, v| v, i) / n));
                want.extend((0..w).map(|i| sum(&|_, v| v, i) / n.sqrt()));
                want.extend((0..w).map(|i| sum(&|at, v| place(at) * v, i) / weights));
                want.extend(&of[of.len() - 1]);
                near(&pooled, b, &want, "all modes");
            }
        }
    }
    // However long a prompt, the last token is pooled.
    let mut made = made(Pooling::Max, 0, false, FinalNorm::None);
    made.head.leave_out(99);
    near(&made.pooled(false, None), 0, &rows(0)[4], "the last");
}

/// A distribution over the tokens for each head, whose features are averaged by it.
#[test]
fn attention_pooling_is_a_softmax_a_head() {
    let made = made(Pooling::Attention, 0, false, FinalNorm::None);
    let pooled = made.pooled(true, None);
    for b in 0..B {
        let of = &rows(b)[..LENGTHS[b as usize] as usize];
        let scores: Vec<Vec<f64>> = of.iter().map(|t| made.linear(t, "pool.scores")).collect();
        let want: Vec<f64> = (0..W as usize)
            .map(|i| {
                let head = i / 3;
                let sum: f64 = scores.iter().map(|s| s[head].exp()).sum();
                scores.iter().zip(of).map(|(s, t)| s[head].exp() / sum * t[i]).sum()
            })
            .collect();
        near(&pooled, b, &want, "attention");
    }
}

#[test]
fn a_probe_looks_and_thinks() {
    let made = made(Pooling::Map, 0, false, FinalNorm::None);
    let pooled = made.pooled(false, None);
    for b in 0..B {
        let x = made.looked(&made.get("pool.probe")[0], &rows(b));
        let hidden = made.linear(&made.norm(&x, "pool.norm"), "pool.mlp.fc1");
        let gelu = Tensor::from_slice(&hidden).gelu("none");
        let y = made.linear(&Vec::<f64>::try_from(gelu).unwrap(), "pool.mlp.fc2");
        let want: Vec<f64> = x.iter().zip(y).map(|(x, y)| x + y).collect();
        near(&pooled, b, &want, "a probe");
    }
}

/// The answers to learned queries are the tower's tokens, the first is the pooled one.
#[test]
fn queries_give_tokens_of_their_own_width() {
    let kind = Pooling::Queries { width: 4, heads: 2, count: 3 };
    let made = made(kind, 0, false, FinalNorm::Tokens);
    let (answers, pooled) = made.head.forward(tokens(), None, None).unwrap();
    assert_eq!(answers.size(), [B, 3, 4]);
    for b in 0..B {
        let tokens: Vec<Vec<f64>> = rows(b).iter().map(|t| made.norm(t, "pool.token_norm")).collect();
        for (q, query) in made.get("pool.queries").iter().enumerate() {
            let looked = made.looked(&made.norm(query, "pool.query_norm"), &tokens);
            near(&answers.get(b).detach(), q as i64, &made.norm(&looked, "norm"), "an answer");
        }
    }
    assert_eq!(pooled, answers.select(1, 0));
}

/// The final norm stands before the pooling, after it, or nowhere; BERT's pooler is last.
#[test]
fn the_final_norm_stands_where_it_should() {
    for (place, dense) in [(FinalNorm::Tokens, false), (FinalNorm::Pooled, false), (FinalNorm::Tokens, true)]
    {
        let made = made(Pooling::Mean, 0, dense, place);
        let (given, pooled) = made.head.forward(tokens(), None, None).unwrap();
        for b in 0..B {
            let normed: Vec<Vec<f64>> = rows(b).iter().map(|t| made.norm(t, "norm")).collect();
            let mut want = match place {
                FinalNorm::Tokens => mean_of(&normed),
                _ => made.norm(&mean_of(&rows(b)), "norm"),
            };
            if dense {
                want = made.linear(&want, "pooler").iter().map(|v| v.tanh()).collect();
            }
            near(&pooled.detach(), b, &want, "pooled");
            let first = if place == FinalNorm::Tokens { &normed[0] } else { &rows(b)[0] };
            near(&given.get(b).detach(), 0, first, "tokens");
        }
    }
}
