//! `unisono model list`, `add`, `show`, `pin` and `remove`: models by name and version, from training to serving.

use crate::error::Error;
use crate::{out, place, style};
use serde_json::{Value, json};
use std::path::PathBuf;
use unisono_encoders::Modality;
use unisono_eval::table::{Align, Table};
use unisono_files::printable;
use unisono_jobs::store::{Able, Cached, Named, Store, cached};

/// Where the store is.
#[derive(clap::Args, Debug)]
struct StoreArg {
    /// The store's folder; other commands look into that of UNISONO_STORE [default: UNISONO_STORE, or unisono beside the hub's cache]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

impl StoreArg {
    fn open(&self) -> Store {
        Store::new(self.store.as_deref())
    }
}

/// List the models that are here: the store's versions, and the hub's cache
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    store: StoreArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Copy a model into the store, as a version of a name
///
/// It is loaded once, to see that it is whole and what it can do. A run's last evaluation comes along. Versions never change: the same model again is the
/// version that is there.
#[derive(clap::Args, Debug)]
pub(crate) struct AddArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Its name, and its version [default: the folder's name, and the next number]
    #[arg(long = "as", value_name = "NAME[@VERSION]")]
    name: Option<Named>,
    /// Let the name alone mean this version
    #[arg(long)]
    pin: bool,
    #[command(flatten)]
    store: StoreArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Say what a model of the store or of the hub's cache is: its origin, size, sums, what it can do, and its last evaluation
#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// NAME or NAME@VERSION of the store, or OWNER/NAME of the hub's cache
    #[arg(value_name = "NAME[@VERSION]")]
    model: PathBuf,
    /// Read all files, and compare them with their sums
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    store: StoreArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Say which version a name alone means; without a pin it is the latest
#[derive(clap::Args, Debug)]
pub(crate) struct PinArgs {
    /// The version, or with --latest the name
    #[arg(value_name = "NAME@VERSION")]
    model: Named,
    /// Take the pin away
    #[arg(long)]
    latest: bool,
    #[command(flatten)]
    store: StoreArg,
}

/// Delete a version from the store
#[derive(clap::Args, Debug)]
pub(crate) struct RemoveArgs {
    /// The version
    #[arg(value_name = "NAME@VERSION")]
    model: Named,
    #[command(flatten)]
    store: StoreArg,
}

fn names(all: &[Modality]) -> String {
    all.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
}

/// What a model can do, in one line.
fn can(able: &Able) -> String {
    let one = |can: &String| match can.as_str() {
        "embed" => format!("embed {}", names(&able.embeds)),
        other => other.to_owned(),
    };
    able.can.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// `0.438 (*.r5)`, of what a training wrote.
fn evaluation(found: Option<&Value>) -> String {
    let Some(found) = found else { return String::new() };
    match (found["score"].as_f64(), found["by"].as_str()) {
        (Some(score), Some(by)) => format!("{score:.3} ({by})"),
        _ => String::new(),
    }
}

pub(super) fn list(args: &ListArgs) -> Result<(), Error> {
    let store = args.store.open();
    let (cards, hub) = (store.list()?, cached()?);
    let mut pinned = Vec::new();
    for card in &cards {
        pinned.push(store.pinned(&card.name)?.as_ref() == Some(&card.version));
    }
    if args.json {
        let models: Vec<Value> = cards
            .iter()
            .zip(&pinned)
            .map(|(card, pinned)| {
                let mut value = json!(card);
                value["pinned"] = json!(pinned);
                value["bytes"] = json!(card.bytes());
                value["path"] = json!(store.place(card));
                value
            })
            .collect();
        return out::json(&json!({"store": store.folder(), "models": models, "cached": hub}));
    }
    if cards.is_empty() && hub.is_empty() {
        out::note(&format!(
            "no model in the store {} and none in the hub's cache; `unisono model add` adds one",
            store.folder().display()
        ));
        return Ok(());
    }
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("", Align::Left),
        ("size", Align::Right),
        ("can", Align::Left),
        ("evaluation", Align::Left),
        ("sum", Align::Left),
    ]);
    for (card, pinned) in cards.iter().zip(&pinned) {
        let mark = if *pinned { "pinned" } else { "" };
        table.row([
            card.spec(),
            mark.into(),
            style::bytes(card.bytes()),
            can(&card.able),
            evaluation(card.evaluation.as_ref()),
            format!("{:.12}", card.sha256),
        ]);
    }
    for Cached { id, revision, family, bytes, .. } in &hub {
        let what = family.as_ref().map_or_else(|| "not read here".to_owned(), |family| format!("({family})"));
        table.row([format!("{id}@{revision:.7}"), "hub".into(), style::bytes(*bytes), what]);
    }
    out::print(&table.render())
}

pub(super) fn add(args: &AddArgs) -> Result<(), Error> {
    let dir = place::model(&args.model)?;
    let named =
        args.name.clone().or_else(|| Named::of_folder(&args.model)).or_else(|| Named::of_folder(&dir));
    let named = named.ok_or_else(|| {
        Error::Usage(format!("{}: its folder's name is no model's; give one with --as", args.model.display()))
    })?;
    let store = args.store.open();
    let added = store.add(&dir, &args.model, &named)?;
    let card = &added.card;
    if args.pin {
        store.pin(&Named { name: card.name.clone(), version: Some(card.version.clone()) })?;
    }
    if args.json {
        return out::json(
            &json!({"store": store.folder(), "card": card, "known": added.known, "path": store.place(card)}),
        );
    }
    let (spec, size, able) = (card.spec(), style::bytes(card.bytes()), can(&card.able));
    let known = if added.known { ", there already" } else { "" };
    out::print(&format!("{spec}: {size}, {able}{known}\nnext: unisono serve --model {spec}\n"))
}

pub(super) fn show(args: &ShowArgs) -> Result<(), Error> {
    let store = args.store.open();
    let card = match args.model.to_string_lossy().parse::<Named>() {
        Ok(named) => store.find(&named)?,
        Err(_) => None,
    };
    let Some(card) = card else {
        if args.check {
            let at = args.model.display();
            return Err(Error::Failed(format!(
                "{at}: not in the store {}, so there are no sums to compare with",
                store.folder().display()
            )));
        }
        return of_folder(args);
    };
    let place = store.place(&card);
    let wrong = if args.check { store.check(&card)? } else { Vec::new() };
    let pinned = store.pinned(&card.name)?.as_ref() == Some(&card.version);
    let readme = Some(place.join("README.md")).filter(|path| path.is_file());
    if args.json {
        let mut value = json!(card);
        value["pinned"] = json!(pinned);
        value["bytes"] = json!(card.bytes());
        value["path"] = json!(place);
        value["readme"] = json!(readme);
        if args.check {
            value["damaged"] = wrong.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
        }
        out::json(&value)?;
    } else {
        let mut text = format!("{}{}\n", card.spec(), if pinned { ", pinned" } else { "" });
        text += &format!("  from {}, added {}\n", printable(card.from.display()), card.added);
        text += &lines(&card.able);
        if card.evaluation.is_some() {
            text += &format!("  last evaluation: {}\n", evaluation(card.evaluation.as_ref()));
        }
        text += &format!(
            "  {}: {} in {}, SHA-256 {:.12}\n",
            place.display(),
            style::bytes(card.bytes()),
            style::count(card.files.len(), "file"),
            card.sha256
        );
        for file in &card.files {
            text += &format!(
                "    {:.12}  {}  {}\n",
                file.sha256,
                printable(&file.name),
                style::bytes(file.bytes)
            );
        }
        if let Some(readme) = &readme {
            text += &format!("  its card: {}\n", readme.display());
        }
        if args.check && wrong.is_empty() {
            text += "  every file is what it was\n";
        }
        out::print(&text)?;
    }
    match wrong.first() {
        None => Ok(()),
        Some((name, why)) => Err(Error::Failed(format!(
            "{}: {}: {why}; {} of {} are not what they were: add the model again from {}",
            card.spec(),
            printable(name),
            wrong.len(),
            style::count(card.files.len(), "file"),
            card.from.display()
        ))),
    }
}

/// A model that is not the store's.
fn of_folder(args: &ShowArgs) -> Result<(), Error> {
    let dir = place::model(&args.model)?;
    let able = Able::of(&dir)?;
    let sum = unisono_jobs::identity_with_fusion(&dir)?;
    if args.json {
        return out::json(&json!({"path": dir, "able": able, "sha256": sum}));
    }
    let name = args.model.display();
    out::print(&format!("{name}\n{}  {}: SHA-256 {sum:.12}\n", lines(&able), dir.display()))
}

fn lines(able: &Able) -> String {
    let mut text =
        format!("  {}, {} parameters\n  can {}", able.family, style::thousands(able.parameters), can(able));
    if able.can.iter().any(|can| can == "embed") {
        text += &format!(" ({} numbers)", able.dimensions);
    }
    if !able.sees.is_empty() {
        text += &format!(", looks at {}", names(&able.sees));
    }
    text + "\n"
}

pub(super) fn pin(args: &PinArgs) -> Result<(), Error> {
    let store = args.store.open();
    let card = match (args.latest, &args.model.version) {
        (true, None) => store.unpin(&args.model.name)?,
        (false, Some(_)) => store.pin(&args.model)?,
        (true, Some(_)) => {
            return Err(Error::Usage("--latest: expected the name alone, found a version".into()));
        }
        (false, None) => {
            let name = &args.model.name;
            return Err(Error::Usage(format!(
                "{name}: expected NAME@VERSION, or --latest to take the pin away"
            )));
        }
    };
    out::print(&format!("{}: {} from now on\n", card.name, card.spec()))
}

pub(super) fn remove(args: &RemoveArgs) -> Result<(), Error> {
    if args.model.version.is_none() {
        let name = &args.model.name;
        return Err(Error::Usage(format!("{name}: expected NAME@VERSION: versions are deleted one by one")));
    }
    let store = args.store.open();
    let card = store.remove(&args.model)?;
    out::print(&format!("{}: deleted, {}\n", card.spec(), style::bytes(card.bytes())))
}
