//! Towers without blocks are their two ends: embeddings and places, the final norm and the pooling, each written out.

use super::*;
use crate::config::{
    Activation, ClassToken, ImageConfig, Pooling, ProjectionConfig, RotaryConfig, Size, SpectrogramConfig,
    StemConfig, TextConfig, TransformerConfig, VitConfig,
};
use crate::{Params, Pass};
use tch::{Device, Kind, Tensor};
use unisono_nn::Scope;

const W: i64 = 6;

fn wave(shape: &[i64], speed: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Float, Device::Cpu)) * speed).sin().view(shape)
}

fn ends() -> TransformerConfig {
    TransformerConfig::new(W, 0, 2)
}

fn get(params: &Params, name: &str) -> Tensor {
    params.get(name).unwrap_or_else(|| panic!("no {name}")).tensor.detach()
}

/// Layer norm at its first values.
fn normed(x: &Tensor) -> Tensor {
    let mean = x.mean_dim([-1i64].as_slice(), true, Kind::Float);
    let centred = x - mean;
    let var = centred.square().mean_dim([-1i64].as_slice(), true, Kind::Float);
    centred / (var + 1e-5).sqrt()
}

fn near(found: &Tensor, want: &Tensor, told: &str) {
    assert_eq!(found.size(), want.size(), "{told}");
    let far = (found.detach() - want).abs().max().double_value(&[]);
    assert!(far < 1e-5, "{told}: {far}");
}

fn text(pooling: Pooling, class_token: Option<ClassToken>) -> (TextTower, Params) {
    let config = TextConfig { pooling, class_token, ..TextConfig::new(11, 5, ends()) };
    let root = Scope::root(4, Device::Cpu);
    let tower = TextTower::new(&root, &config).unwrap();
    (tower, root.finish())
}

#[test]
fn a_text_is_its_words_at_their_places() {
    let ids = Tensor::from_slice(&[3i64, 9, 9, 1, 4, 7, 0, 0]).view([2, 4]);
    let real = ids.ne(0);
    for (pooling, at) in [(Pooling::Highest, [1, 1]), (Pooling::End(4), [0, 0]), (Pooling::Last, [3, 1])] {
        let (tower, params) = text(pooling, None);
        let out = tower.forward(&ids, &real, &Pass::EVAL).unwrap();
        let words = get(&params, "embedding.weight").index_select(0, &ids.view([-1])).view([2, 4, W]);
        let want = normed(&(words + get(&params, "position.weight").narrow(0, 0, 4)));
        near(&out.tokens, &want, "tokens");
        for b in 0..2 {
            near(&out.pooled.get(b), &want.get(b).get(at[b as usize]), "pooled");
        }
        assert_eq!(out.mask.unwrap(), real);
    }
}

/// CoCa's: the text is padded to its full length, and what is pooled stands behind it.
#[test]
fn a_class_token_stands_behind_the_padded_text() {
    let ids = Tensor::from_slice(&[3i64, 9, 4]).view([1, 3]);
    let (tower, params) = text(Pooling::Last, Some(ClassToken { pad: 0, shifted: false }));
    let out = tower.forward(&ids, &ids.ne(0), &Pass::EVAL).unwrap();
    let padded = Tensor::from_slice(&[3i64, 9, 4, 0, 0]);
    let words = get(&params, "embedding.weight").index_select(0, &padded);
    let all = Tensor::cat(&[words, get(&params, "class").unsqueeze(0)], 0) + get(&params, "position.weight");
    near(&out.tokens.get(0), &normed(&all), "tokens");
    near(&out.pooled.get(0), &normed(&all.get(5)), "pooled");
    let mask = Vec::<bool>::try_from(out.mask.unwrap().view([-1])).unwrap();
    assert_eq!(mask, [true, true, true, false, false, true]);
}

fn image(flexible: bool, prefix: i64, rotary: Option<RotaryConfig>) -> (ImageTower, Params) {
    let config = ImageConfig::from(VitConfig {
        size: Size::from(8),
        stem: StemConfig::Patch { size: [4, 2], stride: None },
        flexible,
        prefix,
        transformer: TransformerConfig { rotary, ..ends() },
        pooling: Pooling::Mean,
        projection: ProjectionConfig::default(),
    });
    let root = Scope::root(4, Device::Cpu);
    let tower = ImageTower::new(&root, &config).unwrap();
    (tower, root.finish())
}

/// Patches `[h·w, W]` of one image, by sums over their pixels.
fn patches(params: &Params, pixels: &Tensor, [h, w]: [i64; 2]) -> Tensor {
    let weight = get(params, "stem.weight").view([W, -1]);
    let one = |i: i64| {
        let patch = pixels.narrow(1, i / w * 4, 4).narrow(2, i % w * 2, 2).reshape([-1]);
        weight.matmul(&patch) + get(params, "stem.bias")
    };
    Tensor::stack(&(0..h * w).map(one).collect::<Vec<_>>(), 0)
}

