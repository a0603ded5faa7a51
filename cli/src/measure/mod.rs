//! `unisono measure`, hidden: what `benches/gpu/run` asks of the built command. Towers on the CPU and on a device beside each other, and how
//! many items a second the device takes; inputs are made up, so that folders without tokenizers serve, too.

mod args;
mod compare;
mod towers;
mod writing;

use crate::error::{Error, one_line};
use crate::out;
use serde_json::{Value, json};

pub(crate) use args::Args;

/// One JSON line a model, whatever became of the others.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let device = args.device.get()?;
    let mut faults = 0;
    for dir in &args.models {
        let parts: [(&str, Result<Value, String>); 2] =
            [("towers", towers::measure(args, dir, device)), ("writes", writing::measure(args, dir, device))];
        let mut line = json!({ "model": dir, "device": format!("{device:?}"), "precision": format!("{:?}", args.precision.on(device)) });
        for (name, made) in parts {
            line[name] = made.unwrap_or_else(|e| {
                faults += 1;
                json!({ "fault": one_line(&e) })
            });
        }
        out::print(&format!("{line}\n"))?;
    }
    match faults {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{n} of the parts failed; their lines say why"))),
    }
}
