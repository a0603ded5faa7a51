//! Stems against convolutions that are written out, and what padding does to them.

use super::*;
use tch::Device;
use unisono_nn::Params;

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape)
}

fn made(config: &StemConfig, input: i64, width: i64) -> (Stem, Params) {
    let root = Scope::root(3, Device::Cpu);
    let stem = Stem::new(&root, config, input, width).unwrap();
    let params = root.finish();
    tch::no_grad(|| {
        for (i, (name, p)) in params.iter().enumerate() {
            let x = wave(&p.tensor.size(), 0.3 + 0.2 * i as f64) * 0.4;
            let near_one = name.ends_with("norm.weight") || name.ends_with("running_var");
            p.tensor.shallow_clone().copy_(&if near_one { x + 1.0 } else { x });
        }
    });
    (stem, params)
}

fn get(params: &Params, name: &str) -> Tensor {
    params.get(name).unwrap_or_else(|| panic!("no {name}")).tensor.detach().to_kind(Kind::Double)
}

/// `[C, H, W]` → `[O, H', W']`, the input surrounded by zeros.
fn convolved(x: &Tensor, weight: &Tensor, stride: [i64; 2], padding: [i64; 2], out: [i64; 2]) -> Tensor {
    let (o, c, kh, kw) = weight.size4().unwrap();
    let (_, h, w) = x.size3().unwrap();
    let y = Tensor::zeros([o, out[0], out[1]], (Kind::Double, Device::Cpu));
    for at in 0..o * out[0] * out[1] {
        let [k, i, j] = [at / (out[0] * out[1]), at / out[1] % out[0], at % out[1]];
        let mut sum = 0.0;
        for tap in 0..c * kh * kw {
            let [channel, u, v] = [tap / (kh * kw), tap / kw % kh, tap % kw];
            let (row, column) = (i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]);
            if (0..h).contains(&row) && (0..w).contains(&column) {
                sum += x.double_value(&[channel, row, column]) * weight.double_value(&[k, channel, u, v]);
            }
        }
        let _ = y.get(k).get(i).get(j).fill_(sum);
    }
    y
}

fn near(found: &Tensor, want: &Tensor, told: &str) {
    assert_eq!(found.size(), want.size(), "{told}");
    let far = (found.detach().to_kind(Kind::Double) - want).abs().max().double_value(&[]);
    assert!(far < 1e-5, "{told}: {far}");
}

fn forward(stem: &Stem, x: &Tensor) -> Tensor {
    stem.forward(&x.to_kind(Kind::Float), None, Mode::Eval).unwrap().0
}

#[test]
fn patches_are_convolutions_whose_kernel_is_their_stride() {
    for (size, stride, [h, w]) in [
        ([2, 3], None, [4, 6]),
        ([3, 2], None, [7, 4]),
        ([3, 3], Some([2, 1]), [7, 6]),
        ([1, 1], None, [2, 3]),
    ] {
        let config = StemConfig::Patch { size, stride };
        let (stem, params) = made(&config, 2, 4);
        let x = wave(&[2, 2, h, w], 0.31);
        let found = forward(&stem, &x);
        let grid = config.grid([h, w]);
        assert_eq!(found.size(), [2, 4, grid[0], grid[1]]);
        for b in 0..2 {
            let want = convolved(&x.get(b), &get(&params, "weight"), stride.unwrap_or(size), [0, 0], grid);
            near(&found.get(b), &(want + get(&params, "bias").view([4, 1, 1])), "patches");
        }
    }
}

#[test]
fn a_stack_of_convolutions_is_its_layers() {
    let layer = |channels, stride, residual| ConvConfig { channels, stride, residual };
    for activation in [Activation::Relu, Activation::Silu] {
        let layers = vec![layer(3, [2, 1], false), layer(3, [1, 1], true), layer(4, [1, 2], false)];
        let config = StemConfig::Conv { layers: layers.clone(), activation };
        let (stem, params) = made(&config, 2, 9);
        assert_eq!(stem.channels(), 4);
        let x = wave(&[1, 2, 7, 6], 0.31);
        let mut want = x.get(0);
        for (i, l) in layers.iter().enumerate() {
            let of = |name: &str| get(&params, &format!("{i}.{name}")).view([-1, 1, 1]);
            let (_, h, w) = want.size3().unwrap();
            let out = [(h + l.stride[0] - 1) / l.stride[0], (w + l.stride[1] - 1) / l.stride[1]];
            let y = convolved(&want, &get(&params, &format!("{i}.weight")), l.stride, [1, 1], out);
            let y = (y - of("norm.running_mean")) / (of("norm.running_var") + 1e-5).sqrt();
            let y = y * of("norm.weight") + of("norm.bias");
            let y = if l.residual { y + &want } else { y };
            want = activation.forward(&y).unwrap();
        }
        near(&forward(&stem, &x).get(0), &want, "a stack");
    }
}

/// Whisper's: over three frames each, bands as channels.
#[test]
fn frames_are_convolved_over_time_alone() {
    let config = StemConfig::Frames { strides: vec![1, 2], activation: Activation::Gelu };
    let (stem, params) = made(&config, 3, 4);
    let x = wave(&[1, 1, 7, 3], 0.31);
    let mut want = x.get(0).get(0).tr().unsqueeze(-1); // [M, T, 1]
    for (i, stride) in [1i64, 2].iter().enumerate() {
        let t = (want.size()[1] + stride - 1) / stride;
        let weight = get(&params, &format!("{i}.weight")).unsqueeze(-1);
        let y = convolved(&want, &weight, [*stride, 1], [1, 0], [t, 1]);
        want = (y + get(&params, &format!("{i}.bias")).view([-1, 1, 1])).gelu("none");
    }
    near(&forward(&stem, &x).get(0), &want, "frames");
}

/// What stands past a sample's end does not reach its features, and how many of them are real is known.
#[test]
fn padding_changes_nothing_before_a_samples_end() {
    let layer = |channels, stride| ConvConfig { channels, stride, residual: false };
    for (config, input) in [
        (StemConfig::Patch { size: [2, 4], stride: None }, 1),
        (
            StemConfig::Conv {
                layers: vec![layer(3, [2, 2]), layer(3, [2, 1])],
                activation: Activation::Relu,
            },
            1,
        ),
        (StemConfig::Frames { strides: vec![1, 2], activation: Activation::Gelu }, 4),
    ] {
        let (stem, _) = made(&config, input, 3);
        let x = wave(&[2, 1, 11, 4], 0.31).to_kind(Kind::Float);
        let lengths = Tensor::from_slice(&[11i64, 6]);
        let (all, ends) = stem.forward(&x, Some(&lengths), Mode::Eval).unwrap();
        let ends = Vec::<i64>::try_from(ends.unwrap()).unwrap();
        for (b, n) in [(0, 11i64), (1, 6)] {
            let alone = x.narrow(0, b, 1).narrow(2, 0, n);
            let (alone, _) = stem.forward(&alone, Some(&Tensor::from_slice(&[n])), Mode::Eval).unwrap();
            assert_eq!((ends[b as usize], alone.size()[2]), (config.grid([n, 4])[0], config.grid([n, 4])[0]));
            near(&all.get(b).narrow(1, 0, ends[b as usize]), &alone.get(0).to_kind(Kind::Double), "padding");
        }
    }
}
