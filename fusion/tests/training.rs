//! The fusion part as it is trained: its losses against naive ones, and images that it learns by heart.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::{
    ImageConfig, ModelConfig, Pooling, ProjectionConfig, Size, StemConfig, TextConfig, TransformerConfig,
    VitConfig,
};
use unisono_encoders::{Modality, Mode, Model, Pass, Processors};
use unisono_fusion::config::{FusionConfig, MemoryConfig, StackConfig, Tokens};
use unisono_fusion::objective::{
    Batch, Items, Losses, MatchPairs, TowerTokens, View, caption_loss, match_loss,
};
use unisono_fusion::{FusionModel, Generation, Mask, Objective, Sequence};
use unisono_processors::{ImageProcessor, TextProcessor, Vocabulary, train_tokenizer};
use unisono_torch_ext::autograd;

const CAPTIONS: [&str; 16] = [
    "a red bus",
    "a blue bus",
    "two red cats",
    "a cat on a bus",
    "the sea at night",
    "three small boats",
    "a boat",
    "night",
    "a man and a dog",
    "the dog of a man",
    "snow",
    "snow on the sea",
    "a big red house",
    "a small blue house",
    "green tea",
    "tea in a house",
];

fn towers() -> Model {
    let tokenizer = train_tokenizer(CAPTIONS.iter(), 300, Vocabulary::Words).unwrap();
    let text = TextProcessor::new(tokenizer, 32, 300).unwrap();
    let transformer = TransformerConfig { mlp_ratio: 2.0, ..TransformerConfig::new(24, 1, 3) };
    let config = ModelConfig {
        text: Some(TextConfig::new(300, 32, transformer.clone())),
        image: Some(ImageConfig::from(VitConfig {
            size: Size::from(16),
            stem: StemConfig::Patch { size: [8, 8], stride: None },
            flexible: false,
            prefix: 0,
            transformer,
            pooling: Pooling::Mean,
            projection: ProjectionConfig::default(),
        })),
        ..ModelConfig::new(16)
    };
    let processors =
        Processors { text: Some(text), image: Some(ImageProcessor::new(16)), ..Processors::default() };
    Model::new(config, processors, 3, Device::Cpu).unwrap()
}

fn model() -> FusionModel {
    model_of(1)
}

/// With a memory of so many frames.
fn model_of(frames: i64) -> FusionModel {
    let towers = towers();
    let text = towers.processors().text.clone();
    let stack = TransformerConfig { mlp_ratio: 2.0, ..TransformerConfig::new(32, 2, 4) };
    let config = FusionConfig {
        memory: MemoryConfig::Own { width: 28, modalities: vec![Modality::Image], frames, prefix: 0 },
        encoder: None,
        decoder: Some(StackConfig::new(300, 32, stack, 28)),
        matching: true,
        last_token: true,
        answers: false,
        tokens: Tokens { start: 1, end: vec![1], pad: 0, first: None },
        generation: Generation { max_length: 30, end: vec![1], ..Generation::default() },
        words: Vec::new(),
        speech: None,
    };
    FusionModel::new(config, towers, text, 4).unwrap()
}

fn images(n: i64) -> Tensor {
    (Tensor::arange(n * 3 * 16 * 16, (Kind::Float, Device::Cpu)) * 0.7137).sin().view([n, 3, 16, 16])
}

fn sequence(model: &FusionModel, pixels: &Tensor) -> Sequence {
    let out = model.towers().forward_image(pixels, Mode::Train).unwrap();
    Sequence { modality: Modality::Image, tokens: out.tokens, mask: None, frame: 0 }
}

fn ids(model: &FusionModel, n: usize) -> Vec<Vec<i64>> {
    CAPTIONS[..n].iter().map(|c| model.text().unwrap().encode(c).unwrap()).collect()
}

fn grads(model: &FusionModel, loss: &Tensor) -> Vec<Option<Tensor>> {
    let params: Vec<Tensor> = model.params().trainable().into_iter().map(|(_, p)| p).collect();
    autograd::grad(&[loss], &[None], &params.iter().collect::<Vec<_>>(), true, false).unwrap()
}

