//! Tables told by their `kind`, of which one kind need not be named.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// What stands under a table's `kind`, and the rest of it.
pub(super) type Told = (Option<Value>, Map<String, Value>);

/// A table in its two parts.
pub(super) fn told<'de, D: Deserializer<'de>>(from: D) -> Result<Told, D::Error> {
    let mut map = Map::deserialize(from)?;
    Ok((map.remove("kind"), map))
}

/// A table without its `kind`.
pub(super) fn rest<T: DeserializeOwned, E: Error>(map: Map<String, Value>) -> Result<T, E> {
    T::deserialize(Value::Object(map)).map_err(E::custom)
}
