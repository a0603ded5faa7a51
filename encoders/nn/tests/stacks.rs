//! Whole stacks against blocks that are written out: loops over tokens, heads and features, in double precision.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use tch::{Device, Kind, Tensor};
use unisono_nn::config::{CrossConfig, CrossPlace, NormKind, NormPlace, RelativeConfig, RotaryConfig};
use unisono_nn::{Activation, Params, Pass, Scope, Transformer, TransformerConfig, length_mask};

/// Tokens of one sample.
type Tokens = Vec<Vec<f64>>;

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape)
}

/// Every parameter at a value where a mistake would show.
fn stir(params: &Params) {
    tch::no_grad(|| {
        for (i, (name, p)) in params.iter().enumerate() {
            let x = wave(&p.tensor.size(), 0.31 + 0.17 * i as f64) * 0.3;
            let near_one = name.contains("norm") && name.ends_with("weight") || name.contains("scale");
            p.tensor.shallow_clone().copy_(&if near_one { x + 1.0 } else { x });
        }
    });
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn plus(a: &Tokens, b: &Tokens) -> Tokens {
    let one = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    a.iter().zip(b).map(one).collect()
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Activation::Gelu => Tensor::from_slice(&[x]).gelu("none").double_value(&[0]),
    }
}

/// What one text attends to besides itself.
struct Memory {
    tokens: Tokens,
    seen: Vec<bool>,
}

struct Naive<'a> {
    c: &'a TransformerConfig,
    cross: Option<CrossConfig>,
    params: &'a Params,
}

