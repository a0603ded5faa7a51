//! Import maps: data that say which of a checkpoint's tensors makes which of ours.
//!
//! A line is `ours = expression`; `*` on both sides stands for `weight` and for `bias`, `{l}` for every block's number. A source name that
//! ends in `?` may be missing and is zeros then. `ignore NAME` (with `*` at its end: any name that starts so) lists what is left
//! behind knowingly. Lines whose left side the model does not have are passed over, so that one map serves variants; what such a
//! line would have taken is then left over, and loading, which is strict, says so.

use crate::params::matches;
use crate::weights::Weights;
use crate::{Error, LoadReport, Params, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tch::{Kind, Tensor};

/// The maps of one checkpoint, with their variables filled in.
#[derive(Debug, Default)]
pub struct Map {
    lines: Vec<(String, String)>,
    ignored: Vec<String>,
}

impl Map {
    /// Adds the lines of `text`, each `{name}` replaced by its value in `vars`.
    ///
    /// # Errors
    /// A line that is none, a variable without a value: a mistake in a map.
    pub fn add(&mut self, text: &str, vars: &[(&str, &str)]) -> Result<()> {
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let mut line = line.to_owned();
            for (name, value) in vars {
                line = line.replace(&format!("{{{name}}}"), value);
            }
            if let Some(pattern) = line.strip_prefix("ignore ") {
                self.ignored.push(pattern.trim().to_owned());
            } else if let Some((target, expression)) = line.split_once('=') {
                let (target, expression) = (target.trim(), expression.trim());
                if target.contains(".*") {
                    for part in ["weight", "bias"] {
                        let put = |s: &str| s.replace(".*", &format!(".{part}"));
                        self.lines.push((put(target), put(expression)));
                    }
                } else {
                    self.lines.push((target.to_owned(), expression.to_owned()));
                }
            } else {
                return Err(Error::config(
                    "import map",
                    format!("expected \"ours = theirs\", found {line:?}"),
                ));
            }
        }
        Ok(())
    }

    /// The layers whose weights are those of the checkpoint as they are, `text.blocks.{l}.mlp.fc1`, and what they are called there: one name, or of a
    /// fused layer one for each that it is put together from.
    pub fn layers(&self) -> Vec<(&str, Vec<&str>)> {
        let weight = |name: &'_ str| name.strip_suffix(".weight").map(str::len);
        let named = |text: &str| !text.contains(['(', ')', ',', ' ', '?']);
        let lines = self.lines.iter().filter_map(|(ours, expression)| {
            let ours = &ours[..weight(ours)?];
            let inner = expression.strip_prefix("cat(").and_then(|rest| rest.strip_suffix(')'));
            let theirs = split(inner.unwrap_or(expression)).into_iter().map(str::trim);
            let theirs: Option<Vec<&str>> =
                theirs.map(|name| named(name).then_some(&name[..weight(name)?])).collect();
            Some((ours, theirs?))
        });
        lines.collect()
    }

    /// Whether a tensor of the checkpoint is left behind knowingly.
    pub fn ignores(&self, name: &str) -> bool {
        self.ignored.iter().any(|pattern| matches(pattern, name))
    }

    /// The other way: tensors under the names on the left from `params`, whose names are on the right. `depths`: the number of blocks
    /// of each tower. A line whose sources the model does not have is passed over.
    ///
    /// # Errors
    /// A tensor of the model that no line takes: the format would lose it.
    pub fn render(&self, params: &Params, depths: &[(&str, i64)]) -> Result<Vec<(String, Tensor)>> {
        let (mut out, mut used) = (Vec::new(), BTreeSet::new());
        for (target, expression) in &self.lines {
            let tower = depths.iter().find(|(m, _)| expression.contains(&format!("{m}.blocks.")));
            let blocks: Vec<String> = match tower {
                Some((_, n)) => (0..*n).map(|l| l.to_string()).collect(),
                None => vec![String::new()],
            };
            for block in blocks {
                let put = |s: &str| s.replace("{l}", &block);
                let mut eval = Eval { weights: params, used: &mut used, missing: Vec::new(), shape: vec![1] };
                let value = eval.expression(&put(expression))?;
                if eval.missing.is_empty() {
                    out.push((put(target), value.f_contiguous()?));
                }
            }
        }
        let lost: Vec<String> =
            params.iter().map(|(n, _)| n.to_owned()).filter(|n| !used.contains(n)).collect();
        if !lost.is_empty() {
            return Err(Error::Input(format!(
                "the format has no place for {} of the model's tensors: {}",
                lost.len(),
                parts(&lost)
            )));
        }
        Ok(out)
    }

    /// Fills `params` from `weights`.
    ///
    /// # Errors
    /// Strict: anything missing, left over or of another shape, all of them in one report.
    pub fn fill(&self, params: &Params, weights: &Weights) -> Result<LoadReport> {
        let mut report = LoadReport::default();
        let mut used = BTreeSet::new();
        let lines: BTreeMap<&str, &str> = self.lines.iter().map(|(t, e)| (t.as_str(), e.as_str())).collect();
        for (name, param) in params.iter() {
            let (general, block) = number(name);
            let Some(expression) = lines.get(name).or_else(|| lines.get(general.as_str())) else {
                report.missing.push(name.to_owned());
                continue;
            };
            let expression = expression.replace("{l}", &block);
            let mut eval = Eval { weights, used: &mut used, missing: Vec::new(), shape: param.tensor.size() };
            let value = eval.expression(&expression);
            let missing = eval.missing;
            let value = value.map_err(|e| unfit(weights, name, &expression, e))?;
            if !missing.is_empty() {
                report.missing.extend(missing);
                continue;
            }
            let (expected, found) = (param.tensor.size(), value.size());
            // Singleton axes are storage, not shape: [1, N, W] for [N, W].
            let bare = |s: &[i64]| s.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
            if bare(&expected) != bare(&found) {
                report.mismatched.push((expression, expected, found));
                continue;
            }
            tch::no_grad(|| param.tensor.shallow_clone().f_copy_(&value.f_view(expected.as_slice())?))?;
            report.loaded += 1;
        }
        report.cast = used.iter().filter(|n| weights.kind(n).is_some_and(|k| k != Kind::Float)).count();
        for name in weights.names().filter(|n| !used.contains(*n)) {
            if self.ignores(name) {
                report.ignored.push(name.to_owned());
            } else {
                report.unexpected.push(name.to_owned());
            }
        }
        report.missing.sort();
        report.missing.dedup();
        if !report.is_exact() {
            return Err(Error::Weights { path: weights.path().to_owned(), report: Box::new(report) });
        }
        Ok(report)
    }
}

