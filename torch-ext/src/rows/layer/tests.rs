use super::raw::MOST;
use super::*;
use tch::Device;

/// Normal-like numbers by a sum of waves.
fn rows(n: i64, width: i64) -> Tensor {
    let t = Tensor::arange(n * width, (Kind::Double, Device::Cpu));
    let x = (&t * 0.731).sin() + (&t * 1.917).sin() * 0.7 + (&t * 0.113).cos() * 0.3;
    x.view([n, width]).to_kind(Kind::Float)
}

fn doubles(x: &Tensor) -> Vec<f64> {
    Vec::try_from(x.contiguous().view([-1]).to_kind(Kind::Double)).unwrap()
}

/// What the bytes stand for.
fn back(of: &Bytes) -> Vec<Vec<f64>> {
    let width = of.bytes.size()[1] as usize;
    let (bytes, scale, low) = (doubles(&of.bytes), doubles(&of.scale), doubles(&of.low));
    let (apart, columns, beyond) = (doubles(&of.apart), doubles(&of.columns), doubles(&of.beyond));
    let mut rows: Vec<Vec<f64>> = bytes
        .chunks(width)
        .enumerate()
        .map(|(row, bytes)| bytes.iter().map(|b| low[row] + scale[row] * b).collect())
        .collect();
    for (row, to) in rows.iter_mut().enumerate() {
        for i in 0..apart[row] as usize {
            to[columns[row * MOST as usize + i] as usize] += scale[row] * beyond[row * MOST as usize + i];
        }
    }
    rows
}

#[test]
fn every_number_is_within_half_a_step_and_far_ones_stand_apart() {
    for width in [1, 7, 16, 40, 384] {
        let x = rows(9, width);
        if width > 100 {
            // One column far out, as language models have them, and a row where nearly everything is.
            let _ = x.narrow(1, 77, 1).fill_(-40.0);
            let _ = x.get(4).narrow(0, 3, 1).fill_(1e3);
            let _ = x.get(5).fill_(0.0).narrow(0, 0, 20).fill_(9.0);
        }
        let of = Bytes::of(&x).unwrap();
        let (found, want) = (back(&of), doubles(&x));
        for (row, of_row) in found.iter().enumerate() {
            let step = of.scale.double_value(&[row as i64]);
            for (i, v) in of_row.iter().enumerate() {
                let want = want[row * width as usize + i];
                assert!(
                    (v - want).abs() <= 0.501 * step + want.abs() * 1e-6,
                    "{width} {row} {i}: {v}, {want}"
                );
            }
        }
        if width > 100 {
            let apart = doubles(&of.apart);
            assert_eq!(
                (apart[0], apart[4]),
                (1.0, 1.0),
                "the column; in row 4 one number is far from it, too"
            );
            assert_eq!(apart[5], 0.0, "twenty alike are no exception");
            assert!(of.scale.double_value(&[0]) < 15.0 / 255.0, "the scale does not reach to the column");
        }
    }
    let same = Bytes::of(&(Tensor::zeros([2, 5], (Kind::Float, Device::Cpu)) + 0.3)).unwrap();
    assert!(back(&same).iter().flatten().all(|v| (v - 0.3).abs() < 1e-7), "a row without a range");
}

/// The layer's formula over the rounded numbers, in double precision.
#[test]
fn a_layer_is_its_loops() {
    let act = |activation: Activation, x: f64| {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::None => x,
            Activation::Relu => x.max(0.0),
            Activation::Gelu => Tensor::from_slice(&[x]).gelu("none").double_value(&[0]),
            Activation::GeluTanh => Tensor::from_slice(&[x]).gelu("tanh").double_value(&[0]),
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::Silu => x * sigmoid(x),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Tanh => x.tanh(),
        }
    };
    for (n, input, output) in [(1i64, 24i64, 16i64), (5, 40, 50), (130, 96, 33)] {
        let (x, weight, bias) = (rows(n, input), rows(output, input) * 0.2, rows(1, output).view([output]));
        let _ = x.get(0).narrow(0, 2, 1).fill_(60.0);
        let weights = Weights::new(&weight, Some(&bias)).unwrap();
        let of = Bytes::of(&x).unwrap();
        let (rounded, channel) = (back(&of), doubles(&weights.scale));
        let (bytes, biases) = (doubles(&weights.turned.tr()), doubles(&bias));
        for activation in [
            Activation::None,
            Activation::Relu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::QuickGelu,
            Activation::Silu,
            Activation::Relu6,
            Activation::Tanh,
        ] {
            let found = weights.forward(&of, activation, None).unwrap();
            assert_eq!(found.size(), [n, output]);
            let next = weights.forward_bytes(&of, activation).unwrap();
            let again = Bytes::of(&found).unwrap();
            assert!(next.bytes == again.bytes && next.scale == again.scale && next.low == again.low);
            let found = doubles(&found);
            for (row, x) in rounded.iter().enumerate() {
                for (c, scale) in channel.iter().enumerate() {
                    let weights = &bytes[c * input as usize..(c + 1) * input as usize];
                    let sum: f64 = x.iter().zip(weights).map(|(a, b)| a * b * scale).sum();
                    let (found, want) = (found[row * output as usize + c], act(activation, sum + biases[c]));
                    assert!((found - want).abs() < 2e-5, "{activation:?} {row} {c}: {found}, {want}");
                }
            }
        }
    }
}

