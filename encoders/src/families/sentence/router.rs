//! Router: other modules for texts of another role.

use super::file::{Module, with};
use crate::{Error, Result};
use serde_json::Value;
use std::path::PathBuf;
use unisono_processors::{Json, Role, optional_json, read_json};

/// Its file, and that of Asym, as it was called before.
const FILES: [&str; 2] = ["router_config.json", "config.json"];

fn file(module: &Module) -> Result<(PathBuf, Value)> {
    module.there()?;
    let path = module.at.join(FILES[0]);
    if let Some(value) = optional_json(&path)? {
        return Ok((path, value));
    }
    let path = module.at.join(FILES[1]);
    let value = read_json(&path)?;
    Ok((path, value))
}

/// All modules of all routes.
pub(super) fn all(module: &Module) -> Result<Vec<Module>> {
    let (path, value) = file(module)?;
    let json = Json::new(&path, &value);
    let types = value["types"].as_object().into_iter().flatten();
    types
        .map(|(id, class)| {
            Module::new(&module.at, class.as_str().unwrap_or_default(), id, json, ["types"; 2])
        })
        .collect()
}

/// The modules of the route that texts of this role take, as the library finds it.
pub(super) fn route(module: &Module, role: Option<Role>) -> Result<Vec<Module>> {
    let (path, value) = file(module)?;
    with(&path, &value, "router", |json| {
        let (types, routes) = (json.object("types"), json.object("structure"));
        json.pass_over(&["types", "structure"]);
        let parameters = json.object("parameters");
        let has = |name: &str| routes.value.get(name).is_some();
        let there = || {
            let names: Vec<&str> =
                routes.value.as_object().into_iter().flatten().map(|(n, _)| n.as_str()).collect();
            names.join(", ")
        };
        let first = || routes.value.as_object().and_then(|routes| routes.keys().next()).map(String::as_str);
        let empty = parameters.bool("allow_empty_key", true)?;
        let default = match parameters.text("default_route", "")? {
            "" if empty => first(),
            "" => None,
            name => Some(name),
        };
        let mapped = mapped(parameters, role)?;
        let task = role.map(Role::name);
        let name = match (mapped, task) {
            (Some(name), _) => name,
            (None, Some(task)) if has(task) => task,
            (None, _) if has("text") => "text",
            (None, Some(task)) => {
                return Err(json
                    .wrong("structure", format_args!("a route for texts of role {task}; it has {}", there()))
                    .into());
            }
            (None, None) => default.ok_or_else(|| {
                Error::from(
                    parameters
                        .wrong("default_route", format_args!("one of {}, for texts of no role", there())),
                )
            })?,
        };
        let ids = routes.value.get(name).and_then(Value::as_array);
        let Some(ids) = ids else {
            return Err(json
                .wrong("structure", format_args!("a list of modules at {name:?}; it has {}", there()))
                .into());
        };
        let one = |id: &Value| {
            let id = id.as_str().unwrap_or_default();
            let found = Module::new(&module.at, types.text(id, "")?, id, json, ["types"; 2])?;
            match found.class.as_str() {
                "Router" => {
                    Err(Error::format(&path, "module \"Router\" is not supported within another one"))
                }
                _ => Ok(found),
            }
        };
        ids.iter().map(one).collect()
    })
}

/// The route that `route_mappings` names for texts of this role; a key of it is a pair in Python's words, `('query', None)`: role and modality, the
/// nearest pair first.
fn mapped<'a>(parameters: Json<'a>, role: Option<Role>) -> Result<Option<&'a str>> {
    let Some(mappings) = parameters.get("route_mappings") else { return Ok(None) };
    let pair = |key: &String| key.starts_with('(') && key.ends_with(')') && key.contains(", ");
    let mappings =
        mappings.as_object().filter(|m| m.iter().all(|(key, route)| pair(key) && route.is_string()));
    let Some(mappings) = mappings else {
        let expected = "a route for each pair of role and modality, \"('query', None)\"";
        return Err(parameters.wrong("route_mappings", expected).into());
    };
    let task = role.map_or("None".to_owned(), |role| format!("'{}'", role.name()));
    let pairs = [(task.as_str(), "'text'"), (task.as_str(), "None"), ("None", "'text'"), ("None", "None")];
    let named = pairs.iter().find_map(|(task, modality)| mappings.get(&format!("({task}, {modality})")));
    Ok(named.and_then(Value::as_str))
}