impl Naive<'_> {
    fn table(&self, name: &str) -> Vec<Vec<f64>> {
        let t = self.params.get(name).unwrap_or_else(|| panic!("no {name}")).tensor.to_kind(Kind::Double);
        Vec::try_from(if t.dim() == 1 { t.unsqueeze(0) } else { t }).unwrap()
    }

    fn vector(&self, name: &str) -> Vec<f64> {
        self.table(name).remove(0)
    }

    fn linear(&self, x: &Tokens, name: &str) -> Tokens {
        let weight = self.table(&format!("{name}.weight"));
        let bias = self.c.bias.then(|| self.vector(&format!("{name}.bias")));
        let at = |x: &Vec<f64>, o: usize| dot(x, &weight[o]) + bias.as_ref().map_or(0.0, |b| b[o]);
        x.iter().map(|x| (0..weight.len()).map(|o| at(x, o)).collect()).collect()
    }

    fn norm(&self, x: &Tokens, name: &str) -> Tokens {
        let scale = self.vector(&format!("{name}.weight"));
        let one = |x: &Vec<f64>| -> Vec<f64> {
            let n = x.len() as f64;
            let (mean, shift) = match self.c.norm_kind {
                NormKind::Layer => (x.iter().sum::<f64>() / n, self.vector(&format!("{name}.bias"))),
                NormKind::Rms => (0.0, vec![0.0; x.len()]),
            };
            let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let by = (var + self.c.norm_eps).sqrt();
            x.iter().zip(&scale).zip(&shift).map(|((v, w), b)| (v - mean) / by * w + b).collect()
        };
        x.iter().map(one).collect()
    }

    /// One head of one token, normed and turned as the configuration says.
    fn head(&self, x: &[f64], head: i64, norm: Option<String>, place: Option<usize>) -> Vec<f64> {
        let each = (self.c.width / self.c.heads) as usize;
        let mut part = x[head as usize * each..(head as usize + 1) * each].to_vec();
        if let Some(name) = norm.filter(|_| self.c.qk_norm) {
            part = self.norm(&vec![part], &name).remove(0);
        }
        let (Some(rotary), Some(place)) = (&self.c.rotary, place) else { return part };
        let turned = (each as f64 * rotary.share).round() as usize / 2 * 2;
        let was = part.clone();
        for i in 0..turned / 2 {
            let angle = place as f64 * rotary.base.powf(-2.0 * i as f64 / turned as f64);
            let (a, b) = (was[i], was[i + turned / 2]);
            part[i] = a * angle.cos() - b * angle.sin();
            part[i + turned / 2] = b * angle.cos() + a * angle.sin();
        }
        part
    }

    /// `added(head, query, key)` joins the scores.
    fn gathered(
        &self,
        queries: &[Vec<Vec<f64>>],
        keys: &[Vec<Vec<f64>>],
        values: &[Vec<Vec<f64>>],
        added: &dyn Fn(usize, usize, usize) -> f64,
    ) -> Tokens {
        let group = queries[0].len() / keys[0].len();
        let mut out = vec![Vec::new(); queries.len()];
        for (q, heads) in queries.iter().enumerate() {
            for (h, query) in heads.iter().enumerate() {
                let score = |s: usize| {
                    (dot(query, &keys[s][h / group]) / (query.len() as f64).sqrt() + added(h, q, s)).exp()
                };
                let scores: Vec<f64> = (0..keys.len()).map(score).collect();
                let sum: f64 = scores.iter().sum();
                let each = |i: usize| -> f64 {
                    scores.iter().zip(values).map(|(p, v)| p / sum * v[h / group][i]).sum()
                };
                out[q].extend((0..query.len()).map(each));
            }
        }
        out
    }

    fn attention(&self, x: &Tokens, at: &str, added: &dyn Fn(usize, usize, usize) -> f64) -> Tokens {
        let (h, kv) = (self.c.heads, self.c.kv_heads.unwrap_or(self.c.heads));
        let all = self.linear(x, &format!("{at}.qkv"));
        let part = |from: i64, n: i64, norm: Option<&str>| -> Vec<Vec<Vec<f64>>> {
            let one = |(place, x): (usize, &Vec<f64>)| {
                let name = norm.map(|n| format!("{at}.{n}"));
                let place = norm.map(|_| place);
                (from..from + n).map(|head| self.head(x, head, name.clone(), place)).collect()
            };
            all.iter().enumerate().map(one).collect()
        };
        let (q, k, v) = (part(0, h, Some("q_norm")), part(h, kv, Some("k_norm")), part(h + kv, kv, None));
        self.linear(&self.gathered(&q, &k, &v, added), &format!("{at}.out"))
    }

    fn looked(&self, x: &Tokens, memory: &Tokens, seen: &[bool], at: &str) -> Tokens {
        let (h, kv) = (self.c.heads, self.c.kv_heads.unwrap_or(self.c.heads));
        let split = |x: &Tokens, from: i64, n: i64, norm: &str| -> Vec<Vec<Vec<f64>>> {
            let name = (!norm.is_empty()).then(|| format!("{at}.{norm}"));
            x.iter()
                .map(|x| (from..from + n).map(|i| self.head(x, i, name.clone(), None)).collect())
                .collect()
        };
        let both = self.linear(memory, &format!("{at}.kv"));
        let q = split(&self.linear(x, &format!("{at}.q")), 0, h, "q_norm");
        let (k, v) = (split(&both, 0, kv, "k_norm"), split(&both, kv, kv, ""));
        let hidden = |_: usize, _: usize, s: usize| if seen[s] { 0.0 } else { f64::NEG_INFINITY };
        self.linear(&self.gathered(&q, &k, &v, &hidden), &format!("{at}.out"))
    }

    fn mlp(&self, x: &Tokens, at: &str) -> Tokens {
        let hidden = self.linear(x, &format!("{at}.fc1"));
        let n = self.c.hidden() as usize;
        let one = |x: &Vec<f64>| -> Vec<f64> {
            let act = |v: f64| activated(self.c.activation, v);
            (0..n).map(|i| if self.c.gated { act(x[i]) * x[n + i] } else { act(x[i]) }).collect()
        };
        self.linear(&hidden.iter().map(one).collect(), &format!("{at}.fc2"))
    }

    fn branch(&self, x: Tokens, norm: &str, scale: &str, layers: &dyn Fn(&Tokens) -> Tokens) -> Tokens {
        let pre = self.c.norm == NormPlace::Pre;
        let mut y = if pre { layers(&self.norm(&x, norm)) } else { layers(&x) };
        if self.c.layer_scale.is_some() {
            let by = self.vector(scale);
            y.iter_mut().for_each(|y| y.iter_mut().zip(&by).for_each(|(v, s)| *v *= s));
        }
        let sum = plus(&x, &y);
        if pre { sum } else { self.norm(&sum, norm) }
    }

    /// One sample through all blocks; `real` tokens of it are seen.
    fn forward(&self, x: Tokens, real: &[bool], memory: Option<&Memory>) -> Tokens {
        let mut x = if self.c.input_norm { self.norm(&x, "s.input_norm") } else { x };
        let bias = self.c.relative.map(|r| (r, self.table("s.relative.weight")));
        let added = |h: usize, q: usize, s: usize| {
            if !real[s] || self.c.causal && s > q {
                return f64::NEG_INFINITY;
            }
            // Distances below a quarter of the buckets have one each.
            let own = |(r, table): &(RelativeConfig, Vec<Vec<f64>>)| {
                let (half, n) = (r.buckets as usize / 2, s.abs_diff(q));
                table[n + if s > q { half } else { 0 }][h]
            };
            bias.as_ref().map_or(0.0, own)
        };
        for i in 0..self.c.depth {
            let at = format!("s.blocks.{i}");
            let name = |rest: &str| format!("{at}.{rest}");
            x = self.branch(x, &name("norm1"), &name("scale1"), &|x| {
                self.attention(x, &name("attention"), &added)
            });
            let cross = self.cross.filter(|c| i >= c.first).zip(memory);
            let look = |x: Tokens, tokens: &Tokens, seen: &[bool]| {
                self.branch(x, &name("cross.norm"), &name("cross.scale1"), &|x| {
                    self.looked(x, tokens, seen, &name("cross"))
                })
            };
            if let Some((_, m)) = cross.filter(|(c, _)| c.place == CrossPlace::Inside) {
                x = look(x, &m.tokens, &m.seen);
            }
            x = self.branch(x, &name("norm2"), &name("scale2"), &|x| self.mlp(x, &name("mlp")));
            if let Some((_, m)) = cross.filter(|(c, _)| c.place == CrossPlace::After) {
                x = look(x, &self.norm(&m.tokens, &name("cross.memory_norm")), &m.seen);
                x = self.branch(x, &name("cross.norm2"), &name("cross.scale2"), &|x| {
                    self.mlp(x, &name("cross.mlp"))
                });
            }
        }
        x
    }
}