/// The sums are exact, so that oneDNN's product and the one made here give the same numbers; what is added is added last.
#[test]
fn every_product_is_the_same() {
    for (n, input, output) in [
        (1i64, 24i64, 16i64),
        (5, 37, 50),
        (101, 96, 131),
        (230, 66, 64),
        (97, 3, 7),
        // Whole tiles, and what is left beside them.
        (19, 64, 16),
        (33, 128, 70),
        (96, 64, 200),
        (245, 192, 150),
    ] {
        let (x, weight, bias) = (rows(n, input), rows(output, input), rows(1, output).view([output]));
        let [here, there] = [Product::new, Product::one_dnn]
            .map(|product| Weights::by(&weight, Some(&bias), product).unwrap());
        let (of, onto) = (Bytes::of(&x).unwrap(), rows(n, output) * 3.0);
        for activation in [Activation::None, Activation::Gelu] {
            let plain = here.forward(&of, activation, None).unwrap();
            assert!(plain == there.forward(&of, activation, None).unwrap(), "{n} {input} {output}");
            assert!(here.forward(&of, activation, Some(&onto)).unwrap() == plain + &onto);
            let [a, b] = [&here, &there].map(|w| w.forward_bytes(&of, activation).unwrap());
            assert!(a.bytes == b.bytes && a.scale == b.scale && a.low == b.low && a.apart == b.apart);
        }
        assert!(here.forward(&of, Activation::None, Some(&rows(n + 1, output))).is_err());
    }
}

/// Whatever stands beside a row, however many there are.
#[test]
fn a_row_alone_is_the_same_in_any_batch() {
    let weights =
        [Weights::new(&(rows(96, 64) * 0.3), None).unwrap(), Weights::new(&rows(24, 96), None).unwrap()];
    let x = rows(700, 64);
    let _ = x.narrow(1, 9, 1).fill_(25.0);
    let through = |x: &Tensor| {
        let hidden = weights[0].forward_bytes(&Bytes::of(x).unwrap(), Activation::Gelu).unwrap();
        weights[1].forward(&hidden, Activation::None, None).unwrap()
    };
    let all = through(&x);
    for n in [1, 2, 3, 8, 17, 64, 333] {
        assert!(through(&x.narrow(0, 300, n)) == all.narrow(0, 300, n), "{n} rows");
    }
    assert!(through(&x.view([7, 100, 64])) == all.view([7, 100, 24]), "leading axes are kept");
    assert_eq!(through(&x.narrow(0, 0, 0)).size(), [0, 24]);
}

#[test]
fn what_is_not_finite_stays_so_and_other_widths_are_refused() {
    let (weights, x) = (Weights::new(&rows(8, 32), None).unwrap(), rows(4, 32));
    let _ = x.get(1).narrow(0, 5, 1).fill_(f64::NAN);
    let _ = x.get(2).narrow(0, 31, 1).fill_(f64::INFINITY);
    let y = weights.forward(&Bytes::of(&x).unwrap(), Activation::Gelu, None).unwrap();
    let nan = |row: i64| y.get(row).isnan().all().int64_value(&[]) == 1;
    assert!(!nan(0) && nan(1) && nan(2) && !nan(3));
    let e =
        weights.forward(&Bytes::of(&rows(2, 31)).unwrap(), Activation::None, None).unwrap_err().to_string();
    assert!(e.contains("rows of 31 numbers, the weights take 32"), "{e}");
    assert!(Bytes::of(&Tensor::zeros([3, 0], (Kind::Float, Device::Cpu))).is_err());
    assert!(Weights::new(&rows(8, 32), Some(&rows(1, 7).view([7]))).is_err());
}
