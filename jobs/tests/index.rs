//! Indexes: what is built is found, what is damaged is refused.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use support::{TOWERS, collection, model, model_dir, names};
use tch::Device;
use unisono_jobs::index::{
    BuildOptions, BuildReport, Built, Effort, Filter, Linked, Method, Removal, Store, build, check_sums,
    compact, remove,
};
use unisono_jobs::{EmbedOptions, Embedder, Error, Flow, Index, Inputs, Modality, Progress, identity};

struct Made {
    dir: tempfile::TempDir,
    model: PathBuf,
    index: PathBuf,
    report: BuildReport,
}

fn go_on(_: Progress) -> Flow {
    Flow::Continue
}

fn options(manifest: &Path, split: Option<&str>) -> BuildOptions {
    let inputs = Inputs { source: Some(manifest.into()), split: split.map(Into::into), ..Inputs::default() };
    BuildOptions {
        inputs,
        embed: EmbedOptions { batch: 4, workers: 2, max_skip: 0 },
        ..BuildOptions::default()
    }
}

/// An index of eight images, eight audio files and sixteen captions.
fn made() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let model = model_dir(dir.path());
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    let manifest = collection(&media, 8);
    let index = dir.path().join("deep/idx");
    let report = build(&model, Device::Cpu, &index, &options(&manifest, None), &mut go_on).unwrap();
    Made { dir, model, index, report }
}

/// The folder of its one segment.
fn segment(index: &Path) -> PathBuf {
    let all = names(&index.join("segments"));
    assert_eq!(all.len(), 1, "{all:?}");
    index.join("segments").join(&all[0])
}

#[test]
fn what_is_built_is_found() {
    let made = made();
    assert_eq!(names(&made.index), ["asked.safetensors", "index.json", "segments"]);
    assert_eq!(
        names(&segment(&made.index)),
        ["columns.bin", "items.jsonl", "vectors.safetensors", "words.bin"]
    );
    assert_eq!(names(made.index.parent().unwrap()), ["idx"]);
    let index = Index::open(&made.index).unwrap();
    let header = index.header();
    assert_eq!(header, &made.report.header);
    // Each image stands in two records of one label and is there once.
    assert_eq!((header.count, made.report.repeated, made.report.checked), (32, 8, 32));
    let counts: Vec<_> = header.modalities.values().copied().collect();
    assert_eq!(counts, [16, 8, 8]);
    assert_eq!(header.model.path, made.model);
    assert_eq!(header.model.sha256, identity(&made.model).unwrap());
    assert!(header.built.inputs.source.as_ref().unwrap().paths[0].is_absolute());
    assert_eq!(made.report.recalls().len(), 6);

    let embedder = Embedder::of_index(&index, None, Device::Cpu).unwrap();
    let image = made.dir.path().join("media/p03.png");
    let query = embedder.image(&image).unwrap();
    let hits = index.search(&query, 5, &[]).unwrap();
    let best = index.item(hits[0].index).unwrap();
    assert_eq!((&best.blob, best.label.as_deref()), (&Some(image.into()), Some("r3")));
    assert_eq!(best.text.as_deref(), Some("number 3"));
    assert!(hits[0].score > 0.9999 && hits.len() == 5);
    assert!(hits.is_sorted());

    let audios = index.search(&query, 100, &[Modality::Audio]).unwrap();
    assert_eq!(audios.len(), 8);
    assert!(audios.iter().all(|h| index.item(h.index).unwrap().modality == Modality::Audio));
    assert!(index.search(&query[1..], 5, &[]).unwrap_err().to_string().contains("11 numbers"));
    assert!(index.search(&[f32::NAN; support::DIM], 5, &[]).is_err());
}

