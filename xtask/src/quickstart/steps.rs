//! The quickstart's exact command lines, all in this one place.

use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Data that `unisono data sample` fetches.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: &'static str,
    /// The tool that fetches it, and how to install that.
    pub(crate) tool: &'static str,
    pub(crate) fix: &'static str,
    /// The split that the closing searches look through.
    show_split: &'static str,
}

pub(crate) const SOURCES: [Source; 2] = [
    Source { name: "emoji", tool: "npm", fix: "`sudo apt-get install npm`", show_split: "test-vendor" },
    Source { name: "stamps", tool: "apt-get", fix: "it comes with Debian and Ubuntu", show_split: "test" },
];

/// Where a recipe names the public towers.
const TOWERS: &str = "\"data/towers/";

/// What the closing show searches for.
const QUERIES: [&str; 4] =
    ["a red double-decker bus", "fruit", "un chat qui sourit", "ein Schiff auf dem Meer"];

/// The quickstart's folders, absolute.
pub(crate) struct Plan {
    pub(crate) workspace: PathBuf,
    data: PathBuf,
    pub(crate) out: PathBuf,
    recipe: PathBuf,
    /// A second stage over what the recipe trains: `recipes/NAME-fusion.toml`, where there is one.
    fusion: Option<PathBuf>,
}

impl Plan {
    /// Relative folders are the workspace's, as in the README.
    pub(crate) fn new(workspace: &Path, data: &Path, out: &Path, recipe: &Path) -> Self {
        let at = |path: &Path| workspace.join(path);
        let recipe = at(recipe);
        let fusion = recipe.file_stem().map(|name| {
            let mut name = name.to_owned();
            name.push("-fusion.toml");
            recipe.with_file_name(name)
        });
        Self {
            workspace: workspace.to_owned(),
            data: at(data),
            out: at(out),
            recipe,
            fusion: fusion.filter(|path| path.exists()),
        }
    }

    /// Where the public towers belong, if the recipe names them. To be asked before [`place_recipe`](Self::place_recipe).
    pub(crate) fn towers(&self) -> Result<Option<PathBuf>> {
        let text = fs::read_to_string(&self.recipe).map_err(Error::io("reading", &self.recipe))?;
        Ok(text.contains(TOWERS).then(|| self.data.join("towers")))
    }

    /// `data/emoji/manifest.jsonl`: written last, so its presence means that the source is whole.
    pub(crate) fn manifest(&self, source: &Source) -> PathBuf {
        self.data.join(source.name).join("manifest.jsonl")
    }

    /// The recipe names its manifests below `data/`; for `--data` elsewhere a copy in the run's folder names them there.
    pub(crate) fn place_recipe(&mut self) -> Result<()> {
        if self.data == self.workspace.join("data") {
            return Ok(());
        }
        for recipe in std::iter::once(&mut self.recipe).chain(&mut self.fusion) {
            let text = fs::read_to_string(&*recipe).map_err(Error::io("reading", recipe))?;
            let copy = self.out.join(recipe.file_name().unwrap_or_default());
            fs::create_dir_all(&self.out).map_err(Error::io("creating", &self.out))?;
            let moved = text.replace("\"data/", &format!("\"{}/", self.data.display()));
            fs::write(&copy, moved).map_err(Error::io("writing", &copy))?;
            *recipe = copy;
        }
        Ok(())
    }

    /// `unisono data sample emoji --out data/emoji`
    pub(crate) fn fetch(&self, source: &Source) -> Vec<String> {
        words(["data", "sample", source.name, "--out", &self.show(&self.data.join(source.name))])
    }

    /// `unisono train recipes/quickstart.toml --out runs/quickstart [--without stamps] [--resume]`
    pub(crate) fn train(&self, left_out: &[&str]) -> Vec<String> {
        let mut line = words(["train", &self.show(&self.recipe), "--out", &self.show(&self.out)]);
        for name in left_out {
            line.extend(words(["--without", name]));
        }
        // An interrupted training goes on; the flag would be an error without a checkpoint.
        if self.out.join("last").exists() {
            line.extend(words(["--resume"]));
        }
        line
    }

    /// `unisono train recipes/from-scratch-fusion.toml --out runs/from-scratch/fusion --set init=runs/from-scratch`; `None`: there is no second stage.
    pub(crate) fn fuse(&self, left_out: &[&str]) -> Option<Vec<String>> {
        let out = self.fused();
        let mut line = words(["train", &self.show(self.fusion.as_ref()?), "--out", &self.show(&out)]);
        line.extend(words(["--set", &format!("init=\"{}\"", self.show(&self.out))]));
        for name in left_out {
            line.extend(words(["--without", name]));
        }
        if out.join("last").exists() {
            line.extend(words(["--resume"]));
        }
        Some(line)
    }

    /// Where the second stage's run lies: the first one's report finds it there.
    pub(crate) fn fused(&self) -> PathBuf {
        self.out.join("fusion")
    }

