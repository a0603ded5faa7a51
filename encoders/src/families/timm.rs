//! Vision Transformers of timm inside OpenCLIP. A file only names them: sizes are read off the weights, and what weights do not say (heads,
//! activation, epsilon, the usual pooling) is what timm's own registry says of that name (`data/timm.txt`, by `fixtures/keys.py`).

use crate::config::{
    Activation, FinalNorm, Pooling, ProjectionConfig, StemConfig, TransformerConfig, VitConfig,
};
use crate::{Error, Result};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, Size};

const TIMM: &str = include_str!("../../maps/timm_image.map");
const NAMES: &str = include_str!("../../data/timm.txt");

/// What timm's registry says of a name.
struct Known {
    heads: i64,
    activation: Activation,
    eps: f64,
    pool: &'static str,
}

/// The entry of a name; a tag of pretrained weights after a point is no part of it.
fn known(name: &str) -> Option<Known> {
    let name = name.split('.').next().unwrap_or(name);
    let line = NAMES.lines().find(|l| l.split(' ').next() == Some(name))?;
    let [_, heads, activation, eps, pool] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let activation = match activation {
        "gelu" => Activation::Gelu,
        "gelu_tanh" => Activation::GeluTanh,
        _ => Activation::QuickGelu,
    };
    Some(Known { heads: heads.parse().ok()?, activation, eps: eps.parse().ok()?, pool })
}

/// The image tower.
pub(super) fn image(json: Json, weights: &Weights, map: &mut Map) -> Result<VitConfig> {
    let name = json.text("timm_model_name", "")?;
    let Some(known) = known(name) else {
        let expected = "a plain Vision Transformer of timm; only those are supported";
        return Err(json.wrong("timm_model_name", expected).into());
    };
    let p = "visual.";
    let shape = |n: &str| weights.shape(&format!("{p}trunk.{n}"));
    let (kernel, fc1, table) =
        (shape("patch_embed.proj.weight"), shape("blocks.0.mlp.fc1.weight"), shape("pos_embed"));
    let (Some(&[width, 3, patch_h, patch_w]), Some(&[hidden, _]), Some(&[_, rows, _])) = (kernel, fc1, table)
    else {
        let message = format!(
            "not the weights of timm's {name}: no trunk.patch_embed.proj, blocks.0.mlp.fc1 and pos_embed"
        );
        return Err(Error::format(weights.path(), message));
    };
    let depth = (0..).take_while(|l| shape(&format!("blocks.{l}.norm1.weight")).is_some()).count() as i64;
    let class = shape("cls_token").is_some();
    let projected = match json.text("timm_proj", "linear")? {
        // The file's null is not the default: the trunk's own classifier projects.
        _ if json.is_null("timm_proj") => "",
        kind => kind,
    };
    // A trunk that keeps its own head, or none, pools as it is told to; nothing is no pooling there.
    let pool = match json.text("timm_pool", "avg")? {
        "" if ["linear", "mlp"].contains(&projected) => known.pool,
        pool => pool,
    };
    let pooling = match pool {
        "map" if !class => Pooling::Map,
        "token" if class => Pooling::First,
        "avg" => Pooling::Mean,
        _ => return Err(json.wrong("timm_pool", "map without a class token, token with one, or avg").into()),
    };
    let bias = json.bool("timm_proj_bias", false)?;
    let (projection, layer) = match projected {
        "none" => (ProjectionConfig::None, "head.proj"),
        "" => (ProjectionConfig::Linear { bias: true }, "trunk.head"),
        "linear" => (ProjectionConfig::Linear { bias }, "head.proj"),
        "mlp" => {
            let hidden = weights.shape("visual.head.mlp.fc1.weight").map_or(0, |s| s[0]);
            (ProjectionConfig::mlp(hidden, Activation::Gelu, true), "head.mlp")
        }
        _ => return Err(json.wrong("timm_proj", "linear, mlp, none or null").into()),
    };
    let size = Size { sides: json.pair("image_size", 224)? };
    let after = shape("fc_norm.weight").is_some();
    // Some class tokens have no position.
    let patches = (size.sides[0] / patch_h.max(1)) * (size.sides[1] / patch_w.max(1));
    let placed = class && rows != patches;
    let table = format!("{p}trunk.pos_embed");
    let prefix = match placed {
        true => format!("add({p}trunk.cls_token, rows({table}, 0, 1))"),
        false => format!("{p}trunk.cls_token"),
    };
    let position = if placed { format!("rows({table}, 1)") } else { table };
    let norm = if after { "fc_norm" } else { "norm" };
    let vars =
        [("p", p), ("prefix", &prefix), ("position", &position), ("norm", norm), ("projection", layer)];
    map.add(TIMM, &vars)?;
    Ok(VitConfig {
        size,
        stem: StemConfig::Patch { size: [patch_h, patch_w], stride: None },
        flexible: false,
        prefix: i64::from(class),
        transformer: TransformerConfig {
            mlp_ratio: hidden as f64 / width.max(1) as f64,
            activation: known.activation,
            norm_eps: known.eps,
            input_norm: shape("norm_pre.weight").is_some(),
            final_norm: if after { FinalNorm::Pooled } else { FinalNorm::Tokens },
            layer_scale: shape("blocks.0.ls1.gamma").map(|_| 1e-5),
            ..TransformerConfig::new(width, depth, known.heads)
        },
        pooling,
        projection,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_settings() {
        let names: Vec<&str> =
            NAMES.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split(' ').next()).collect();
        assert!(names.len() > 90 && names.iter().all(|n| known(n).is_some()));
        let tagged = known("vit_so400m_patch16_siglip_256.v2_webli").unwrap();
        assert_eq!(
            (tagged.heads, tagged.activation, tagged.eps, tagged.pool),
            (16, Activation::GeluTanh, 1e-6, "map")
        );
        assert!(known("vit_base_patch16").is_none() && known("#").is_none() && known("resnet50").is_none());
    }
}