fn tokens(x: &Tensor) -> Tokens {
    Vec::try_from(x.to_kind(Kind::Double)).unwrap()
}

/// The largest distance of the tokens that are real.
fn far(found: &Tokens, want: &Tokens, real: &[bool]) -> f64 {
    let rows = found.iter().zip(want).zip(real).filter(|(_, real)| **real);
    let of = rows.flat_map(|((a, b), _)| a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    of.fold(0.0, f64::max)
}

const T: i64 = 5;
const LENGTHS: [i64; 2] = [5, 3];
const SEEN: [i64; 2] = [4, 2];

fn check(told: &str, c: &TransformerConfig, cross: Option<CrossConfig>) {
    c.validate(told).unwrap();
    let root = Scope::root(5, Device::Cpu);
    let stack = Transformer::decoder(&root.child("s"), c, cross.as_ref()).unwrap();
    let params = root.finish();
    stir(&params);
    let x = wave(&[2, T, c.width], 0.37);
    let lengths = |of: &[i64], n| length_mask(&Tensor::from_slice(of), n).unwrap();
    let memory = cross.map(|c| wave(&[2, 4, c.width], 0.53));
    let found = tch::no_grad(|| {
        let mask = stack.mask(T, Some(&lengths(&LENGTHS, T))).unwrap();
        let memory = memory
            .as_ref()
            .map(|m| stack.cross_kv(&m.to_kind(Kind::Float), Some(&lengths(&SEEN, 4)), &Pass::EVAL).unwrap());
        stack.decode(x.to_kind(Kind::Float), &mask, memory.as_ref(), None, &Pass::EVAL).unwrap()
    });
    let naive = Naive { c, cross, params: &params };
    for row in 0..2usize {
        let first = |n: i64, of: i64| (0..n).map(|i| i < of).collect::<Vec<bool>>();
        let real = first(T, LENGTHS[row]);
        let memory =
            memory.as_ref().map(|m| Memory { tokens: tokens(&m.get(row as i64)), seen: first(4, SEEN[row]) });
        let want = naive.forward(tokens(&x.get(row as i64)), &real, memory.as_ref());
        let distance = far(&tokens(&found.get(row as i64)), &want, &real);
        assert!(distance < 3e-5, "{told}, row {row}: {distance}");
    }
}

fn plain() -> TransformerConfig {
    TransformerConfig { mlp_ratio: 1.5, ..TransformerConfig::new(12, 2, 3) }
}

#[test]
fn every_key_of_a_block_does_what_it_says() {
    let rotary = |share| Some(RotaryConfig { base: 100.0, share, learned: false });
    let cases = [
        ("plain", plain()),
        ("causal", TransformerConfig { causal: true, ..plain() }),
        (
            "post-norm",
            TransformerConfig { norm: NormPlace::Post, input_norm: true, norm_eps: 1e-2, ..plain() },
        ),
        ("layer scale", TransformerConfig { layer_scale: Some(0.5), ..plain() }),
        ("no biases", TransformerConfig { bias: false, ..plain() }),
        ("rms", TransformerConfig { norm_kind: NormKind::Rms, norm_eps: 1e-3, ..plain() }),
        ("grouped", TransformerConfig { kv_heads: Some(1), ..plain() }),
        ("rotary", TransformerConfig { rotary: rotary(1.0), causal: true, ..plain() }),
        ("partly rotary", TransformerConfig { rotary: rotary(0.5), ..plain() }),
        ("gated", TransformerConfig { gated: true, activation: Activation::Silu, ..plain() }),
        (
            "relative",
            TransformerConfig { relative: Some(RelativeConfig { buckets: 24, max_distance: 64 }), ..plain() },
        ),
        (
            "relative and causal",
            TransformerConfig {
                relative: Some(RelativeConfig { buckets: 24, max_distance: 64 }),
                causal: true,
                ..plain()
            },
        ),
        (
            "all at once",
            TransformerConfig {
                kv_heads: Some(1),
                qk_norm: true,
                bias: false,
                gated: true,
                activation: Activation::Silu,
                norm_kind: NormKind::Rms,
                rotary: rotary(1.0),
                layer_scale: Some(0.5),
                causal: true,
                input_norm: true,
                ..plain()
            },
        ),
    ];
    for (told, config) in cases {
        check(told, &config, None);
    }
}

#[test]
fn every_activation_stands_between_the_layers() {
    for activation in [
        Activation::Relu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::QuickGelu,
        Activation::Silu,
        Activation::Tanh,
    ] {
        for gated in [false, true] {
            check("activation", &TransformerConfig { activation, gated, depth: 1, ..plain() }, None);
        }
    }
}

#[test]
fn a_memory_is_attended_to_where_it_should_be() {
    for place in [CrossPlace::Inside, CrossPlace::After] {
        for first in [0, 1, 2] {
            let cross = CrossConfig { width: 7, place, first };
            check("a memory", &TransformerConfig { causal: true, ..plain() }, Some(cross));
            check(
                "a memory, normed after",
                &TransformerConfig { norm: NormPlace::Post, ..plain() },
                Some(cross),
            );
            let modern = TransformerConfig {
                kv_heads: Some(1),
                qk_norm: true,
                norm_kind: NormKind::Rms,
                layer_scale: Some(0.5),
                gated: true,
                ..plain()
            };
            check("a memory, grouped", &modern, Some(cross));
        }
    }
}

/// Widths, heads and lengths that are no powers of two, down to one of each.
#[test]
fn odd_sizes_are_sizes() {
    for (width, heads) in [(1, 1), (3, 3), (10, 5), (21, 7), (14, 1)] {
        for depth in [1, 3] {
            check(
                "a size",
                &TransformerConfig { mlp_ratio: 2.0, ..TransformerConfig::new(width, depth, heads) },
                None,
            );
        }
    }
}
