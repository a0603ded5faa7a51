//! Gradients of micro-batches beside the whole batch's.

use super::*;
use crate::optimizer::Optimizer;
use crate::plan::Share;
use crate::plan::made_up::MadeUp;
use crate::towers;
use std::path::Path;
use tch::{Device, Kind};
use unisono_datasets::Record;
use unisono_media::Blob;

const BATCH: usize = 16;

/// Towers that drop whatever can be dropped; `more` stands at the end.
fn recipe(top: &str, objective: &str, more: &str) -> Recipe {
    let text = format!(
        r#"
seed = 3
steps = 4
device = "cpu"
{top}
[model]
embed_dim = 16
[model.text]
vocab_size = 280
context_length = 12
pooling = "mean"
token_dropout = 0.2
transformer = {{ width = 16, depth = 2, heads = 2, mlp_ratio = 2.0, dropout = 0.2, drop_path = 0.2 }}
[model.image]
size = 16
pooling = "mean"
stem = {{ kind = "patch", size = [8, 8] }}
transformer = {{ width = 16, depth = 2, heads = 2, mlp_ratio = 2.0, dropout = 0.1 }}
[model.audio]
mels = 8
max_frames = 32
pooling = "attention"
stem = {{ kind = "patch", size = [8, 8] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0, drop_path = 0.3 }}
[processor.image]
size = 16
[processor.audio]
mels = 8
max_frames = 32
[[data]]
name = "things"
source = "nothing.jsonl"
per_batch = {BATCH}
{objective}
[optimizer]
lr = 1e-2
{more}
"#
    );
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

const CONTRASTIVE: &str = "[[objective]]\nkind = \"contrastive\"\n";

/// Captions of several lengths; every third record has no audio, one has no image.
fn records() -> Vec<Record> {
    let blob = || Blob::from(Path::new("none").to_owned());
    let record = |i: usize| Record {
        id: i.to_string(),
        text: vec!["a thing of the kind".split(' ').cycle().take(1 + i % 7).collect::<Vec<_>>().join(" ")],
        image: (i != 5).then(blob),
        audio: if i.is_multiple_of(3) { Vec::new() } else { vec![blob()] },
        ..Record::default()
    };
    (0..BATCH).map(record).collect()
}

struct Made {
    recipe: Recipe,
    model: Learner,
    samples: Vec<Sample>,
}

fn made(recipe: Recipe, kept: &[(Modality, u32)]) -> Made {
    let made = MadeUp::of(&recipe, vec![records()]).unwrap();
    let towers = towers::model(&recipe, made.sampler(), Device::Cpu).unwrap();
    let model = Learner::new(towers, &recipe, &[]).unwrap();
    let share = Share { name: "things".into(), records: None, per_batch: Some(BATCH as f64), epochs: None };
    let samples = made.samples(&recipe, &model, kept, &[share]).unwrap();
    Made { recipe, model, samples }
}

fn whole(made: &Made, params: &[&Tensor]) -> Gradients {
    let rows: Vec<u64> = (0..BATCH as u64).collect();
    let step = Step::new(&made.model, &made.recipe, None).unwrap();
    let asked = Asked { samples: &made.samples, params, at: (2, 0) };
    step.whole(asked, Some(&rows), &mut Clock::start()).unwrap()
}

fn cut(made: &Made, params: &[&Tensor], method: BatchMethod, micro: usize) -> Gradients {
    let step = Step::new(&made.model, &made.recipe, None).unwrap();
    let asked = Asked { samples: &made.samples, params, at: (2, 0) };
    match method {
        BatchMethod::Accumulate => step.accumulated(asked, micro, &mut Clock::start()).unwrap(),
        _ => step.cached(asked, &cuts::even(BATCH, micro), &mut Clock::start()).unwrap(),
    }
}

/// The distance of two gradients over the length of the first, all parameters together; both have the same parameters.
fn far(a: &Gradients, b: &Gradients) -> f64 {
    let (mut off, mut length) = (0.0, 0.0);
    for (a, b) in a.of.iter().zip(&b.of) {
        assert_eq!(a.is_some(), b.is_some());
        let (Some(a), Some(b)) = (a, b) else { continue };
        let squares = |x: Tensor| x.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
        off += squares(a - b);
        length += squares(a.shallow_clone());
    }
    assert!(length > 0.0);
    (off / length).sqrt()
}

fn near(a: &Gradients, b: &Gradients, told: &str) {
    let off = far(a, b);
    println!("{told}: {off:.2e}");
    assert!(off <= 1e-6, "{told}: {off:e}");
    assert!((a.loss - b.loss).abs() < 1e-5, "{told}: {} {}", a.loss, b.loss);
    for ((name, x), (other, y)) in a.parts.iter().zip(&b.parts) {
        assert!(name == other && (x - y).abs() < 1e-5, "{told}: {name} {x} {y}");
    }
}

#[test]
fn cached_gradients_are_the_whole_batchs_with_everything_dropped() {
    let made = made(recipe("", CONTRASTIVE, ""), &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    let all = whole(&made, &params);
    for count in [1, 2, 4, 8] {
        near(
            &all,
            &cut(&made, &params, BatchMethod::Cached, BATCH / count),
            &format!("{count} micro-batches"),
        );
    }
    near(&all, &cut(&made, &params, BatchMethod::Cached, 5), "uneven ones");
    // Something is dropped: another step is another gradient.
    let step = Step::new(&made.model, &made.recipe, None).unwrap();
    let other = Asked { samples: &made.samples, params: &params, at: (3, 0) };
    assert!(far(&all, &step.cached(other, &cuts::even(BATCH, 8), &mut Clock::start()).unwrap()) > 1e-2);
}

#[test]
fn so_they_are_with_checkpointed_blocks_to_the_last_bit() {
    let plain = made(recipe("", CONTRASTIVE, ""), &[]);
    let again = made(recipe("activation_checkpointing = true", CONTRASTIVE, ""), &[]);
    let of = |made: &Made| {
        let params = made.model.params().trainable();
        let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
        cut(made, &params, BatchMethod::Cached, 4)
    };
    assert_eq!(far(&of(&plain), &of(&again)), 0.0);
}

/// A fusion part reads all tokens at once; captions, matching and aligned pairs together.
#[test]
fn so_they_are_under_a_fusion_part() {
    let fusion = "[fusion]\nmemory = [\"image\", \"audio\"]\ncontext_length = 12\n\
        transformer = { width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }\n";
    let terms = format!(
        "{CONTRASTIVE}[[objective]]\nkind = \"caption\"\n[[objective]]\nkind = \"match\"\nweight = 0.5\n"
    );
    let made = made(recipe("", &terms, fusion), &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    let all = whole(&made, &params);
    for micro in [8, 3] {
        near(&all, &cut(&made, &params, BatchMethod::Cached, micro), &format!("micro-batches of {micro}"));
    }
}

/// Captions add over samples: the mean over their tokens is the whole batch's however it is cut.
#[test]
fn accumulated_captions_are_the_whole_batchs() {
    let fusion = "[fusion]\nmemory = [\"image\"]\ncontext_length = 10\n\
        transformer = { width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }\n";
    let made = made(recipe("", "[[objective]]\nkind = \"caption\"\nlabel_smoothing = 0.1\n", fusion), &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    let all = whole(&made, &params);
    for micro in [16, 8, 3] {
        near(
            &all,
            &cut(&made, &params, BatchMethod::Accumulate, micro),
            &format!("micro-batches of {micro}"),
        );
    }
    // A contrastive loss is another one in each micro-batch: fewer negatives, a smaller loss.
    let made = self::made(recipe("", CONTRASTIVE, ""), &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    assert!(cut(&made, &params, BatchMethod::Accumulate, 4).loss < whole(&made, &params).loss - 0.3);
}

#[test]
fn towers_that_are_kept_or_frozen_do_not_run_again() {
    let rules = "[[group]]\nmatch = \"text.projection.*\"\n[[group]]\nmatch = \"text.*\"\nfreeze = true\n\
        [[group]]\nmatch = \"image.*\"\nfreeze = true\n";
    let made = made(recipe("", CONTRASTIVE, rules), &[(Modality::Text, 1)]);
    let optimizer = Optimizer::new(&made.model.params(), &made.recipe.optimizer, &made.recipe.group).unwrap();
    let params = optimizer.params();
    let step = Step::new(&made.model, &made.recipe, None).unwrap();
    assert_eq!(step.idle, [Modality::Image, Modality::Video]);
    assert!(made.samples[0].ids.is_none() && made.samples[0].pooled.contains_key(&Modality::Text));
    near(&whole(&made, &params), &cut(&made, &params, BatchMethod::Cached, 4), "heads");
}

#[test]
fn running_statistics_move_once_and_it_is_said_whose_they_are() {
    let stem =
        "stem = { kind = \"conv\", activation = \"relu\", layers = [{ channels = 4, stride = [2, 2] }] }";
    let text = recipe("", CONTRASTIVE, "").to_toml().unwrap();
    let mut with = Recipe::parse(&text, Path::new("test.toml")).unwrap();
    let image = format!(
        "size = 16\npooling = \"mean\"\n{stem}\ntransformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}"
    );
    with.model.as_mut().unwrap().image = Some(toml::from_str(&image).unwrap());
    with.batch = toml::from_str("micro = 8").unwrap();
    let made = made(with, &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    let mut step = Step::new(&made.model, &made.recipe, None).unwrap();
    assert!(step.notes()[0].contains("statistics of a micro-batch") && step.notes().is_empty());
    let now =
        |step: &Step| -> Vec<Tensor> { step.statistics().unwrap().into_iter().map(|(_, t)| t).collect() };
    let before = step.statistics().unwrap();
    tch::no_grad(|| {
        for i in 0..2 {
            step.part(&made.samples, i, &(8 * i..8 * (i + 1)), 2, &[]).unwrap();
        }
    });
    let once = now(&step);
    assert!(once.iter().zip(&before).any(|(a, (_, b))| a != b));
    cached::restore(&before).unwrap();
    step.gradients(&made.samples, &params, (2, 0), &mut Clock::start()).unwrap();
    for (a, b) in once.iter().zip(now(&step)) {
        assert!((a - b).abs().max().double_value(&[]) < 1e-6);
    }
}

#[test]
fn a_budget_of_tokens_cuts_the_batch_and_changes_no_gradient() {
    let text = |more: &str| recipe("[batch]\ntokens = 48", CONTRASTIVE, more);
    let made = made(text("[loader]\nbuckets = 3"), &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    let whole = whole(&made, &params);
    let mut step = Step::new(&made.model, &made.recipe, None).unwrap();
    let given = step.gradients(&made.samples, &params, (2, 0), &mut Clock::start()).unwrap();
    near(&whole, &given, "48 tokens");
    let towers = made.model.towers();
    let tokens: Vec<usize> = made.samples.iter().map(|s| cuts::tokens(towers, s)).collect();
    // An image of 16 pixels is 4 patches of 8, a text what was read, an audio file a row of patches for every 8 frames.
    for (tokens, sample) in tokens.iter().zip(&made.samples) {
        let text = sample.read().map_or(0, <[i64]>::len);
        let audio = sample.mel.as_ref().map_or(0, |mel| (mel.len() / 8).div_ceil(8));
        assert_eq!(*tokens, text + 4 * sample.squares.len() + audio);
    }
    let cuts = cuts::by_tokens(tokens.iter().copied(), 48);
    assert!(cuts.len() > 2, "{cuts:?}");
    assert!(cuts.iter().all(|c| c.len() == 1 || tokens[c.clone()].iter().sum::<usize>() <= 48), "{cuts:?}");
    assert_eq!(step.cut(BATCH), cuts.iter().map(|c| c.len()).max().unwrap());
    // Cuts of any lengths are one batch.
    let asked = Asked { samples: &made.samples, params: &params, at: (2, 0) };
    near(&whole, &step.cached(asked, &[0..1, 1..6, 6..BATCH], &mut Clock::start()).unwrap(), "uneven");
}

#[test]
fn images_of_any_shape_count_as_their_patches() {
    let made = made(recipe("", CONTRASTIVE, ""), &[]);
    let mut sample = Sample::default();
    for (width, height, patches) in [(16, 16, 4), (40, 8, 5), (8, 8, 1)] {
        sample.squares = vec![image::RgbImage::new(width, height)];
        assert_eq!(cuts::tokens(made.model.towers(), &sample), patches);
    }
    // Kept vectors cost no tower anything.
    let kept = Sample {
        ids: Some(vec![1, 2, 3]),
        pooled: [(Modality::Text, vec![0.0])].into(),
        ..Sample::default()
    };
    assert_eq!(cuts::tokens(made.model.towers(), &kept), 0);
}

#[test]
fn as_many_samples_as_fit_are_chosen_once() {
    let mut auto = recipe("", CONTRASTIVE, "");
    auto.batch = toml::from_str("micro = \"auto\"").unwrap();
    let made = made(auto, &[]);
    let params = made.model.params().trainable();
    let params: Vec<&Tensor> = params.iter().map(|(_, p)| p).collect();
    let mut step = Step::new(&made.model, &made.recipe, None).unwrap();
    assert_eq!(step.micro(), None);
    let found = step.gradients(&made.samples, &params, (2, 0), &mut Clock::start()).unwrap();
    assert_eq!(step.micro(), Some(BATCH), "a small batch fits");
    assert!(step.notes()[0].starts_with("batch: micro = 16: 1 micro-batches a step"));
    near(&whole(&made, &params), &found, "chosen");
    // A run that goes on takes what its checkpoint has.
    let step = Step::new(&made.model, &made.recipe, Some(4)).unwrap();
    assert_eq!((step.micro(), step.cut(BATCH)), (Some(4), 4));
}

#[test]
fn neighbouring_steps_and_seeds_draw_apart() {
    let mut seen: Vec<i64> = (0..50).flat_map(|s| (0..50).map(move |t| step_seed(s, t))).collect();
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() == 2500 && seen[0] >= 0);
    // Written down once: another stream would silently change every training.
    assert_eq!([step_seed(1, 0), step_seed(1, 1)], [5_225_608_189_600_411_232, 6_878_622_605_533_214_259]);
}