    /// An index of images that training never saw, and a few searches in it.
    pub(crate) fn search(&self, missing: &[&Source]) -> Vec<Vec<String>> {
        let Some(source) = SOURCES.iter().find(|source| missing.iter().all(|gone| gone.name != source.name))
        else {
            return Vec::new();
        };
        let (model, index) = (self.show(&self.out.join("best")), self.show(&self.out.join("index")));
        let manifest = self.show(&self.manifest(source));
        let mut build = words(["index", "build", "--model", &model, "--out", &index, "--modality", "image"]);
        build.extend(words(["--manifest", &manifest, "--split", source.show_split]));
        let queries = QUERIES.iter().map(|query| words(["search", "--index", &index, query, "--top", "3"]));
        std::iter::once(build).chain(queries).collect()
    }

    /// `unisono report --run runs/quickstart --out runs/quickstart/report.html`; prints the headline numbers.
    pub(crate) fn report(&self) -> Vec<String> {
        words(["report", "--run", &self.show(&self.out), "--out", &self.show(&self.report_file())])
    }

    pub(crate) fn report_file(&self) -> PathBuf {
        self.out.join("report.html")
    }

    /// Paths in the workspace are shown relative to it: the lines can be typed again.
    fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.workspace).unwrap_or(path).display().to_string()
    }
}

/// Whether the run's training came to its end, as `unisono train` notes in `summary.json`.
pub(crate) fn is_trained(run: &Path) -> bool {
    let text = fs::read_to_string(run.join("summary.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    json.get("finished").and_then(serde_json::Value::as_bool) == Some(true)
}

fn words<const N: usize>(list: [&str; N]) -> Vec<String> {
    list.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_readme() {
        let plan = Plan::new(
            Path::new("/w"),
            Path::new("data"),
            Path::new("runs/quickstart"),
            Path::new("recipes/quickstart.toml"),
        );
        let [emoji, stamps] = &SOURCES;
        assert_eq!(plan.fetch(stamps).join(" "), "data sample stamps --out data/stamps");
        assert_eq!(plan.train(&[]).join(" "), "train recipes/quickstart.toml --out runs/quickstart");
        assert_eq!(
            plan.train(&["stamps"]).join(" "),
            "train recipes/quickstart.toml --out runs/quickstart --without stamps"
        );
        assert_eq!(plan.fuse(&[]), None);
        assert_eq!(plan.report().join(" "), "report --run runs/quickstart --out runs/quickstart/report.html");
        let index =
            |missing: &[&Source]| plan.search(missing).first().map(|line| line.join(" ")).unwrap_or_default();
        assert!(index(&[]).contains("data/emoji/manifest.jsonl --split test-vendor"));
        assert!(index(&[emoji]).ends_with("data/stamps/manifest.jsonl --split test"));
        assert!(plan.search(&[emoji, stamps]).is_empty());
    }

    #[test]
    fn data_elsewhere_move_the_recipes_manifests() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = "steps = 1\ntower = \"data/towers/minilm\"\n[[data]]\nname = \"x\"\nsource = \"data/emoji/manifest.jsonl\"\n";
        fs::write(folder.path().join("r.toml"), recipe).unwrap();
        fs::write(folder.path().join("r-fusion.toml"), "steps = 2\n").unwrap();
        let plan_at = |data: &str| {
            let mut plan = Plan::new(folder.path(), Path::new(data), Path::new("run"), Path::new("r.toml"));
            assert_eq!(plan.towers().unwrap(), Some(folder.path().join(data).join("towers")));
            plan.place_recipe().unwrap();
            [plan.train(&[]).join(" "), plan.fuse(&[]).unwrap().join(" ")]
        };
        let second = |recipe: &str| format!("train {recipe} --out run/fusion --set init=\"run\"");
        assert_eq!(plan_at("data"), ["train r.toml --out run".to_owned(), second("r-fusion.toml")]);
        assert_eq!(plan_at("/big/d"), ["train run/r.toml --out run".to_owned(), second("run/r-fusion.toml")]);
        let moved = fs::read_to_string(folder.path().join("run/r.toml")).unwrap();
        assert_eq!(moved, recipe.replace("\"data/", "\"/big/d/"));
    }

    #[test]
    fn an_interrupted_training_resumes() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(folder.path(), Path::new("data"), Path::new("run"), Path::new("r.toml"));
        assert!(!plan.train(&[]).contains(&"--resume".to_owned()) && !is_trained(&plan.out));
        fs::create_dir_all(plan.out.join("last")).unwrap();
        assert!(plan.train(&[]).contains(&"--resume".to_owned()));
        for (text, trained) in [("{\"finished\":true}", true), ("{\"finished\":false}", false), ("{", false)]
        {
            fs::write(plan.out.join("summary.json"), text).unwrap();
            assert_eq!(is_trained(&plan.out), trained, "{text}");
        }
    }
}
