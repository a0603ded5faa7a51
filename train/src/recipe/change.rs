//! `--set` and `--without` on the raw table.

use crate::{Error, Result};
use toml::{Table, Value};

/// `a.b=value`; an element of a list of tables is named by its `name` or its number.
pub(super) fn apply(table: &mut Table, assignment: &str) -> Result<()> {
    unisono_files::set(table, assignment).map_err(|message| Error::Recipe {
        path: "--set".into(),
        line: format!(" {assignment}"),
        message,
    })
}

fn name_of(v: &Value) -> String {
    v.get("name").and_then(Value::as_str).unwrap_or("(unnamed)").to_owned()
}

/// Leaves out everything that has a name in `data`, `evaluate` and `report` whose name is `name` or starts with `name-`.
pub(super) fn leave_out(table: &mut Table, name: &str) -> Result<()> {
    let fits = |v: &Value| {
        let n = name_of(v);
        n == name || n.starts_with(&format!("{name}-"))
    };
    let mut found = false;
    let mut drop = |list: Option<&mut Value>| {
        if let Some(Value::Array(list)) = list {
            let before = list.len();
            list.retain(|v| !fits(v));
            found |= list.len() < before;
        }
    };
    drop(table.get_mut("data"));
    drop(table.get_mut("evaluate"));
    for list in ["evaluate", "data_set", "search", "spoken"] {
        drop(table.get_mut("report").and_then(|e| e.get_mut(list)));
    }
    if found {
        return Ok(());
    }
    Err(Error::Recipe {
        path: "--without".into(),
        line: format!(" {name}"),
        message: "no [[data]] or protocol of that name".into(),
    })
}
