//! EfficientNet (Tan & Le 2019), its Lite kin, MobileNetV2, MnasNet and TinyNet as timm saves them, and weights with EfficientNet-PyTorch's names.
//! A file only names the net: sizes are read off the weights, and what weights do not say (strides, activation, epsilon, padding) is what timm's own
//! registry says of that name (`data/timm_efficientnet.txt`, by `fixtures/keys.py`).
//!
//! - **stem**: a 3×3 convolution of stride 2
//! - **blocks**: inverted bottlenecks; SiLU, ReLU6 or ReLU; squeeze and excitation where the weights have it
//! - **norms**: batch norms, 1e-5, or 1e-3 in nets from TensorFlow, whose padding is that library's, too
//! - **pooling**: the mean over the last grid, whose cells are the tokens
//! - **projection**: none
//! - **classifier**: linear, over the pooled vector; `label_descriptions` of `label_names`
//! - **processor**: `pretrained_cfg`, read by `ImageProcessor::from_timm`
//! - **map**: `conv_norm.map`, `classifier.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.8e-7

use super::common::alone;
use super::source::{Checkpoint, Plan};
use crate::config::{
    Activation, ClassifierConfig, EfficientNetConfig, ModelConfig, Padding, Pooling, ProjectionConfig,
    StageConfig,
};
use crate::{Error, Modality, Processors, Result};
use serde_json::Value;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{ImageProcessor, Json};

/// What the family is called here; timm's files have no `model_type`.
pub(super) const NAME: &str = "efficientnet";

const LAYER: &str = include_str!("../../maps/conv_norm.map");
const CLASSIFIER: &str = include_str!("../../maps/classifier.map");
const NETS: &str = include_str!("../../data/timm_efficientnet.txt");

/// Whether this is what timm writes beside the weights of any of its nets.
pub(super) fn is(config: &Value) -> bool {
    config.get("model_type").is_none() && config.get("architecture").is_some()
}

/// What timm's registry says of a net.
#[derive(Debug, PartialEq)]
struct Known {
    /// Of each stage's first block.
    strides: Vec<i64>,
    activation: Activation,
    eps: f64,
    padding: Padding,
}

/// The entry of a name; a tag of pretrained weights after a point is no part of it.
fn known(name: &str) -> Option<Known> {
    let name = name.split('.').next().unwrap_or(name);
    let line = NETS.lines().find(|l| l.split(' ').next() == Some(name))?;
    let [_, strides, activation, eps, padding] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    Some(Known {
        strides: strides.split(',').map(|s| s.parse().ok()).collect::<Option<_>>()?,
        activation: match activation {
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            "silu" => Activation::Silu,
            _ => return None,
        },
        eps: eps.parse().ok()?,
        padding: match padding {
            "same" => Padding::Same,
            "symmetric" => Padding::Symmetric,
            _ => return None,
        },
    })
}