/// What libtorch says of shapes that do not fit each other, in terms of the file.
fn unfit(weights: &Weights, name: &str, expression: &str, e: Error) -> Error {
    if !matches!(e, Error::Tch(_)) {
        return e;
    }
    let names = expression
        .split(['(', ')', ',', ' '])
        .filter_map(|n| Some((n, weights.shape(n.trim_end_matches('?'))?)));
    let shapes: Vec<String> = names.map(|(n, shape)| format!("{n} {shape:?}")).collect();
    Error::format(
        weights.path(),
        format!("{name} cannot be made of {}: their shapes do not fit", shapes.join(" and ")),
    )
}

fn parts(names: &[String]) -> String {
    names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// `text.blocks.7.norm1.weight` → (`text.blocks.{l}.norm1.weight`, `7`).
pub fn number(name: &str) -> (String, String) {
    let Some((before, rest)) = name.split_once(".blocks.") else { return (name.to_owned(), String::new()) };
    let (block, after) = rest.split_once('.').unwrap_or((rest, ""));
    (format!("{before}.blocks.{{l}}.{after}"), block.to_owned())
}

/// Where an expression's names are looked up.
trait Lookup {
    fn has(&self, name: &str) -> bool;
    fn get(&self, name: &str) -> Result<Option<Tensor>>;
    fn path(&self) -> &Path;
}

impl Lookup for Weights {
    fn has(&self, name: &str) -> bool {
        Weights::has(self, name)
    }
    fn get(&self, name: &str) -> Result<Option<Tensor>> {
        Weights::get(self, name)
    }
    fn path(&self) -> &Path {
        Weights::path(self)
    }
}

impl Lookup for Params {
    fn has(&self, name: &str) -> bool {
        Params::get(self, name).is_some()
    }
    fn get(&self, name: &str) -> Result<Option<Tensor>> {
        let found = Params::get(self, name).map(|p| p.tensor.f_detach()?.f_to_device(tch::Device::Cpu));
        Ok(found.transpose()?)
    }
    fn path(&self) -> &Path {
        Path::new("the model")
    }
}

struct Eval<'a> {
    weights: &'a dyn Lookup,
    used: &'a mut BTreeSet<String>,
    missing: Vec<String>,
    /// Of what is to be filled.
    shape: Vec<i64>,
}

