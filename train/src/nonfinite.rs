//! What is done about a step whose loss or gradient is no finite number: its batch is written down; then the run stops, or goes on without it.

use crate::checkpoint::Progress;
use crate::events::Event;
use crate::recipe::{NonFinite, OptimizerConfig};
use crate::sample::Sample;
use crate::world::World;
use crate::{Error, Learner, Result};
use serde_json::json;
use std::path::{Path, PathBuf};
use tch::Tensor;
use unisono_files::printable;

/// Looks at every step of a run.
pub(crate) struct Guard {
    policy: NonFinite,
    max_skipped: u64,
    run: PathBuf,
    /// Of several processes each writes down its part of the batch.
    rank: usize,
    /// Running statistics and what they were before the step: a step that is left out has seen its batch all the same.
    buffers: Vec<(Tensor, Tensor)>,
}

impl Guard {
    /// For a run in `run` that trains `model`.
    pub(crate) fn new(config: &OptimizerConfig, run: &Path, model: &Learner, world: &World) -> Result<Self> {
        let (policy, max_skipped) = (config.non_finite, config.max_skipped);
        let mut buffers = Vec::new();
        if policy == NonFinite::Skip {
            for (_, p) in model.params().iter().filter(|(_, p)| !p.trainable) {
                let before = tch::no_grad(|| {
                    let mut before = p.tensor.f_empty_like()?;
                    before.f_copy_(&p.tensor).map(|()| before)
                })?;
                buffers.push((p.tensor.shallow_clone(), before));
            }
        }
        Ok(Self { policy, max_skipped, run: run.to_owned(), rank: world.rank(), buffers })
    }

    /// What the step `made` of `items`; nothing where it is left out.
    ///
    /// # Errors
    /// The step's own; [`Error::NotFinite`] where the run stops by it.
    pub(crate) fn look<T>(
        &mut self,
        made: Result<T>,
        items: &[Sample],
        progress: &mut Progress,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Option<T>> {
        let error = match made {
            Ok(made) => {
                progress.left_out_in_a_row = 0;
                for (now, before) in &mut self.buffers {
                    tch::no_grad(|| before.f_copy_(now))?;
                }
                return Ok(Some(made));
            }
            Err(e) => e,
        };
        let Error::NotFinite { step, what, value, checkpoint, batch } = error else { return Err(error) };
        let part = if self.rank > 0 { format!("-rank{}", self.rank) } else { String::new() };
        let path = self.run.join(format!("nonfinite-{step:06}{part}.json"));
        let ids: Vec<&str> = items.iter().map(|s| s.id.as_str()).collect();
        let known = json!({
            "step": step, "what": what, "value": value.to_string(), "checkpoint": checkpoint, "ids": ids,
        });
        unisono_files::write_json(&path, &known)?;
        let in_a_row = progress.left_out_in_a_row + 1;
        if self.policy == NonFinite::Stop || in_a_row > self.max_skipped {
            let batch = format!("{batch} (all of its ids: {})", path.display());
            return Err(Error::NotFinite { step, what, value, checkpoint, batch });
        }
        for (now, before) in &mut self.buffers {
            tch::no_grad(|| now.f_copy_(before))?;
        }
        progress.left_out += 1;
        progress.left_out_in_a_row = in_a_row;
        tell(Event::Note(format!(
            "step {step}: {what} is {value}: left out, {} so far; its batch: {}",
            progress.left_out,
            printable(path.display())
        )));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipe;
    use std::collections::BTreeMap;

    fn guard(policy: NonFinite, run: &Path, buffer: &Tensor) -> Guard {
        let buffers = vec![(buffer.shallow_clone(), buffer.copy())];
        Guard { policy, max_skipped: 2, run: run.to_owned(), rank: 0, buffers }
    }

    fn progress() -> Progress {
        let text = "seed = 1\nsteps = 3\ninit = \"run\"\nobjective = [{ kind = \"contrastive\" }]\ndata = []\n[optimizer]\nlr = 1.0\n";
        Progress::going_on(None, &Recipe::parse(text, Path::new("r.toml")).unwrap(), BTreeMap::new())
    }

    fn broken(step: u64) -> Result<u8> {
        let batch = "a, b".to_owned();
        Err(Error::NotFinite { step, what: "the loss", value: f64::NAN, checkpoint: 4, batch })
    }

    #[test]
    fn a_step_is_left_out_and_a_row_of_them_is_no_training() {
        let dir = tempfile::tempdir().unwrap();
        let items = ["a", "b"].map(|id| Sample { id: id.into(), ..Sample::default() });
        let buffer = Tensor::from_slice(&[1f32]);
        let mut guard = guard(NonFinite::Skip, dir.path(), &buffer);
        let mut progress = progress();
        let mut told = Vec::new();
        let mut look = |made: Result<u8>, progress: &mut Progress| {
            guard.look(made, &items, progress, &mut |e| {
                if let Event::Note(text) = e {
                    told.push(text);
                }
            })
        };
        let _ = buffer.shallow_clone().fill_(2.0);
        assert_eq!(look(Ok(7), &mut progress).unwrap(), Some(7));
        // What the broken batch left behind goes.
        let _ = buffer.shallow_clone().fill_(f64::NAN);
        assert_eq!(look(broken(5), &mut progress).unwrap(), None);
        assert_eq!(buffer.double_value(&[0]), 2.0);
        assert_eq!(look(broken(6), &mut progress).unwrap(), None);
        assert_eq!((progress.left_out, progress.left_out_in_a_row), (2, 2));
        look(Ok(7), &mut progress).unwrap();
        assert_eq!((progress.left_out, progress.left_out_in_a_row), (2, 0));
        for step in [8, 9] {
            look(broken(step), &mut progress).unwrap();
        }
        let said = look(broken(10), &mut progress).unwrap_err().to_string();
        assert!(said.contains("nonfinite-000010.json") && said.contains("from step 4"), "{said}");
        assert!(
            look(Err(Error::setting("x", "y")), &mut progress).unwrap_err().to_string().starts_with("x: y")
        );
        assert!(told[0].starts_with("step 5: the loss is NaN: left out, 1 so far"), "{told:?}");
        let text = std::fs::read_to_string(dir.path().join("nonfinite-000005.json")).unwrap();
        let known: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&known["ids"], &known["value"]), (&json!(["a", "b"]), &json!("NaN")));
    }

    #[test]
    fn without_a_word_the_run_stops() {
        let dir = tempfile::tempdir().unwrap();
        let mut guard = guard(NonFinite::Stop, dir.path(), &Tensor::from_slice(&[1f32]));
        let said = guard.look(broken(0), &[], &mut progress(), &mut |_| {}).unwrap_err().to_string();
        assert!(said.contains("the loss is NaN; the run stopped"), "{said}");
    }
}
