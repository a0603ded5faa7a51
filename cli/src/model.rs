//! `unisono model`: what a checkpoint is, the same model in another format, the average of several, and the store of models.

mod average;
mod store;
mod tuned;

use crate::error::Error;
use crate::{describe, out, place, style};
use serde_json::{Value, json};
use std::path::PathBuf;
use tch::Device;
use unisono_encoders::export::Format;
use unisono_encoders::families::{self, Imported};
use unisono_encoders::{LoadReport, Modality, Model, Prompts, Role};
use unisono_files::printable;

/// Look at a model, convert it, average several, or keep models by name and version
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Convert(ConvertArgs),
    Average(average::Args),
    Merge(tuned::MergeArgs),
    Interpolate(tuned::InterpolateArgs),
    List(store::ListArgs),
    Add(store::AddArgs),
    Show(store::ShowArgs),
    Pin(store::PinArgs),
    Remove(store::RemoveArgs),
}

/// Say what a model is: its family, towers, parameters, how it sees inputs, and whether its weights are whole
#[derive(clap::Args, Debug)]
pub(crate) struct InspectArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Name every tensor that was left behind knowingly
    #[arg(long)]
    verbose: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Write a model in another format
#[derive(clap::Args, Debug)]
pub(crate) struct ConvertArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The new folder
    #[arg(value_name = "DST")]
    target: PathBuf,
    /// unisono, hf-clip (transformers' CLIPModel) or open-clip
    #[arg(long, value_name = "FORMAT")]
    to: Format,
    /// Where queries go through other modules than documents: those of query or document are written [default: those of texts of no role]
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Option<Role>,
}

fn role(text: &str) -> Result<Role, String> {
    [Role::Query, Role::Document]
        .into_iter()
        .find(|role| role.name() == text)
        .ok_or_else(|| "expected query or document".to_owned())
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Inspect(args) => inspect(args),
        Command::Convert(args) => convert(args),
        Command::Average(args) => average::run(args),
        Command::Merge(args) => tuned::merge(args),
        Command::Interpolate(args) => tuned::interpolate(args),
        Command::List(args) => store::list(args),
        Command::Add(args) => store::add(args),
        Command::Show(args) => store::show(args),
        Command::Pin(args) => store::pin(args),
        Command::Remove(args) => store::remove(args),
    }
}

/// The report as lines, `verbose` with every name.
pub(crate) fn report_lines(report: &LoadReport, verbose: bool) -> String {
    let mut text =
        format!("weights: {}, {} left behind knowingly\n", printable(report), report.ignored.len());
    if verbose {
        for name in &report.ignored {
            text += &format!("  left behind: {}\n", printable(name));
        }
    }
    text
}

fn parameters(model: &Model, prefix: &str) -> usize {
    let of = |name: &str| name.starts_with(prefix);
    model.params().iter().filter(|(n, p)| of(n) && p.trainable).map(|(_, p)| p.tensor.numel()).sum()
}

