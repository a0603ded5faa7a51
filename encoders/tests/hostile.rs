//! Model folders that strangers made to cost memory, time or the process: each is refused in one line that names what is wrong.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fs;
use std::path::{Path, PathBuf};
use support::checkpoint;
use tch::Device;
use unisono_encoders::{families, fuzzing};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A copy of a golden checkpoint, to be changed.
fn copy(name: &str) -> tempfile::TempDir {
    support::copy(&checkpoint(name))
}

fn refused(dir: &Path) -> String {
    let said = families::load(dir, Device::Cpu).unwrap_err().to_string();
    assert!(!said.chars().any(char::is_control) && said.chars().count() < 2100, "{said:?}");
    said
}

/// Sets `value` at the dotted `key` of `dir`'s `file`.
fn set(dir: &Path, file: &str, key: &str, value: &serde_json::Value) {
    let path = dir.join(file);
    let mut json: serde_json::Value =
        fs::read(&path).map_or(serde_json::json!({}), |b| serde_json::from_slice(&b).unwrap());
    let mut at = &mut json;
    for key in key.split('.') {
        at = &mut at[key];
    }
    *at = value.clone();
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn every_number_of_a_configuration_is_told_by_its_key() {
    let huge = [
        serde_json::json!(0),
        serde_json::json!(-1),
        serde_json::json!(i64::MAX),
        serde_json::json!(1e300),
        serde_json::json!("1"),
    ];
    for (checkpoint, file, keys) in [
        (
            "clip-quick",
            "config.json",
            &[
                "projection_dim",
                "text_config.hidden_size",
                "text_config.intermediate_size",
                "text_config.vocab_size",
                "text_config.max_position_embeddings",
                "text_config.num_attention_heads",
                "vision_config.image_size",
                "vision_config.patch_size",
                "vision_config.layer_norm_eps",
            ][..],
        ),
        ("siglip", "config.json", &["vision_config.image_size", "text_config.max_position_embeddings"]),
        (
            "clap",
            "config.json",
            &[
                "audio_config.spec_size",
                "audio_config.window_size",
                "audio_config.num_mel_bins",
                "audio_config.patch_embeds_hidden_size",
                "audio_config.mlp_ratio",
            ],
        ),
        (
            "whisper",
            "config.json",
            &[
                "d_model",
                "max_source_positions",
                "num_mel_bins",
                "encoder_ffn_dim",
                "encoder_attention_heads",
            ],
        ),
        (
            "openclip",
            "open_clip_config.json",
            &[
                "model_cfg.embed_dim",
                "model_cfg.vision_cfg.image_size",
                "model_cfg.text_cfg.width",
                "model_cfg.text_cfg.context_length",
                "model_cfg.text_cfg.heads",
            ],
        ),
        ("clip-quick", "preprocessor_config.json", &["size", "image_std", "rescale_factor"]),
    ] {
        let whole = copy(checkpoint);
        families::load(whole.path(), Device::Cpu).unwrap();
        for key in keys {
            for value in &huge {
                let dir = copy(checkpoint);
                set(dir.path(), file, key, value);
                let said = refused(dir.path());
                assert!(
                    said.contains(file) && said.contains(key.split('.').next_back().unwrap()),
                    "{key} = {value}: {said}"
                );
                assert!(!said.contains("libtorch"), "{key} = {value}: {said}");
            }
        }
    }
}

#[test]
fn audios_ask_for_no_gigabytes() {
    let base = |kind: &str| serde_json::json!({"feature_extractor_type": kind});
    for (kind, key, value) in [
        ("WhisperFeatureExtractor", "sampling_rate", serde_json::json!(4_000_000_000u32)),
        ("WhisperFeatureExtractor", "sampling_rate", serde_json::json!(1)),
        ("WhisperFeatureExtractor", "chunk_length", serde_json::json!(1_000_000)),
        ("WhisperFeatureExtractor", "n_fft", serde_json::json!(1 << 30)),
        ("WhisperFeatureExtractor", "hop_length", serde_json::json!(1)),
        ("WhisperFeatureExtractor", "feature_size", serde_json::json!(1 << 20)),
        ("ClapFeatureExtractor", "nb_max_samples", serde_json::json!(1u64 << 40)),
        ("ClapFeatureExtractor", "max_length_s", serde_json::json!(1e12)),
        ("ASTFeatureExtractor", "max_length", serde_json::json!(1u64 << 40)),
        ("ASTFeatureExtractor", "num_mel_bins", serde_json::json!(100_000)),
    ] {
        let mut json = base(kind);
        json[key] = value.clone();
        let path = Path::new("preprocessor_config.json");
        let made =
            unisono_processors::MelConfig::from_hugging_face(unisono_processors::Json::new(path, &json));
        let said = made.unwrap_err().to_string();
        assert!(
            said.starts_with("preprocessor_config.json: ") && said.len() < 300,
            "{kind} {key} = {value}: {said}"
        );
    }
}

#[test]
fn sizes_that_the_weights_do_not_have_are_refused_before_memory_is_taken() {
    for (checkpoint, file, keys) in [
        (
            "clip-quick",
            "config.json",
            &[("text_config.vocab_size", 1 << 24), ("text_config.max_position_embeddings", 1 << 20)][..],
        ),
        (
            "clip-quick",
            "config.json",
            &[("text_config.intermediate_size", 1024), ("text_config.num_hidden_layers", 1024)],
        ),
        ("bert", "config.json", &[("vocab_size", 1 << 24), ("num_hidden_layers", 1000)]),
    ] {
        let dir = copy(checkpoint);
        for (key, value) in keys {
            set(dir.path(), file, key, &serde_json::json!(value));
        }
        let said = refused(dir.path());
        assert!(said.contains("more than the weights' file can fill"), "{said}");
    }
}

#[test]
fn weights_that_lie_are_refused() {
    let name = "model.safetensors";
    let header = |text: &str, data: usize| {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &vec![0; data]].concat()
    };
    let tensor = |shape: &str, from: u64, to: u64| {
        format!(r#""a":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    for (bytes, words) in [
        (vec![], "0 bytes that are no whole safetensors file"),
        (u64::MAX.to_le_bytes().to_vec(), "bytes or more, more than the"),
        (header(&"[".repeat(1000), 0), "levels of nesting"),
        (header(&format!("{{\"a\":[{}0]}}", "0,".repeat(1 << 22)), 0), "values or more"),
        (header(&format!("{{{}}}", tensor("[2]", 0, 8)), 4), "no whole safetensors file"),
        (header(&format!("{{{}}}", tensor("[9]", 0, 8)), 8), "no whole safetensors file"),
        (header(&format!("{{{}}}", tensor("[2]", u64::MAX, 8)), 8), "no whole safetensors file"),
        (
            header(
                &format!("{{{},{}}}", tensor("[2]", 0, 8), tensor("[2]", 4, 12).replace("\"a\"", "\"b\"")),
                12,
            ),
            "no whole safetensors file",
        ),
        (
            header(&format!("{{{}}}", tensor("[0,4611686018427387904,4611686018427387904]", 0, 0)), 0),
            "expected at most 8 axes",
        ),
        (header(&format!("{{{}}}", tensor("[1,1,1,1,1,1,1,1,2]", 0, 8)), 8), "expected at most 8 axes"),
        (
            header(&format!("{{{}}}", tensor("[2]", 0, 8).replace("\"a\"", "\"\\u001b[2J\\n\"")), 8),
            "unexpected (\\u{1b}[2J\\u{a})",
        ),
    ] {
        let dir = copy("clip-quick");
        fs::write(dir.path().join(name), bytes).unwrap();
        let said = refused(dir.path());
        assert!(said.contains(words) && said.contains(name), "{words}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_model_files() {
    let files = [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "vocab.json",
        "tokenizer_config.json",
    ];
    for name in files {
        let dir = copy("clip-quick");
        for (other, text) in [("vocab.json", "{}"), ("merges.txt", ""), ("preprocessor_config.json", "{}")] {
            if !dir.path().join(other).exists() {
                fs::write(dir.path().join(other), text).unwrap();
            }
        }
        let path = dir.path().join(name);
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let said = refused(dir.path());
        assert!(
            said.contains(name) && said.ends_with("expected a regular file, found a device"),
            "{name}: {said}"
        );
    }
}

#[test]
fn vocabularies_of_any_size_end_soon() {
    let dir = copy("bert");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let _ = fs::remove_file(dir.path().join(name));
    }
    // Sparse: no disk is filled.
    let file = fs::File::create(dir.path().join("vocab.txt")).unwrap();
    file.set_len(200 << 20).unwrap();
    assert!(refused(dir.path()).contains("vocab.txt: 209715200 bytes or more"));
    fs::write(dir.path().join("vocab.txt"), "\n".repeat(5 << 20)).unwrap();
    assert!(refused(dir.path()).contains("vocab.txt: 5242880 values or more"));
}

#[test]
fn folders_lead_nowhere_else() {
    for path in ["../other", "/etc", "a/../../b"] {
        let dir = copy("bert");
        let modules = serde_json::json!([{"type": "sentence_transformers.models.Pooling", "path": path}]);
        fs::write(dir.path().join("modules.json"), modules.to_string()).unwrap();
        assert!(refused(dir.path()).contains("path: expected a folder below this one"), "{path}");
    }
}

type Target<'a> = Box<dyn Fn(&[u8]) + 'a>;

/// The targets of `fuzz/` that read model files.
fn targets(dir: &Path) -> [(&'static str, Target<'_>); 6] {
    [
        ("pickle", Box::new(fuzzing::pickle)),
        ("safetensors", Box::new(fuzzing::safetensors)),
        ("ctranslate2", Box::new(fuzzing::ctranslate2)),
        ("sentencepiece", Box::new(fuzzing::sentencepiece)),
        ("tokenizer", Box::new(fuzzing::tokenizer)),
        ("configuration", Box::new(|b| fuzzing::configuration(dir, b))),
    ]
}

fn kept(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("fuzz/corpus-kept").join(target))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|p| fs::read(p).unwrap()).collect()
}