/// A convolution and its norm, by a library's names.
type Layer = [&'static str; 2];

/// What a library calls the parts of a net.
struct Names {
    /// Blocks are numbered within stages.
    staged: bool,
    stem: Layer,
    head: Layer,
    classifier: &'static str,
    /// Of a block that widens, sees channel by channel, and narrows.
    wide: [Layer; 3],
    /// Of one that does not widen.
    plain: [Layer; 2],
    squeeze: [&'static str; 2],
}

const TIMM: Names = Names {
    staged: true,
    stem: ["conv_stem", "bn1"],
    head: ["conv_head", "bn2"],
    classifier: "classifier",
    wide: [["conv_pw", "bn1"], ["conv_dw", "bn2"], ["conv_pwl", "bn3"]],
    plain: [["conv_dw", "bn1"], ["conv_pw", "bn2"]],
    squeeze: ["se.conv_reduce", "se.conv_expand"],
};

/// EfficientNet-PyTorch's, and its Lite fork's.
const PYTORCH: Names = Names {
    staged: false,
    stem: ["_conv_stem", "_bn0"],
    head: ["_conv_head", "_bn1"],
    classifier: "_fc",
    wide: [["_expand_conv", "_bn0"], ["_depthwise_conv", "_bn1"], ["_project_conv", "_bn2"]],
    plain: [["_depthwise_conv", "_bn1"], ["_project_conv", "_bn2"]],
    squeeze: ["_se_reduce", "_se_expand"],
};

/// A net's weights by a library's names.
struct Net<'a> {
    weights: &'a Weights,
    names: &'a Names,
}

impl<'a> Net<'a> {
    fn new(weights: &'a Weights) -> Self {
        let names = if weights.has("_conv_stem.weight") { &PYTORCH } else { &TIMM };
        Self { weights, names }
    }

    /// Output channels, input channels and side of a convolution's kernel.
    fn conv(&self, name: &str) -> Result<[i64; 3]> {
        match self.weights.shape(&format!("{name}.weight")) {
            Some(&[out, input, h, w]) if h == w && out > 0 && input > 0 => Ok([out, input, h]),
            found => Err(Error::format(
                self.weights.path(),
                format!("{name}.weight: expected a convolution of a square kernel, found {found:?}"),
            )),
        }
    }

    fn has(&self, at: &str, name: &str) -> bool {
        self.weights.has(&format!("{at}.{name}.weight"))
    }

    fn widens(&self, at: &str) -> bool {
        self.names.wide.iter().all(|[conv, _]| self.has(at, conv))
    }

    /// The layers of a block, the first of three only where it widens.
    fn layers(&self, at: &str) -> Vec<(&'static str, Layer)> {
        let ours = ["expand", "depthwise", "project"];
        match self.widens(at) {
            true => ours.into_iter().zip(self.names.wide).collect(),
            false => ours.into_iter().skip(1).zip(self.names.plain).collect(),
        }
    }

    /// The places of the blocks of every stage. Where they are numbered without stages, one begins where the channels change.
    fn blocks(&self) -> Result<Vec<Vec<String>>> {
        let [depthwise, _] = self.names.plain[0];
        let mut stages: Vec<Vec<String>> = Vec::new();
        if self.names.staged {
            for s in 0.. {
                let places = (0..).map(|b| format!("blocks.{s}.{b}"));
                let stage: Vec<String> = places.take_while(|at| self.has(at, depthwise)).collect();
                if stage.is_empty() {
                    break;
                }
                stages.push(stage);
            }
            return Ok(stages);
        }
        let mut before = None;
        for at in (0..).map(|n| format!("_blocks.{n}")).take_while(|at| self.has(at, depthwise)) {
            let [out, ..] = self.conv(&format!("{at}.{}", self.names.plain[1][0]))?;
            match stages.last_mut().filter(|_| before == Some(out)) {
                Some(stage) => stage.push(at),
                None => stages.push(vec![at]),
            }
            before = Some(out);
        }
        Ok(stages)
    }

    /// What a stage is by its first block, into which `input` channels come.
    fn stage(&self, blocks: &[String], input: i64, stride: i64) -> Result<StageConfig> {
        let at = &blocks[0];
        let layers = self.layers(at);
        let conv = |ours: &str| {
            let name = layers.iter().find(|(name, _)| *name == ours).map_or("", |(_, [conv, _])| conv);
            self.conv(&format!("{at}.{name}"))
        };
        let ([inner, _, kernel], [channels, ..]) = (conv("depthwise")?, conv("project")?);
        if self.widens(at) == (inner == input) {
            let message = format!("{at}: {input} channels become {inner}: a block of this kind is not read");
            return Err(Error::format(self.weights.path(), message));
        }
        let share = |n: i64| n as f64 / input as f64;
        let squeeze = format!("{at}.{}", self.names.squeeze[0]);
        Ok(StageConfig {
            channels,
            repeats: blocks.len() as i64,
            kernel,
            stride,
            expansion: share(inner),
            squeeze: match self.has(at, self.names.squeeze[0]) {
                true => Some(share(self.conv(&squeeze)?[0])),
                false => None,
            },
        })
    }

    fn add(&self, map: &mut Map, ours: &str, at: &str, [conv, norm]: Layer) -> Result<()> {
        let (conv, norm) = (format!("{at}{conv}"), format!("{at}{norm}"));
        Ok(map.add(LAYER, &[("ours", ours), ("conv", &conv), ("norm", &norm)])?)
    }

    fn map(&self, stages: &[Vec<String>]) -> Result<Map> {
        let mut map = Map::default();
        self.add(&mut map, "image.stem", "", self.names.stem)?;
        self.add(&mut map, "image.head", "", self.names.head)?;
        for (s, stage) in stages.iter().enumerate() {
            for (b, at) in stage.iter().enumerate() {
                let ours = format!("image.stages.{s}.blocks.{b}");
                for (name, layer) in self.layers(at) {
                    self.add(&mut map, &format!("{ours}.{name}"), &format!("{at}."), layer)?;
                }
                for (name, theirs) in ["reduce", "expand"].into_iter().zip(self.names.squeeze) {
                    map.add(&format!("{ours}.squeeze.{name}.* = {at}.{theirs}.*"), &[])?;
                }
            }
        }
        map.add(CLASSIFIER, &[("linear", self.names.classifier), ("norm", "none")])?;
        Ok(map)
    }
}

pub(super) fn efficientnet(source: &Checkpoint) -> Result<Plan> {
    let json = source.config;
    let Some(known) = known(json.text("architecture", "")?) else {
        let expected =
            "a net of timm's whose blocks are all plain inverted bottlenecks, such as efficientnet_lite0";
        return Err(json.wrong("architecture", expected).into());
    };
    if json.text("global_pool", "avg")? != "avg" {
        return Err(json.wrong("global_pool", "avg").into());
    }
    // Entered, so that what is in it is read key by key.
    let _ = json.object("model_args");
    // Older files hold the pretrained weights' settings alone.
    let settings = if json.has("pretrained_cfg") { json.object("pretrained_cfg") } else { json };
    let processor = ImageProcessor::from_timm(settings)?;
    let weights = Weights::open(source.dir)?;
    let net = Net::new(&weights);
    let [stem, ..] = net.conv(net.names.stem[0])?;
    let [head, ..] = net.conv(net.names.head[0])?;
    let blocks = net.blocks()?;
    if blocks.len() != known.strides.len() {
        let (expected, found) = (known.strides.len(), blocks.len());
        return Err(Error::format(
            weights.path(),
            format!("expected the {expected} stages of {}, found {found}", json.text("architecture", "")?),
        ));
    }
    let (mut input, mut stages) = (stem, Vec::with_capacity(blocks.len()));
    for (stage, stride) in blocks.iter().zip(&known.strides) {
        stages.push(net.stage(stage, input, *stride)?);
        input = stages.last().map_or(input, |s| s.channels);
    }
    let map = net.map(&blocks)?;
    let rows = weights.shape(&format!("{}.weight", net.names.classifier)).map(|shape| shape[0]);
    let classifier = match rows {
        Some(rows) => Some(ClassifierConfig::new(
            Modality::Image,
            labels(json, settings, usize::try_from(rows).unwrap_or(0))?,
        )),
        None => None,
    };
    let config = alone(EfficientNetConfig {
        size: processor.size,
        stem,
        stages,
        head,
        activation: known.activation,
        padding: known.padding,
        norm_eps: known.eps,
        drop_path: 0.0,
        pooling: Pooling::Mean,
        projection: ProjectionConfig::None,
    });
    let processors = Processors { image: Some(processor), ..Processors::default() };
    Ok(Plan { config: ModelConfig { classifier, ..config }, map, weights, processors })
}

/// What `rows` numbers are called: their names' descriptions, their names, or, where the files have neither, what the other family's
/// files would call them. The file's own say more than those of the weights that its training began with.
fn labels(json: Json, settings: Json, rows: usize) -> Result<Vec<String>> {
    let from = |key: &str| if json.has(key) { json } else { settings };
    let (of, described) = (from("label_names"), from("label_descriptions"));
    let texts = |all: &Value| all.as_object().is_some_and(|all| all.values().all(Value::is_string));
    if described.get("label_descriptions").is_some_and(|all| !texts(all)) {
        return Err(described.wrong("label_descriptions", "a text for each name").into());
    }
    let wrong = || {
        let expected = format_args!("{rows} names, as many as the classifier has rows");
        Err(of.wrong("label_names", expected).into())
    };
    let names: Vec<&str> = match of.get("label_names") {
        None => return Ok((0..rows).map(|i| format!("LABEL_{i}")).collect()),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        // By number, where some numbers have no name.
        Some(Value::Object(all)) => {
            let named = |i: usize| all.get(&i.to_string()).and_then(Value::as_str);
            if (0..rows).filter(|i| named(*i).is_some()).count() != all.len() {
                return wrong();
            }
            return (0..rows)
                .map(|i| Ok(describe(described, named(i)).unwrap_or(format!("LABEL_{i}"))))
                .collect();
        }
        Some(_) => return wrong(),
    };
    if names.len() != rows {
        return wrong();
    }
    Ok(names.into_iter().map(|name| describe(described, Some(name)).unwrap_or_default()).collect())
}

/// A name's description, or the name.
fn describe(json: Json, name: Option<&str>) -> Option<String> {
    let described = json.get("label_descriptions").and_then(|all| all.get(name?)).and_then(Value::as_str);
    described.or(name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn every_name_has_its_settings() {
        let names: Vec<&str> =
            NETS.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split(' ').next()).collect();
        assert!(names.len() > 40 && names.iter().all(|n| known(n).is_some()));
        let tagged = known("tf_efficientnet_lite0.in1k").unwrap();
        let (strides, activation) = (vec![1, 2, 2, 2, 1, 2, 1], Activation::Relu6);
        assert_eq!(tagged, Known { strides, activation, eps: 1e-3, padding: Padding::Same });
        assert_eq!(known("efficientnet_b0").unwrap().activation, Activation::Silu);
        assert!(known("efficientnet_es").is_none() && known("resnet50").is_none() && known("#").is_none());
    }

    #[test]
    fn labels_are_descriptions_or_names_or_numbers() {
        let of = |config: Value| {
            let json = Json::new(Path::new("config.json"), &config);
            labels(json, json.object("pretrained_cfg"), 3).map_err(|e| e.to_string())
        };
        assert_eq!(of(json!({})).unwrap(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
        let names = json!(["n1", "n2", "n3"]);
        assert_eq!(of(json!({"label_names": names})).unwrap(), ["n1", "n2", "n3"]);
        let described = json!({"label_names": names, "label_descriptions": {"n1": "tench", "n3": "cock"}});
        assert_eq!(of(described.clone()).unwrap(), ["tench", "n2", "cock"]);
        assert_eq!(of(json!({"pretrained_cfg": described})).unwrap(), ["tench", "n2", "cock"]);
        assert_eq!(of(json!({"label_names": {"0": "a", "2": "c"}})).unwrap(), ["a", "LABEL_1", "c"]);
        for wrong in [json!(["a"]), json!(["a", 1, "c"]), json!({"7": "a"}), json!({"0": 1}), json!("a")] {
            let e = of(json!({"label_names": wrong})).unwrap_err();
            assert!(e.contains("label_names: expected 3 names"), "{e}");
        }
    }
}