#[test]
fn damaged_and_mixed_up_indexes_are_refused() {
    let made = made();
    let own = segment(&made.index);
    let path = |name: &str| if name == "index.json" { made.index.join(name) } else { own.join(name) };
    let refused = |name: &str, bytes: &[u8], part: &str| {
        let whole = fs::read(path(name)).unwrap();
        fs::write(path(name), bytes).unwrap();
        let e = Index::open(&made.index).unwrap_err().to_string();
        assert!(e.contains(name) && e.contains(part) && !e.contains('\n'), "{e}");
        fs::write(path(name), whole).unwrap();
    };
    let vectors = fs::read(path("vectors.safetensors")).unwrap();
    for cut in [0, 7, 40, vectors.len() / 2, vectors.len() - 1] {
        refused("vectors.safetensors", &vectors[..cut], "build the index again");
    }
    let items = fs::read_to_string(path("items.jsonl")).unwrap();
    refused("items.jsonl", &items.as_bytes()[..items.len() / 2], "cut or of another segment");
    refused("items.jsonl", b"", "0 bytes, expected");
    refused("items.jsonl", &[0xff; 100], "100 bytes, expected");
    refused("columns.bin", b"unisono2", "not the columns of 32 rows");
    // What changed and has its length is seen by whoever reads all of it.
    fs::write(path("items.jsonl"), items.replace("number 5", "number 9")).unwrap();
    let seen = check_sums::<Built>(&made.index).unwrap();
    assert!(seen[0].damage.as_ref().unwrap().contains("items.jsonl: not the bytes"), "{seen:?}");
    fs::write(path("items.jsonl"), &items).unwrap();
    assert_eq!(check_sums::<Built>(&made.index).unwrap()[0].damage, None);
    let header = fs::read_to_string(path("index.json")).unwrap();
    refused("index.json", &header.as_bytes()[..header.len() / 2], "build the index again");
    refused(
        "index.json",
        header.replace("\"format_version\": 2", "\"format_version\": 9").as_bytes(),
        "version 9",
    );
    refused("index.json", header.replace("\"count\": 32", "\"count\": 31").as_bytes(), "damaged");

    // The vectors of another index with as many items.
    let other = made.dir.path().join("other");
    model(8, &TOWERS).save(&made.dir.path().join("model8")).unwrap();
    let manifest = made.dir.path().join("media/manifest.jsonl");
    build(&made.dir.path().join("model8"), Device::Cpu, &other, &options(&manifest, None), &mut go_on)
        .unwrap();
    let foreign = fs::read(segment(&other).join("vectors.safetensors")).unwrap();
    refused("vectors.safetensors", &foreign, "not the vectors");
    Index::open(&made.index).unwrap();

    let none = Index::open(made.dir.path()).unwrap_err().to_string();
    assert!(none.contains("this is no index"), "{none}");
}

#[test]
fn no_change_of_a_byte_ends_in_a_panic() {
    let made = made();
    let mut random = 5u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize % below
    };
    let own = segment(&made.index);
    let path_of = |name: &str| if name == "index.json" { made.index.join(name) } else { own.join(name) };
    for name in ["index.json", "items.jsonl", "vectors.safetensors", "columns.bin"] {
        let whole = fs::read(path_of(name)).unwrap();
        for case in 0..120 {
            let mut bytes = whole.clone();
            // Heads are short and say the most.
            let at = draw(if case % 2 == 0 { bytes.len().min(400) } else { bytes.len() });
            match case % 3 {
                0 => bytes[at] = draw(256) as u8,
                1 => bytes.truncate(at),
                _ => bytes[at] = b'0' + draw(10) as u8,
            }
            fs::write(path_of(name), bytes).unwrap();
            match Index::open(&made.index) {
                // Numbers changed, counts and lengths did not: whatever is found is one of its items.
                Ok(index) => {
                    let dim = index.header().dim;
                    let hits = index.search(&vec![0.5; dim], 5, &[]).unwrap();
                    assert!(hits.iter().all(|hit| hit.index < index.rows().count()));
                    hits.iter().for_each(|hit| drop(index.item(hit.index)));
                    let _ = check_sums::<Built>(&made.index);
                }
                Err(e) => {
                    assert!(!e.to_string().contains('\n') && e.to_string().contains("idx"), "{name}: {e}")
                }
            }
        }
        fs::write(path_of(name), whole).unwrap();
    }
}