fn inspect(args: &InspectArgs) -> Result<(), Error> {
    let dir = place::model(&args.model)?;
    let Imported { family, model, report } =
        families::load(&dir, Device::Cpu).map_err(unisono_jobs::Error::from)?;
    let p = model.processors();
    let contract = |m: Modality| {
        match m {
        Modality::Text => p.text.as_ref().map(|t| {
            json!({"tokens": t.tokenizer().get_vocab_size(true), "context_length": t.context_length(), "rules": t.rules()})
        }),
        Modality::Image => p.image.as_ref().map(|i| serde_json::to_value(i).unwrap_or_default()),
        Modality::Audio => p.audio.as_ref().map(|a| serde_json::to_value(a.config()).unwrap_or_default()),
        // Its frames are images.
        Modality::Video => p.image.as_ref().map(|i| serde_json::to_value(i).unwrap_or_default()),
    }
    };
    // Towers can be used though the part above them cannot be read: that is said, and is no failure.
    let understands = match unisono_fusion::import::is(&dir) {
        Ok(true) => Some(unisono_fusion::import::load(&dir, Device::Cpu)),
        Ok(false) => None,
        Err(e) => Some(Err(e)),
    };
    let whole = understands.as_ref().and_then(|u| u.as_ref().ok());
    let abilities: Vec<&str> =
        whole.iter().flat_map(|u| u.model.abilities()).map(unisono_fusion::Ability::name).collect();
    let missing = "missing: this folder has no files for it, so inputs of this kind cannot be embedded";
    let config = serde_json::to_value(model.config()).unwrap_or_default();
    let routes = families::has_routes(&dir).map_err(unisono_jobs::Error::from)?;
    if args.json {
        let towers: serde_json::Map<String, Value> = model
            .modalities()
            .into_iter()
            .map(|m| {
                let name = m.name();
                let of = json!({"parameters": parameters(&model, &format!("{name}.")), "config": config[name], "processor": contract(m)});
                (name.to_owned(), of)
            })
            .collect();
        return out::json(&json!({"path": dir, "family": family, "embed_dim": model.config().embed_dim,
            "dims": model.dims(), "matryoshka": config["matryoshka"], "prompts": prompts_json(&model), "routes": routes,
            "parameters": model.params().count(), "understands": abilities, "towers": towers, "classifier": model.classifier(), "loaded": report.loaded, "cast": report.cast,
            "ignored": report.ignored}));
    }
    let mut text = format!(
        "{}: {family}, {} parameters, embeddings of width {}\n",
        dir.display(),
        style::thousands(model.params().count()),
        model.config().embed_dim
    );
    text += &sizes_line(&model);
    for m in model.modalities() {
        let name = m.name();
        let count = style::thousands(parameters(&model, &format!("{name}.")));
        text += &format!("\n{name} tower: {count} parameters\n{}", describe::table(&config[name]));
        text += &match contract(m) {
            Some(c) => format!("{name} processor\n{}", describe::table(&c)),
            None => format!("{name} processor {missing}\n"),
        };
    }
    text += &prompts_lines(&model);
    if routes {
        text += "\nroutes: queries go through other modules than documents; these are the ones of texts of no role\n";
    }
    if let Some(classifier) = model.classifier() {
        let count = style::thousands(parameters(&model, "classifier."));
        let shown: Vec<String> =
            classifier.labels.iter().take(5).map(|label| printable(label).to_string()).collect();
        let more = if classifier.labels.len() > shown.len() { ", …" } else { "" };
        let mut settings = serde_json::to_value(classifier).unwrap_or_default();
        settings["labels"] = format!("{}: {}{more}", classifier.labels.len(), shown.join(", ")).into();
        text += &format!("\nclassifier: {count} parameters\n{}", describe::table(&settings));
    }
    if let Some(Err(e)) = &understands {
        text += &format!("\nunderstands: nothing, its part above the towers cannot be read: {e}\n");
    }
    if let Some(u) = whole {
        let more = match u.model.params().count() {
            0 => String::new(),
            count => format!("; {} parameters more", style::thousands(count)),
        };
        text += &format!("\nunderstands: {}{more}\n", abilities.join(", "));
        let seen: Vec<&str> = unisono_jobs::understand::sees(&u.model).iter().map(|m| m.name()).collect();
        text += &format!("  looks at: {}\n", seen.join(", "));
        if u.model.text().is_err() {
            text +=
                "  tokenizer missing: this folder has no files for it, so texts cannot be read or written\n";
        }
    }
    text += &format!("\n{}", report_lines(&report, args.verbose));
    out::print(&text)
}

/// What a model's embeddings may be cut to.
fn sizes_line(model: &Model) -> String {
    let Some(sizes) = &model.config().matryoshka else { return String::new() };
    let cut = sizes.default.map(|dim| format!("cut to {dim} where --dims says nothing else"));
    let all: Vec<String> = sizes.sizes.iter().map(i64::to_string).collect();
    let trained = (!all.is_empty()).then(|| format!("trained to be cut to {}", all.join(", ")));
    let parts: Vec<String> = cut.into_iter().chain(trained).collect();
    format!("embeddings: {}\n", parts.join("; "))
}