#[test]
fn losses_and_gradients_equal_naive_ones() {
    let model = model();
    let n = 5;
    let ids = ids(&model, n);
    let rows: Vec<&[i64]> = ids.iter().map(Vec::as_slice).collect();
    let (memory, mask) = model.memory(&[sequence(&model, &images(n as i64))]).unwrap();
    let all = model.writer().unwrap().cross_kv(&memory, mask.as_ref(), Mode::Train).unwrap();
    let one = |i: usize| {
        model.writer().unwrap().cross_kv(&memory.narrow(0, i as i64, 1), None, Mode::Train).unwrap()
    };
    // Captions: each text by itself, each token by itself.
    let mut sum = Tensor::from(0f32);
    let mut count = 0;
    for (i, row) in ids.iter().enumerate() {
        let mut input = vec![1];
        input.extend(&row[..row.len() - 1]);
        let input = Tensor::from_slice(&input).unsqueeze(0);
        let stack = model.writer().unwrap();
        let hidden = stack.forward(&input, &Mask::Causal, Some(&one(i)), None, Mode::Eval).unwrap();
        let log = stack.scores(&hidden).unwrap().log_softmax(-1, Kind::Float);
        for (at, id) in row.iter().enumerate() {
            sum -= log.select(0, 0).select(0, at as i64).select(0, *id);
            count += 1;
        }
    }
    let naive = sum / f64::from(count);
    let loss = caption_loss(&model, &all, &rows, 0.0, Mode::Train).unwrap();
    assert!((loss.double_value(&[]) - naive.double_value(&[])).abs() < 1e-5);
    same(&grads(&model, &loss), &grads(&model, &naive));
    // Matching: each pair by itself.
    let pairs = MatchPairs::new(
        n,
        &[Some(2), Some(0), None, Some(4), Some(1)],
        &[Some(1), None, Some(0), Some(2), Some(3)],
    );
    let loss = match_loss(&model, &all, &rows, &pairs, Mode::Train).unwrap();
    let mut sum = Tensor::from(0f32);
    for ((text, item), together) in pairs.texts.iter().zip(&pairs.items).zip(&pairs.together) {
        let text = Tensor::from_slice(&ids[*text]).unsqueeze(0);
        let real = Tensor::ones_like(&text).to_kind(Kind::Bool);
        let logits = model.match_logits(&text, &real, &one(*item), Mode::Eval).unwrap();
        sum -= logits.log_softmax(-1, Kind::Float).select(0, 0).select(0, *together);
    }
    let naive = sum / pairs.texts.len() as f64;
    assert!((loss.double_value(&[]) - naive.double_value(&[])).abs() < 1e-5);
    same(&grads(&model, &loss), &grads(&model, &naive));
}

fn same(a: &[Option<Tensor>], b: &[Option<Tensor>]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        match (a, b) {
            (Some(a), Some(b)) => {
                let difference = (a - b).abs().max().double_value(&[]);
                let size = b.abs().max().double_value(&[]).max(1.0);
                assert!(difference < 1e-5 * size, "{difference} of {size}");
            }
            (None, None) => {}
            _ => panic!("one has a gradient, the other has none"),
        }
    }
}

#[test]
fn a_saved_model_is_the_same_model() {
    let model = model();
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    let again = FusionModel::load(dir.path(), Device::Cpu).unwrap();
    assert_eq!(again.config(), model.config());
    for (name, p) in model.params().iter() {
        assert_eq!(again.params().get(name).unwrap().tensor, p.tensor, "{name}");
    }
    assert_eq!(Model::load(dir.path(), Device::Cpu).unwrap().config(), model.towers().config());
    let (memory, _) = model.memory(&[sequence(&model, &images(2))]).unwrap();
    let (other, _) = again.memory(&[sequence(&again, &images(2))]).unwrap();
    assert_eq!(memory, other);
}