#[test]
fn headers_of_before_repeat_their_texts_and_open() {
    let dir = tempfile::tempdir().unwrap();
    let (model, index) = (model_dir(dir.path()), dir.path().join("idx"));
    let inputs = Inputs { texts: vec!["a red bus".into(), "un chat".into()], ..Inputs::default() };
    let options = BuildOptions { inputs, ..BuildOptions::default() };
    build(&model, Device::Cpu, &index, &options, &mut go_on).unwrap();
    let path = index.join("index.json");
    let mut header: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(header["built"]["inputs"].get("texts").is_none());
    assert_eq!(header["built"]["texts"]["count"], 2);
    assert_eq!(Index::open(&index).unwrap().header().built.texts(), 2);
    header["built"].as_object_mut().unwrap().remove("texts");
    header["built"]["inputs"]["texts"] = serde_json::json!(["a red bus", "un chat"]);
    fs::write(&path, header.to_string()).unwrap();
    assert_eq!(Index::open(&index).unwrap().header().built.texts(), 2);
    build(&model, Device::Cpu, &index, &options, &mut go_on).unwrap();
}

#[test]
fn another_model_is_refused_and_a_moved_one_is_found() {
    let made = made();
    let index = Index::open(&made.index).unwrap();
    let moved = made.dir.path().join("moved");
    fs::rename(&made.model, &moved).unwrap();
    let e = Embedder::of_index(&index, None, Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("--model"), "{e}");
    Embedder::of_index(&index, Some(&moved), Device::Cpu).unwrap();
    // One changed setting of the contract is another model.
    let contract = moved.join("preprocessor_config.json");
    let text = fs::read_to_string(&contract).unwrap();
    fs::write(&contract, text.replace("\"fit\": \"pad\"", "\"fit\": \"crop\"")).unwrap();
    let e = Embedder::of_index(&index, Some(&moved), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("not the model that made the index"), "{e}");
}

#[test]
fn a_rebuild_replaces_an_index_and_nothing_else() {
    let made = made();
    let manifest = made.dir.path().join("media/manifest.jsonl");
    let report =
        build(&made.model, Device::Cpu, &made.index, &options(&manifest, Some("test")), &mut go_on).unwrap();
    assert_eq!(report.header.count, 24);
    assert_eq!(Index::open(&made.index).unwrap().len(), 24);
    assert_eq!(names(made.index.parent().unwrap()), ["idx"]);
    let media = made.dir.path().join("media");
    let before = names(&media);
    let e = build(&made.model, Device::Cpu, &media, &options(&manifest, None), &mut go_on)
        .unwrap_err()
        .to_string();
    assert!(e.contains("no index stands there"), "{e}");
    assert_eq!(names(&media), before);
}

#[test]
fn a_stopped_or_failed_build_leaves_the_old_index_and_nothing_beside() {
    let made = made();
    let manifest = made.dir.path().join("media/manifest.jsonl");
    let before = fs::read(made.index.join("index.json")).unwrap();
    let mut stop = |p: Progress| if p.stage == "embed" && p.done > 3 { Flow::Stop } else { Flow::Continue };
    let e = build(&made.model, Device::Cpu, &made.index, &options(&manifest, None), &mut stop).unwrap_err();
    assert!(matches!(e, Error::Interrupted), "{e}");
    fs::remove_file(made.dir.path().join("media/p02.png")).unwrap();
    let e = build(&made.model, Device::Cpu, &made.index, &options(&manifest, None), &mut go_on).unwrap_err();
    assert!(matches!(&e, Error::TooManySkipped { .. }) && e.to_string().contains("p02.png"), "{e}");
    assert_eq!(fs::read(made.index.join("index.json")).unwrap(), before);
    assert_eq!(names(made.index.parent().unwrap()), ["idx"]);
}