/// What the fuzzer found, and inputs of the kinds that were reported, once more.
#[test]
fn kept_finds_cost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (target, run) in targets(dir.path()) {
        let inputs = kept(target);
        assert!(inputs.len() >= 4, "{target}");
        inputs.iter().for_each(|bytes| run(bytes));
    }
}

/// A kept input changed in one to six places: bits, bytes, lengths, numbers in texts, parts of other inputs.
fn mutated(rng: &mut ChaCha8Rng, inputs: &[Vec<u8>]) -> Vec<u8> {
    const NUMBERS: [&str; 9] = [
        "0",
        "-1",
        "1",
        "65536",
        "4294967295",
        "9223372036854775807",
        "18446744073709551615",
        "1e308",
        "null",
    ];
    let mut bytes = inputs[rng.random_range(0..inputs.len())].clone();
    for _ in 0..rng.random_range(1..7) {
        let at = rng.random_range(0..bytes.len().max(1));
        let end = (at + rng.random_range(1..16)).min(bytes.len());
        match rng.random_range(0..8) {
            _ if bytes.is_empty() => bytes.push(rng.random()),
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'(', b'[', b'{'][rng.random_range(0..8)],
            2 => bytes[at..end].fill(0xff),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].repeat(rng.random_range(1..20));
                drop(bytes.splice(at..at, part));
            }
            5 => {
                let other = &inputs[rng.random_range(0..inputs.len())];
                let from = rng.random_range(0..other.len().max(1));
                let to = (from + rng.random_range(1..64)).min(other.len());
                drop(bytes.splice(at..end, other[from.min(to)..to].iter().copied()));
            }
            _ => {
                // The number that begins here or behind.
                let Some(first) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) else {
                    continue;
                };
                let length = bytes[first..].iter().take_while(|b| b.is_ascii_digit()).count();
                drop(bytes.splice(first..first + length, NUMBERS[rng.random_range(0..9)].bytes()));
            }
        }
    }
    bytes
}

/// `UNISONO_MUTATIONS=1000000` tries as many for each target; `UNISONO_TARGET` names one.
#[test]
fn changed_finds_cost_nothing() {
    let number = std::env::var("UNISONO_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let only = std::env::var("UNISONO_TARGET").ok();
    let dir = tempfile::tempdir().unwrap();
    for (target, run) in targets(dir.path()).into_iter().filter(|(t, _)| only.as_ref().is_none_or(|o| o == t))
    {
        let inputs = kept(target);
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        for i in 0..number {
            let bytes = mutated(&mut rng, &inputs);
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&bytes)));
            if done.is_err() {
                let last = std::env::temp_dir().join(format!("{target}-{i}"));
                fs::write(&last, &bytes).unwrap();
                panic!("{target}, input {i}: kept as {}", last.display());
            }
        }
    }
}