#[test]
fn a_memory_holds_several_frames_and_hides_what_is_not_there() {
    let model = model_of(3);
    let frame = |n: i64, at: i64| Sequence { frame: at, ..sequence(&model, &images(2).narrow(0, n, 1)) };
    let (memory, mask) = model.memory(&[frame(0, 0), frame(1, 1)]).unwrap();
    assert_eq!((memory.size(), mask.is_none()), (vec![1, 8, 28], true));
    // The same image at another time is another memory.
    let (first, _) = model.memory(&[frame(0, 0)]).unwrap();
    let (later, _) = model.memory(&[frame(0, 2)]).unwrap();
    assert!((&first - &later).abs().max().double_value(&[]) > 1e-3);
    assert_eq!(memory.narrow(1, 0, 4), first);
    let e = model.memory(&[frame(0, 3)]).unwrap_err().to_string();
    assert_eq!(e, "frame 4 of a video, this model takes 3");
    let audio = Sequence { modality: Modality::Audio, ..frame(0, 0) };
    let e = model.memory(&[audio]).unwrap_err().to_string();
    assert_eq!(e, "this model attends to image, not to audio");
    // What the mask hides changes nothing: as if it were not there.
    let hidden = Tensor::from_slice(&[true, true, true, true, false, false, false, false]).unsqueeze(0);
    let masked = Sequence { mask: Some(hidden.narrow(1, 4, 4)), ..frame(1, 1) };
    let (memory, mask) = model.memory(&[frame(0, 0), masked]).unwrap();
    assert_eq!(mask.as_ref().unwrap(), &hidden);
    let stack = model.writer().unwrap();
    let ids = Tensor::from_slice(&[1i64, 40, 41]).unsqueeze(0);
    let run = |memory: &Tensor, mask: Option<&Tensor>| {
        let memory = stack.cross_kv(memory, mask, Mode::Eval).unwrap();
        stack.forward(&ids, &Mask::Causal, Some(&memory), None, Mode::Eval).unwrap()
    };
    let difference = (run(&memory, mask.as_ref()) - run(&first, None)).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn a_video_among_longer_ones_is_what_it_is_alone() {
    let model = model_of(3);
    let image = |n: u8| image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([n, x as u8 * 15, y as u8 * 15]));
    let (short, long) = (vec![image(10)], vec![image(90), image(200), image(30)]);
    assert_eq!(model.most_frames(), 3);
    let options = Generation { max_length: 12, ..model.config().generation.clone() };
    let prompt = model.caption_prompt("").unwrap();
    let write = |videos: &[Vec<image::RgbImage>]| {
        let memory = model.cross_kv(&model.encode_videos(videos).unwrap()).unwrap();
        model.caption(&memory, &prompt, &options, 0, None).unwrap()
    };
    let together = write(&[short.clone(), long.clone()]);
    for (one, alone) in together.iter().zip([write(&[short]), write(std::slice::from_ref(&long))]) {
        assert_eq!(one.ids, alone[0].ids);
        assert!((one.score - alone[0].score).abs() < 1e-5);
    }
    assert!(model.encode_videos(&[long, Vec::new()]).is_err());
}

