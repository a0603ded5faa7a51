//! Options that say what data are: the same table that a recipe has for a source.

use std::path::PathBuf;
use unisono_datasets::shards::KeyEnds;
use unisono_datasets::{Columns, Names, SourceConfig, SourceKind};
use unisono_media::limits;

/// How a source is laid out, where its paths do not say it.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct SourceArgs {
    /// The kind of the source [default: seen from its path]
    #[arg(long = "type", value_name = "KIND", help_heading = "Source")]
    kind: Option<SourceKind>,
    /// What a field of records is called there: text=caption, image=jpg,png; may be given several times
    #[arg(long, value_name = "FIELD=NAME,…", value_parser = column, help_heading = "Source")]
    columns: Vec<(String, Names)>,
    /// Where the key ends in names of tar shards' members: first-dot or last-dot [default: first-dot]
    #[arg(long, value_name = "WHERE", value_parser = key_ends, help_heading = "Source")]
    key_ends: Option<KeyEnds>,
    /// Largest size of a compressed tar shard when it is unpacked (50G) [default: 100 times its size, or 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes, help_heading = "Source")]
    max_unpacked: Option<u64>,
}

fn column(text: &str) -> Result<(String, Names), String> {
    let (field, names) = text.split_once('=').ok_or("expected FIELD=NAME, such as text=caption")?;
    if Columns::default().named(field).is_none() {
        let fields = Columns::default().fields().map(|(name, _)| name).join(", ");
        return Err(format!("expected a field of a record ({fields}), found {field:?}"));
    }
    let names: Vec<String> = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.is_empty() {
        true => Err(format!("expected a name after {field}=")),
        false => Ok((field.to_owned(), Names(names))),
    }
}

fn key_ends(text: &str) -> Result<KeyEnds, String> {
    match text {
        "first-dot" => Ok(KeyEnds::FirstDot),
        "last-dot" => Ok(KeyEnds::LastDot),
        _ => Err("expected first-dot or last-dot".into()),
    }
}

impl SourceArgs {
    /// What lies at these paths.
    pub(crate) fn source(&self, paths: &[PathBuf]) -> SourceConfig {
        let mut columns = Columns::default();
        for (field, names) in &self.columns {
            if let Some(place) = columns.named(field) {
                place.0.extend(names.0.iter().cloned());
            }
        }
        SourceConfig {
            paths: paths.to_vec(),
            kind: self.kind,
            columns,
            key_ends: self.key_ends.unwrap_or_default(),
            max_unpacked: self.max_unpacked,
        }
    }
}
