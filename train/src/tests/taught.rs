//! Views of a teacher: the pixels that it saw, and its vector of them.

use super::*;
use crate::data::Preparer;
use crate::features::Features;
use crate::given::Given;
use crate::setup::{self, Sources};
use image::{Rgb, RgbImage};
use serde_json::json;
use std::fs;
use unisono_datasets::augment::{Crop, ImageAugment};
use unisono_datasets::vectors::SCALE;
use unisono_media::Blob;
use unisono_processors::{Contract, Prepared};

/// Two views: one that is cropped, one that is coloured alone.
fn views() -> [View; 2] {
    let crop = Crop { scale: [0.1, 1.0], ratio: [0.75, 1.333] };
    let cropped = ImageAugment { crop, ..ImageAugment::default() };
    let coloured = ImageAugment { hue: 90.0, ..ImageAugment::default() };
    [View { view: 1, seed: 5, augment: cropped }, View { view: 2, seed: 5, augment: coloured }]
}

/// A view's vectors of three images: (10 x view + row, 1).
fn teach(folder: &Path, view: &View) {
    let rows: Vec<u8> =
        (0..3u64).flat_map(|i| [(10 * view.view + i) as f32, 1.0]).flat_map(f32::to_le_bytes).collect();
    let mut head = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }".to_owned();
    head += &" ".repeat(63 - (10 + head.len()) % 64);
    head.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    bytes.extend(&rows);
    let path = folder.join(format!("image-view-{}.npy", view.view));
    fs::write(&path, bytes).unwrap();
    let beside = |more: &str, text: String| fs::write(format!("{}{more}", path.display()), text).unwrap();
    beside(".jsonl", (0..3).map(|i| format!("{{\"id\":\"r{i}\",\"modality\":\"image\"}}\n")).collect());
    let mut sum = unisono_files::Sum::default();
    sum.update(&rows);
    let origin = json!({ "model": "m", "settings": "", "sum": sum.letters(), "count": 3, "dim": 2 });
    beside(".model.json", origin.to_string());
    view.write_beside(&path).unwrap();
}

#[test]
fn a_drawn_view_is_the_pixels_that_the_teacher_saw_with_its_vector_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut lines = String::new();
    for i in 0..3u32 {
        let image = RgbImage::from_fn(40 + i, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x ^ y) as u8]));
        image.save(at(&format!("{i}.png"))).unwrap();
        lines += &format!("{{\"id\":\"r{i}\",\"text\":\"image {i}\",\"image\":\"{i}.png\"}}\n");
    }
    fs::write(at("m.jsonl"), lines).unwrap();
    fs::create_dir(at("taught")).unwrap();
    views().iter().for_each(|view| teach(&at("taught"), view));
    let listed = |view: u32| json!({ "file": format!("image-view-{view}.npy"), "dim": 2 });
    let list = json!({ "image-view-1": listed(1), "image-view-2": listed(2) });
    fs::write(at("taught/teacher.json"), list.to_string()).unwrap();
    let text = format!(
        "seed = 1\nsteps = 1\ndevice = \"cpu\"\n[[objective]]\nkind = \"distill\"\n[optimizer]\nlr = 1e-3\n\
         [model]\nembed_dim = 8\n[model.text]\nvocab_size = 270\ncontext_length = 8\npooling = \"mean\"\n\
         transformer = {{ width = 8, depth = 1, heads = 1, mlp_ratio = 1.0 }}\n\
         [model.image]\nsize = 16\npooling = \"mean\"\nstem = {{ kind = \"patch\", size = [8, 8] }}\n\
         transformer = {{ width = 8, depth = 1, heads = 1, mlp_ratio = 1.0 }}\n[processor.image]\nsize = 16\n\
         [augment.image]\nflip = 1.0\n\
         [[data]]\nname = \"a\"\nsource = \"{}\"\nper_batch = 3\nteacher = \"{}\"\nteacher_views = true\n",
        at("m.jsonl").display(),
        at("taught").display()
    );
    let recipe = Recipe::parse(&text, Path::new("test.toml")).unwrap();
    let sampler = setup::sampler(&recipe, &mut Sources::default()).unwrap();
    let model = crate::towers::model(&recipe, &sampler, tch::Device::Cpu).unwrap();
    let given = Given::open(&recipe, &model, &sampler).unwrap();
    let preparer = Preparer::new(&recipe, &model, None).unwrap().with_features(Features::default(), given);
    let own = model.processors().image.clone().unwrap();
    let mut wide = model.processors().clone();
    wide.image = Some(own.scaled(SCALE));
    let mut seen = [0; 2];
    for draw in (0..16).flat_map(|step| sampler.batch(step)) {
        let record = sampler.record(&draw).unwrap();
        let sample = preparer.prepare(&draw, &record).unwrap();
        let row = &sample.taught[&Modality::Image];
        let number = (row[0] / 10.0) as usize;
        assert_eq!(record.id, format!("r{}", row[0] as usize % 10));
        let view = &views()[number - 1];
        let processors = if view.augment.moves() { &wide } else { model.processors() };
        let blob = Blob::from(record.image.as_ref().unwrap().path().unwrap().to_owned());
        let prepared = Contract::new(processors).prepare(Medium::Image(&blob)).unwrap();
        let Prepared::Image(image) = prepared else { panic!("an image") };
        let size = own.size_of_scaled(processors.image().unwrap(), &image);
        assert_eq!(sample.squares, [view.of(&record.id, &image, size)]);
        seen[number - 1] += 1;
        let again = preparer.prepare(&draw, &record).unwrap();
        assert_eq!((&again.squares, &again.taught), (&sample.squares, &sample.taught));
    }
    assert!(seen.iter().all(|n| *n > 12), "each of two views about as often: {seen:?}");
}