/// Both losses of a fusion part over `n` things, each with an image and a caption of its own.
fn fused(model: &FusionModel, n: usize, pass: Pass) -> Losses {
    let pixels = images(n as i64);
    let tokens = sequence(model, &pixels).tokens;
    let ids = ids(model, n);
    let rows: Vec<usize> = (0..n).collect();
    let view = |seed: f64| {
        let x = (Tensor::arange(n as i64 * 16, (Kind::Float, Device::Cpu)) * 0.9 + seed).sin();
        View { vectors: x.view([-1, 16]), rows: rows.clone() }
    };
    let items = Items {
        labels: (0..n as u64).collect(),
        texts: (0..n as u64).map(Some).collect(),
        ..Items::default()
    };
    let batch = Batch {
        bridges: None,
        items: &items,
        views: &BTreeMap::from([(Modality::Text, view(0.0)), (Modality::Image, view(1.0))]),
        tokens: &BTreeMap::from([(
            Modality::Image,
            TowerTokens { frames: vec![(tokens, None)], rows: rows.clone() },
        )]),
        texts: ids.iter().map(|ids| Some(ids.as_slice())).collect(),
        pass,
        seed: 1,
        step: 0,
    };
    let objective: Objective =
        serde_json::from_str(r#"[{"kind": "caption", "weight": 0.5}, {"kind": "match"}]"#).unwrap();
    objective.losses(model.towers(), Some(model), &batch).unwrap()
}

/// Its operations, product by product: width 32, two blocks of four heads, twice as wide between; four image tokens of width 24 that enter
/// a memory of width 28.
#[test]
fn operations_of_the_fusion_part_are_counted() {
    let model = model();
    let (n, s) = (5usize, 4.0);
    let found = fused(&model, n, Pass::TRAIN).flops;
    let lengths: Vec<f64> = ids(&model, n).iter().map(|ids| ids.len() as f64).collect();
    let (longest, all) = (lengths.iter().copied().fold(0.0, f64::max), lengths.iter().sum::<f64>());
    let text = |t: f64| {
        let own = 2.0 * t * (4.0 * 32.0 * 32.0 + 2.0 * 32.0 * 64.0) + 4.0 * t * t * 32.0;
        let cross = 2.0 * t * (2.0 * 32.0 * 32.0) + 4.0 * t * s * 32.0;
        2.0 * (own + cross)
    };
    let n = n as f64;
    let memory = n * s * 2.0 * 24.0 * 28.0 + 2.0 * n * s * 2.0 * 28.0 * 64.0;
    let captions = n * text(longest) + 2.0 * all * 32.0 * 300.0;
    // Each text and each item has its true pair once and a hard negative.
    let matches = 3.0 * n * (text(longest) + 2.0 * 32.0 * 2.0);
    assert_eq!(found, memory + captions + matches);
    // In parts of like length there is less padding.
    assert!(fused(&model, 5, Pass { parts: 2, ..Pass::TRAIN }).flops < found);
}

#[test]
fn a_checkpointed_fusion_part_learns_the_same() {
    let model = model();
    let run = |checkpoint| {
        let losses = fused(&model, 5, Pass { checkpoint, parts: 2, ..Pass::TRAIN });
        let total = losses.total.unwrap();
        let params = model.params().trainable().into_iter().chain(model.towers().params().trainable());
        let params: Vec<Tensor> = params.map(|(_, p)| p).collect();
        let of: Vec<&Tensor> = params.iter().collect();
        (total.double_value(&[]), autograd::grad(&[&total], &[None], &of, false, false).unwrap())
    };
    let (want, found) = (run(false), run(true));
    assert_eq!(want.0, found.0);
    // Gradients reach the image tower through the memory.
    assert!(want.1.iter().filter(|g| g.is_some()).count() > 40);
    for (i, (want, found)) in want.1.iter().zip(&found.1).enumerate() {
        assert_eq!(want, found, "gradient {i}");
    }
}

/// The slope of each loss along a direction in the space of all parameters, by two values a little apart.
#[test]
fn gradients_equal_differences() {
    let model = model();
    let params: Vec<Tensor> = model.params().trainable().into_iter().map(|(_, p)| p).collect();
    let of: Vec<&Tensor> = params.iter().collect();
    for part in 0..2 {
        let value = || {
            let mut losses = fused(&model, 4, Pass::TRAIN);
            losses.parts.swap_remove(part).loss
        };
        let grads = autograd::grad(&[&value()], &[None], &of, false, false).unwrap();
        for seed in 0..3 {
            let along: Vec<Tensor> = params
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    let n = p.numel() as i64;
                    (Tensor::arange(n, (Kind::Float, Device::Cpu)) * (0.7 + f64::from(seed)) + i as f64)
                        .sin()
                        .view(p.size().as_slice())
                })
                .collect();
            let mut slope = 0.0;
            for (grad, along) in grads.iter().zip(&along) {
                if let Some(grad) = grad {
                    slope += (grad * along).sum(Kind::Double).double_value(&[]);
                }
            }
            let step = |by: f64| {
                tch::no_grad(|| {
                    for (p, along) in params.iter().zip(&along) {
                        let _ = p.shallow_clone().g_add_(&(along * by));
                    }
                });
            };
            let h = 2e-4;
            step(h);
            let above = value().double_value(&[]);
            step(-2.0 * h);
            let below = value().double_value(&[]);
            step(h);
            let found = (above - below) / (2.0 * h);
            assert!((found - slope).abs() < 0.02 * slope.abs().max(1.0), "part {part}: {found}, {slope}");
        }
    }
}

/// With every token a word of its own, the loss over known words is the loss over the vocabulary; with some of them, it is over theirs.
#[test]
fn the_loss_of_known_words_is_over_their_tokens() {
    let towers = towers();
    let text = towers.processors().text.clone();
    let plain = model();
    let images: Vec<image::RgbImage> =
        (0..3).map(|i| image::RgbImage::from_pixel(16, 16, image::Rgb([60 * i, 90, 20]))).collect();
    let memory = plain.cross_kv(&[plain.encode_images(&images).unwrap()]).unwrap();
    let captions: [&[i64]; 3] = [&[5, 6, 1], &[7, 1], &[6, 5, 7, 1]];
    let loss = |words: Vec<Vec<i64>>| {
        let config = FusionConfig { words, ..plain.config().clone() };
        let model = FusionModel::new(config, self::towers(), text.clone(), 4).unwrap();
        caption_loss(&model, &memory, &captions, 0.0, Pass::EVAL).unwrap().double_value(&[])
    };
    let all = loss(Vec::new());
    assert!((loss((0..300).map(|i| vec![i]).collect()) - all).abs() < 1e-6);
    // Fewer tokens to choose from: a smaller sum, and a smaller loss.
    let some = loss(vec![vec![5], vec![6], vec![7, 8]]);
    assert!(some < all && some > 0.0, "{some} {all}");
    // A token that no word has is no target.
    assert!(loss(vec![vec![5], vec![6]]).is_finite());
}
