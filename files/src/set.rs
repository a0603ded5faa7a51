//! `--set a.b=value`: one value of a TOML file, over what it says.

use toml::{Table, Value};

/// Puts `a.b=value` into a table; an element of a list of tables is named by its `name`, by its `kind` where
/// it has no name, or by its number. The value is TOML, or else a bare
/// word: `device=cpu`.
///
/// # Errors
/// Why it cannot be, in words: no value, a place that is no table, an element that is not there.
pub fn set(table: &mut Table, assignment: &str) -> Result<(), String> {
    let (path, raw) = assignment.split_once('=').ok_or("expected NAME=VALUE")?;
    let raw = raw.trim();
    let value = match format!("v = {raw}").parse::<Table>() {
        Ok(mut t) => t.remove("v").ok_or("expected one value")?,
        Err(_) => Value::String(raw.to_owned()),
    };
    let keys: Vec<&str> = path.trim().split('.').collect();
    into(table, &keys, value)
}

fn into(table: &mut Table, keys: &[&str], value: Value) -> Result<(), String> {
    let (key, rest) = keys.split_first().ok_or("expected a name")?;
    if rest.is_empty() {
        table.insert((*key).to_owned(), value);
        return Ok(());
    }
    match table.entry(*key).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => into(inner, rest, value),
        Value::Array(list) => {
            let said = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
            let name =
                |v: &Value| said(v, "name").or_else(|| said(v, "kind")).unwrap_or_else(|| "(unnamed)".into());
            let names: Vec<String> = list.iter().map(name).collect();
            let (element, rest) = rest.split_first().ok_or("expected the name or number of an element")?;
            let index = element.parse::<usize>().ok().or_else(|| names.iter().position(|n| n == element));
            let found = index.and_then(|i| list.get_mut(i)).and_then(Value::as_table_mut);
            let there = || format!("no element `{element}`; there are: {}", names.join(", "));
            into(found.ok_or_else(there)?, rest, value)
        }
        _ => Err(format!("`{key}` is a value, not a table")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_places() {
        let text = "a = 1\n[b]\nc = 2\n[[list]]\nname = \"x\"\n[[list]]\nname = \"y\"\nd = 3\n[[term]]\nkind = \"z\"\n";
        let with = |assignment: &str| {
            let mut table: Table = text.parse().unwrap();
            set(&mut table, assignment).map(|()| table)
        };
        assert_eq!(with("a=5").unwrap()["a"].as_integer(), Some(5));
        assert_eq!(with("b.c = [1, 2]").unwrap()["b"]["c"].as_array().unwrap().len(), 2);
        assert_eq!(with("device=cpu").unwrap()["device"].as_str(), Some("cpu"));
        assert_eq!(with("new.deep=true").unwrap()["new"]["deep"].as_bool(), Some(true));
        assert_eq!(with("list.y.d=4").unwrap()["list"][1]["d"].as_integer(), Some(4));
        assert_eq!(with("term.z.d=4").unwrap()["term"][0]["d"].as_integer(), Some(4));
        assert_eq!(with("list.0.d=4").unwrap()["list"][0]["d"].as_integer(), Some(4));
        for (assignment, why) in [
            ("a", "expected NAME=VALUE"),
            ("a.b=1", "`a` is a value, not a table"),
            ("list.z.d=1", "no element `z`; there are: x, y"),
            ("list=1.5.5.5=2\nb=3", ""),
        ] {
            let said = with(assignment).err().unwrap_or_default();
            assert!(said.contains(why), "{assignment}: {said}");
        }
        assert!(with("list.x=1").unwrap_err().contains("expected a name"));
    }
}