#[test]
fn the_contact_sheet_shows_hits_and_escapes_names() {
    let made = made();
    let index = Index::open(&made.index).unwrap();
    let embedder = Embedder::of_index(&index, None, Device::Cpu).unwrap();
    let words = "<script>bus</script>";
    let query = embedder.texts(&[words]).unwrap();
    let hits = index.search(&query.data, 6, &[Modality::Image, Modality::Audio]).unwrap();
    let page = unisono_jobs::sheet::html(&index, &unisono_jobs::Item::text("query", words), &hits);
    assert!(page.contains("data:image/png;base64,") && page.contains("&lt;script&gt;bus"));
    assert!(!page.contains("<script>bus"));
}

#[test]
fn a_build_says_what_its_method_finds_and_searches_go_as_they_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let model = model_dir(dir.path());
    let texts: Vec<String> = (0..700).map(|n| format!("number {n}")).collect();
    let inputs = Inputs { texts, ..Inputs::default() };
    let method = Method { store: Store::B1, graph: Linked::Always, candidates: Some(12) };
    let options = BuildOptions {
        inputs,
        embed: EmbedOptions { batch: 32, workers: 2, max_skip: 9 },
        method,
        ..BuildOptions::default()
    };
    let out = dir.path().join("idx");
    let header = build(&model, Device::Cpu, &out, &options, &mut go_on).unwrap().header;
    let [said] = &header.parts.recalled[..] else { panic!("{:?}", header.parts.recalled) };
    assert!(said.queries == 128 && said.share > 0.0 && said.share <= 1.0, "{said:?}");
    let mut index = Index::open(&out).unwrap();
    let query = index.vector(7).unwrap().to_vec();
    index.set_effort(Effort { candidates: None, exact: true });
    let exact = index.search(&query, 10, &[]).unwrap();
    index.set_effort(Effort { candidates: Some(700), exact: false });
    assert_eq!(index.search(&query, 10, &[]).unwrap(), exact);
    let by_words = index.search_words("Number 41", 3, &Filter::default(), &[]).unwrap();
    assert_eq!(index.item(by_words[0].index).unwrap().text.as_deref(), Some("number 41"));
    assert!(by_words.len() == 3 && by_words[0].score > by_words[1].score);
}

#[test]
fn an_index_of_the_first_format_becomes_one_that_can_be_changed() {
    let m = made();
    let part = m.report.header.parts.segments[0].clone();
    assert_eq!(part.copies, 0);
    let before = Index::open(&m.index).unwrap();
    let query = before.vector(3).unwrap().to_vec();
    let found = |index: &Index| -> Vec<String> {
        let hits = index.search(&query, 9, &[]).unwrap();
        hits.into_iter().map(|hit| index.item(hit.index).unwrap().id).collect()
    };
    let expected = found(&before);
    for name in ["vectors.safetensors", "items.jsonl"] {
        fs::copy(m.index.join(part.folder()).join(name), m.index.join(name)).unwrap();
    }
    fs::remove_dir_all(m.index.join("segments")).unwrap();
    let mut header: serde_json::Value =
        serde_json::from_slice(&fs::read(m.index.join("index.json")).unwrap()).unwrap();
    (header["format_version"], header["sum"]) = (1.into(), part.sum.into());
    header.as_object_mut().unwrap().remove("parts");
    fs::write(m.index.join("index.json"), header.to_string()).unwrap();
    let old = Index::open(&m.index).unwrap();
    assert_eq!(found(&old), expected);
    let said = old.search_words("bus", 3, &Filter::default(), &[]).unwrap_err().to_string();
    assert!(said.contains("unisono index compact"), "{said}");
    let remove =
        || remove(&m.index, &Removal { filter: Some(Filter::of(&[Modality::Text])), ..Removal::default() });
    assert!(remove().unwrap_err().to_string().contains("unisono index compact"));
    let header = compact(&m.index, None, None).unwrap();
    assert_eq!((header.format_version, header.parts.segments.len()), (2, 1));
    let new = Index::open(&m.index).unwrap();
    assert_eq!(found(&new), expected);
    assert!(
        !m.index.join("items.jsonl").exists() && new.search_words("bus", 3, &Filter::default(), &[]).is_ok()
    );
    assert_eq!(remove().unwrap().0, 16);
}
