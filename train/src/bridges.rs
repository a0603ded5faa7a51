//! What leads from a student's vectors to those of a teacher of another width: a linear layer for each modality, learned beside the model and kept in the run's
//! checkpoints. It is no part of the model: who uses that has the student's own space (FitNets, Romero et al. 2015; as in DistilBERT's and MiniLM's kin).

use crate::recipe::Recipe;
use crate::{Learner, Result, taught};
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_encoders::{Modality, Params};
use unisono_nn::{Init, Scope};

/// The layers, by modality.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    params: Params,
    /// `[T, D]`: the teacher's width, the student's.
    weights: BTreeMap<Modality, Tensor>,
}

impl Bridges {
    /// Those that a recipe whose vectors follow a teacher's needs, their weights a function of the seed; none where all widths are equal.
    ///
    /// # Errors
    /// A teacher's list that cannot be read, or libtorch's.
    pub(crate) fn of(recipe: &Recipe, model: &Learner) -> Result<Self> {
        let width = model.towers().config().embed_dim;
        let mut weights = BTreeMap::new();
        let root = Scope::root(recipe.seed, model.towers().device());
        for (modality, wide) in taught::widths(recipe, model.towers())? {
            if wide != width && recipe.objective.follows(modality) {
                // As a linear layer begins: evenly, up to the root of one part of what goes in.
                let init = Init::Uniform((width as f64).powf(-0.5));
                let scope = root.child("distill").child(modality);
                weights.insert(modality, scope.param("weight", &[wide, width], init)?);
            }
        }
        Ok(Self { params: root.finish(), weights })
    }

    /// All that is trained: the model's, and these.
    pub(crate) fn beside(&self, model: &Learner) -> Params {
        Params::joined(&[("", &model.params()), ("", &self.params)])
    }

    /// `[T, D]` each, by modality.
    pub(crate) fn weights(&self) -> &BTreeMap<Modality, Tensor> {
        &self.weights
    }

    /// What is said of them.
    pub(crate) fn describe(&self) -> Vec<String> {
        let line = |(modality, weight): (&Modality, &Tensor)| match weight.size()[..] {
            [wide, own] => Some(format!(
                "distill: vectors of {modality} are {own} wide, the teacher's {wide}: a linear layer between them is learned, which the run keeps and the model does not have"
            )),
            _ => None,
        };
        self.weights.iter().filter_map(line).collect()
    }
}