/// Whose texts a prompt of this name is put before.
fn serves(prompts: &Prompts, name: &str) -> Vec<&'static str> {
    let roles = [(Some(Role::Query), "query"), (Some(Role::Document), "document"), (None, "none")];
    let of = |role| prompts.of(role).name.is_some_and(|n| n == name);
    roles.into_iter().filter(|(role, _)| of(*role)).map(|(_, told)| told).collect()
}

fn prompts_json(model: &Model) -> Value {
    let Some(text) = &model.processors().text else { return json!({}) };
    let prompts = text.prompts();
    let one = |(name, text): (&String, &String)| {
        (name.clone(), json!({"text": text, "roles": serves(prompts, name)}))
    };
    Value::Object(prompts.named.iter().map(one).collect())
}

/// The prompts of a model, a line each: its words, and whose texts it is put before.
fn prompts_lines(model: &Model) -> String {
    let Some(text) = &model.processors().text else { return String::new() };
    let prompts = text.prompts();
    let names = prompts.names();
    if names.is_empty() {
        return String::new();
    }
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let told = |name: &&str| {
        let words = prompts.named.get(*name).map(String::as_str).unwrap_or_default();
        let roles: Vec<&str> = serves(prompts, name)
            .into_iter()
            .map(|role| match role {
                "query" => "queries",
                "document" => "documents",
                _ => "texts of no role",
            })
            .collect();
        let roles = if roles.is_empty() {
            "with --prompt-name".to_owned()
        } else {
            format!("before {}", roles.join(", "))
        };
        format!("  {}  \"{}\", {roles}\n", printable(format_args!("{name:width$}")), printable(words))
    };
    format!("\nprompts\n{}", names.iter().map(told).collect::<String>())
}

fn convert(args: &ConvertArgs) -> Result<(), Error> {
    let dir = place::model(&args.source)?;
    let target = unisono_files::real_folder(&args.target);
    let failed = |e: unisono_files::Error| Error::Jobs(e.into());
    let _held = unisono_files::Lock::make(&target).map_err(failed)?;
    let free =
        |at: &std::path::Path| std::fs::symlink_metadata(at).is_err() || unisono_files::is_empty_folder(at);
    if !free(&target) {
        let at = args.target.display();
        return Err(Error::Failed(format!("{at}: expected a new or empty folder, found something there")));
    }
    // Written beside and put there whole.
    let made = unisono_files::folder_beside(&target).map_err(failed)?;
    let place = |made| unisono_files::replace_folder(made, &target, free).map_err(failed);
    let fusion = unisono_fusion::import::is(&dir).map_err(unisono_jobs::Error::from)?;
    if fusion && args.to == Format::Unisono {
        let found = unisono_fusion::import::load(&dir, Device::Cpu).map_err(unisono_jobs::Error::from)?;
        found.model.save(made.path()).map_err(unisono_jobs::Error::from)?;
        place(made)?;
        let at = args.target.display();
        return out::print(&format!("{at}: {} as Unisono, with its fusion part\n", found.family));
    }
    if fusion {
        out::note(
            "note: the format has no place for the fusion part (captions, matches, answers, speech): the towers alone are written",
        );
    }
    if args.role.is_none() && families::has_routes(&dir).map_err(unisono_jobs::Error::from)? {
        out::note(
            "note: queries go through other modules than documents: those of texts of no role are written; --role names others",
        );
    }
    let found = families::load_as(&dir, args.role, Device::Cpu).map_err(unisono_jobs::Error::from)?;
    // What goes to others, and what stays here, has no adapter beside its weights.
    let model = found.model.merged().map_err(unisono_jobs::Error::from)?;
    let notes =
        unisono_encoders::export::write(&model, made.path(), args.to).map_err(unisono_jobs::Error::from)?;
    place(made)?;
    for note in notes {
        out::note(&format!("note: {note}"));
    }
    out::print(&format!("{}: {} as {:?}\n", args.target.display(), found.family, args.to))
}