impl Eval<'_> {
    fn expression(&mut self, text: &str) -> Result<Tensor> {
        let text = text.trim();
        let Some((function, rest)) = text.split_once('(') else { return self.source(text) };
        let inner = rest.strip_suffix(')').ok_or_else(|| wrong(text))?;
        let arguments = split(inner);
        let integer = |i: usize| -> Result<Option<i64>> {
            arguments.get(i).map(|a| a.trim().parse().map_err(|_| wrong(text))).transpose()
        };
        match function.trim() {
            "cat" => {
                let mut parts = Vec::with_capacity(arguments.len());
                for a in &arguments {
                    parts.push(self.part(a)?);
                }
                // A part that may be missing is zeros like its siblings.
                let like = parts.iter().flatten().next().map(Tensor::size).unwrap_or_default();
                let parts = parts.into_iter().map(|p| match p {
                    Some(p) if p.dim() == 3 => Ok(p.f_squeeze_dim(0)?),
                    Some(p) => Ok(p),
                    None => zeros(&like),
                });
                Ok(Tensor::f_cat(&parts.collect::<Result<Vec<_>>>()?, 0)?)
            }
            "add" | "sub" => {
                let (a, b) = (self.argument(&arguments, 0)?, self.argument(&arguments, 1)?);
                Ok(if function.trim() == "add" { a.f_add(&b)? } else { a.f_sub(&b)? })
            }
            "t" => Ok(self.argument(&arguments, 0)?.f_transpose(-2, -1)?.f_contiguous()?),
            "flat" => Ok(self.argument(&arguments, 0)?.f_view([-1])?),
            "zero" => zeros(&self.shape),
            "zero_row" => {
                let x = self.argument(&arguments, 0)?;
                zeros(&[1, x.size().last().copied().unwrap_or(1)])
            }
            "rows" => {
                let x = self.argument(&arguments, 0)?;
                let width = x.size().last().copied().unwrap_or(1);
                self.narrow(&x.f_view([-1, width])?, text, integer(1)?, integer(2)?)
            }
            "slice" => {
                let x = self.argument(&arguments, 0)?;
                self.narrow(&x, text, integer(1)?, integer(2)?)
            }
            "patch" => {
                let x = self.argument(&arguments, 0)?;
                // A linear layer over (row, column, channel) is a convolution with its axes in another order.
                match (x.dim(), self.shape.as_slice()) {
                    (2, &[w, c, h, v]) if x.size() == [w, c * h * v] => {
                        Ok(x.f_view([w, h, v, c])?.f_permute([0, 3, 1, 2])?.f_contiguous()?)
                    }
                    _ => Ok(x),
                }
            }
            "resize" | "resize_aa" => {
                let x = self.argument(&arguments, 0)?;
                let (Some(h), Some(w)) = (integer(1)?, integer(2)?) else { return Err(wrong(text)) };
                resize(&x, [h, w], function.trim() == "resize_aa")
            }
            _ => Err(wrong(text)),
        }
    }

    fn argument(&mut self, arguments: &[&str], i: usize) -> Result<Tensor> {
        self.expression(arguments.get(i).copied().unwrap_or_default())
    }

    /// `None` for a source that may be missing and is.
    fn part(&mut self, text: &str) -> Result<Option<Tensor>> {
        match text.trim().strip_suffix('?') {
            Some(name) if !self.weights.has(name) => Ok(None),
            _ => Ok(Some(self.expression(text)?)),
        }
    }

    fn source(&mut self, text: &str) -> Result<Tensor> {
        let name = text.trim_end_matches('?');
        if let Some(value) = self.weights.get(name)? {
            self.used.insert(name.to_owned());
            return Ok(value);
        }
        if name == text {
            self.missing.push(name.to_owned());
        }
        zeros(&self.shape)
    }

    fn narrow(&mut self, x: &Tensor, text: &str, from: Option<i64>, to: Option<i64>) -> Result<Tensor> {
        let rows = x.size().first().copied().unwrap_or(0);
        let (from, to) = (from.unwrap_or(0), to.unwrap_or(rows));
        if !self.missing.is_empty() {
            return zeros(&self.shape);
        }
        if from > to || to > rows {
            return Err(Error::format(
                self.weights.path(),
                format!("{text}: expected at least {to} rows, found {rows}"),
            ));
        }
        Ok(x.f_narrow(0, from, to - from)?)
    }
}

fn zeros(shape: &[i64]) -> Result<Tensor> {
    Ok(Tensor::f_zeros(shape, (Kind::Float, tch::Device::Cpu))?)
}

fn wrong(text: &str) -> Error {
    Error::config("import map", format!("cannot read {text:?}"))
}

/// Splits at commas that stand in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Position embeddings `[S·S, W]` of a square grid → `[h·w, W]`, bicubic, as DINOv2 does at run time.
fn resize(x: &Tensor, grid: [i64; 2], antialias: bool) -> Result<Tensor> {
    let (n, width) = x.size2()?;
    let side = (n as f64).sqrt().round() as i64;
    if grid == [side, side] || side * side != n {
        return Ok(x.shallow_clone());
    }
    let x = x.f_view([1, side, side, width])?.f_permute([0, 3, 1, 2])?;
    let x = if antialias {
        x.f_internal_upsample_bicubic2d_aa(grid, false, None, None)?
    } else {
        x.f_upsample_bicubic2d(grid, false, None, None)?
    };
    Ok(x.f_flatten(2, 3)?.f_squeeze_dim(0)?.f_transpose(0, 1)?.f_contiguous()?)
}