#[test]
fn an_image_is_its_patches_at_their_places() {
    let pixels = wave(&[2, 3, 8, 8], 0.31);
    for (prefix, rotary) in [(0, None), (2, None), (0, Some(RotaryConfig::default()))] {
        let (tower, params) = image(false, prefix, rotary);
        let out = tower.forward(&pixels, &Pass::EVAL).unwrap();
        for b in 0..2 {
            let mut want = patches(&params, &pixels.get(b), [2, 4]);
            if rotary.is_none() {
                want += get(&params, "position.weight");
            }
            if prefix > 0 {
                want = Tensor::cat(&[get(&params, "prefix"), want], 0);
            }
            near(&out.tokens.get(b), &normed(&want), "tokens");
            let own = normed(&want).narrow(0, prefix, 8);
            near(&out.pooled.get(b), &own.mean_dim([0i64].as_slice(), false, Kind::Float), "pooled");
        }
    }
    let (tower, _) = image(false, 0, None);
    let e = tower.forward(&wave(&[1, 3, 8, 6], 0.3), &Pass::EVAL).unwrap_err().to_string();
    assert!(e.contains("images of [3, 8, 6], this tower takes [3, 8, 8]"), "{e}");
}

/// Any grid, also of more patches than were trained, in one column or one row; what is learned of the places is resized, and a constant stays one.
#[test]
fn a_flexible_tower_takes_every_shape() {
    let (tower, params) = image(true, 0, None);
    let _ = tch::no_grad(|| params.get("position.weight").unwrap().tensor.shallow_clone().fill_(0.5));
    for [h, w] in [[2i64, 4], [1, 8], [4, 2], [1, 1], [2, 3], [7, 1], [2, 5]] {
        let pixels = wave(&[1, 3, 4 * h, 2 * w], 0.31);
        let out = tower.forward(&pixels, &Pass::EVAL).unwrap();
        near(&out.tokens.get(0), &normed(&(patches(&params, &pixels.get(0), [h, w]) + 0.5)), "tokens");
    }
    for sides in [[6, 8], [0, 8], [4 * 65, 2 * 64]] {
        let e = tower.forward(&wave(&[1, 3, sides[0], sides[1]], 0.3), &Pass::EVAL).unwrap_err().to_string();
        assert!(e.contains("at most 4096 patches of 4 x 2"), "{e}");
    }
    let e = tower.forward_clips(&wave(&[3, 3, 8, 8], 0.3), 2, &Pass::EVAL).unwrap_err().to_string();
    assert!(e.contains("3 images are no clips of 2 frames"), "{e}");
}

#[test]
fn an_audio_file_is_its_frames_at_their_places() {
    let config = SpectrogramConfig {
        mels: 4,
        max_frames: 10,
        stem: StemConfig::Frames { strides: vec![1, 2], activation: Activation::Gelu },
        grid: false,
        prefix: 0,
        transformer: ends(),
        pooling: Pooling::Mean,
        decoder: None,
        projection: ProjectionConfig::default(),
    };
    let root = Scope::root(4, Device::Cpu);
    let tower = AudioTower::new(&root, &config).unwrap();
    let params = root.finish();
    let mel = wave(&[2, 9, 4], 0.31);
    let lengths = Tensor::from_slice(&[9i64, 4]);
    let out = tower.forward(&mel, &lengths, &Pass::EVAL).unwrap();
    for (b, n) in [(0i64, 9i64), (1, 4)] {
        let mut x = mel.get(b).narrow(0, 0, n).tr().unsqueeze(0);
        for (i, stride) in [1i64, 2].iter().enumerate() {
            let (weight, bias) =
                (get(&params, &format!("stem.{i}.weight")), get(&params, &format!("stem.{i}.bias")));
            x = x.conv1d(&weight, Some(bias), [*stride], [1], [1], 1).gelu("none");
        }
        let t = x.size()[2];
        let want = normed(&(x.get(0).tr() + get(&params, "position.weight").narrow(0, 0, t)));
        near(&out.tokens.get(b).narrow(0, 0, t), &want, "tokens");
        near(&out.pooled.get(b), &want.mean_dim([0i64].as_slice(), false, Kind::Float), "pooled");
    }
    let e = tower.forward(&wave(&[1, 13, 4], 0.3), &Tensor::from_slice(&[13i64]), &Pass::EVAL).unwrap_err();
    assert!(e.to_string().contains("audio of 7 tokens, this tower takes at most 5"), "{e}");
}
