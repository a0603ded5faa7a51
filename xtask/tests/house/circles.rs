//! No circle of files, which `cargo test` looks at: where one file takes a name from another, that one takes none from it, nor from what leads
//! back to it. Files of a circle can only be read all at once.
//!
//! Names are followed as they are written: `use` lines, paths in code and in serde's attributes, re-exports. What macros and method calls lead to is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// One module: the file that it stands in, and what names in it mean.
#[derive(Default)]
struct Module {
    file: PathBuf,
    defined: BTreeSet<String>,
    /// `use` lines: the name here, and the path that it stands for.
    used: BTreeMap<String, Vec<String>>,
    /// `use path::*`.
    globs: Vec<Vec<String>>,
    /// Every path that is written here.
    written: BTreeSet<Vec<String>>,
}

type Modules = BTreeMap<Vec<String>, Module>;

fn of_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("test")
            || a.path().is_ident("cfg")
                && a.parse_args::<syn::Path>()
                    .is_ok_and(|p| ["test", "fuzzing", "doc"].iter().any(|name| p.is_ident(name)))
    })
}

/// The file that `#[path = "…"]` names.
fn named(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find(|a| a.path().is_ident("path")).and_then(|a| match &a.meta {
        syn::Meta::NameValue(syn::MetaNameValue { value: syn::Expr::Lit(lit), .. }) => match &lit.lit {
            syn::Lit::Str(s) => Some(s.value()),
            _ => None,
        },
        _ => None,
    })
}

impl Module {
    /// `shelf`: names that are only put where others look for them, which is no use of them.
    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String], shelf: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let mut names = |name: String, path: Vec<String>| {
            if !shelf {
                self.written.insert(path.clone());
            }
            self.used.insert(name, path);
        };
        match tree {
            syn::UseTree::Path(p) => self.use_tree(&p.tree, &with(&p.ident), shelf),
            syn::UseTree::Name(n) if n.ident == "self" => {
                if let Some(last) = before.last() {
                    names(last.clone(), before.to_vec());
                }
            }
            syn::UseTree::Name(n) => names(n.ident.to_string(), with(&n.ident)),
            syn::UseTree::Rename(r) if r.ident == "self" => names(r.rename.to_string(), before.to_vec()),
            syn::UseTree::Rename(r) => names(r.rename.to_string(), with(&r.ident)),
            syn::UseTree::Glob(_) => self.globs.push(before.to_vec()),
            syn::UseTree::Group(g) => g.items.iter().for_each(|t| self.use_tree(t, before, shelf)),
        }
    }
}

impl<'a> Visit<'a> for Module {
    fn visit_item(&mut self, item: &'a syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Fn(x) => &x.attrs,
            syn::Item::Impl(x) => &x.attrs,
            syn::Item::Use(x) => &x.attrs,
            syn::Item::Mod(x) => &x.attrs,
            _ => &[],
        };
        if of_tests(attributes) || matches!(item, syn::Item::Mod(_)) {
            return;
        }
        if let syn::Item::Use(u) = item {
            return self.use_tree(&u.tree, &[], !matches!(u.vis, syn::Visibility::Inherited));
        }
        visit::visit_item(self, item);
    }

    /// Paths that serde's attributes hold as strings: `with = "forms::number"`, `default = "yes"`, `try_from = "super::Written"`.
    fn visit_attribute(&mut self, attribute: &'a syn::Attribute) {
        if !attribute.path().is_ident("serde") {
            return;
        }
        let _ = attribute.parse_nested_meta(|meta| {
            let Ok(value) = meta.value() else { return Ok(()) };
            let Ok(path) = value.parse::<syn::LitStr>()?.parse::<syn::Path>() else { return Ok(()) };
            let mut words: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            if meta.path.is_ident("with") {
                words.push("serialize".into());
            }
            self.written.insert(words);
            Ok(())
        });
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.written.insert(words);
        visit::visit_path(self, path);
    }
}

fn name_of(item: &syn::Item) -> Option<String> {
    Some(match item {
        syn::Item::Const(x) => x.ident.to_string(),
        syn::Item::Enum(x) => x.ident.to_string(),
        syn::Item::Fn(x) => x.sig.ident.to_string(),
        syn::Item::Static(x) => x.ident.to_string(),
        syn::Item::Struct(x) => x.ident.to_string(),
        syn::Item::Trait(x) => x.ident.to_string(),
        syn::Item::Type(x) => x.ident.to_string(),
        syn::Item::Union(x) => x.ident.to_string(),
        _ => return None,
    })
}

/// The items of a module, its children too. `folder` is where files of child modules lie.
fn read(items: &[syn::Item], file: &Path, folder: &Path, at: &[String], into: &mut Modules) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items {
        module.defined.extend(name_of(item));
        module.visit_item(item);
        let syn::Item::Mod(child) = item else { continue };
        if of_tests(&child.attrs) {
            continue;
        }
        let name = child.ident.to_string();
        let path = [at, std::slice::from_ref(&name)].concat();
        if let Some((_, items)) = &child.content {
            read(items, file, &folder.join(&name), &path, into);
            continue;
        }
        let (flat, deep) = (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
        let other = named(&child.attrs).and_then(|n| file.parent().map(|p| p.join(n)));
        let found = other.unwrap_or(if flat.exists() { flat } else { deep });
        read_file(&found, &folder.join(&name), &path, into);
    }
    into.insert(at.to_vec(), module);
}

fn read_file(file: &Path, folder: &Path, at: &[String], into: &mut Modules) {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    read(&parsed.items, file, folder, at, into);
}

/// The file that defines what `path` means when written in module `at`; `None` for names from other crates and for modules themselves.
fn defines(modules: &Modules, at: &[String], path: &[String], depth: usize) -> Option<PathBuf> {
    let (head, rest) = path.split_first()?;
    if depth > 12 {
        return None;
    }
    match head.as_str() {
        "crate" => inside(modules, &[], rest, depth),
        "self" => inside(modules, at, rest, depth),
        "super" => inside(modules, &at[..at.len().checked_sub(1)?], rest, depth),
        _ => inside(modules, at, path, depth),
    }
}

fn inside(modules: &Modules, at: &[String], path: &[String], depth: usize) -> Option<PathBuf> {
    let module = modules.get(at)?;
    let (head, rest) = path.split_first()?;
    if head == "super" {
        return inside(modules, &at[..at.len().checked_sub(1)?], rest, depth + 1);
    }
    let child = [at, std::slice::from_ref(head)].concat();
    if modules.contains_key(&child) && !rest.is_empty() {
        return inside(modules, &child, rest, depth + 1);
    }
    if module.defined.contains(head) {
        return Some(module.file.clone());
    }
    if let Some(target) = module.used.get(head).filter(|t| t.as_slice() != path) {
        return defines(modules, at, &[target, rest].concat(), depth + 1);
    }
    let through = |glob: &Vec<String>| defines(modules, at, &[glob.as_slice(), path].concat(), depth + 1);
    module.globs.iter().find_map(through)
}

type Arrows = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

fn arrows(modules: &Modules) -> Arrows {
    let mut found = Arrows::new();
    for (at, module) in modules {
        for path in &module.written {
            if let Some(to) = defines(modules, at, path, 0).filter(|to| *to != module.file) {
                found.entry(module.file.clone()).or_default().insert(to);
            }
        }
    }
    found
}

fn reached(arrows: &Arrows, from: &Path) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(file) = next.pop() {
        for to in arrows.get(&file).into_iter().flatten() {
            if seen.insert(to.clone()) {
                next.push(to.clone());
            }
        }
    }
    seen
}

/// Files that lead to each other.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<PathBuf>> {
    let ways: BTreeMap<&PathBuf, _> = arrows.keys().map(|file| (file, reached(arrows, file))).collect();
    let leads = |from: &PathBuf, to: &PathBuf| ways.get(from).is_some_and(|seen| seen.contains(to));
    let own = |file: &PathBuf| -> BTreeSet<PathBuf> {
        ways[file].iter().filter(|to| leads(to, file)).cloned().collect()
    };
    ways.keys().filter(|file| leads(file, file)).map(|file| own(file)).collect()
}

/// The modules of a crate whose root is this file.
fn modules(root: &Path) -> Modules {
    let mut found = Modules::new();
    read_file(root, root.parent().unwrap(), &[], &mut found);
    found
}

#[test]
fn files_take_names_one_way() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    for (folder, _) in crate::walls::FLOORS.iter().chain(&[("xtask", 9)]) {
        let root = |name: &str| Some(house.join(folder).join("src").join(name)).filter(|p| p.exists());
        let arrows = arrows(&modules(&root("lib.rs").or(root("main.rs")).unwrap()));
        let short = |p: &PathBuf| p.strip_prefix(&house).unwrap().display().to_string();
        for circle in circles(&arrows) {
            let taken =
                circle.iter().flat_map(|from| arrows[from].intersection(&circle).map(move |to| (from, to)));
            let taken: Vec<String> =
                taken.map(|(from, to)| format!("  {} -> {}", short(from), short(to))).collect();
            wrong.push(format!("a circle of {} files:\n{}", circle.len(), taken.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_circle_is_seen_through_re_exports_and_parents() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put(
        "lib.rs",
        "mod error; mod a; mod b; mod c; mod e; mod f; pub use error::Error; pub use b::*; #[cfg(test)] mod gone;",
    );
    put("error.rs", "pub enum Error {}");
    put("a.rs", "use crate::{Error, B}; pub struct A; fn f() -> Option<B> { None }");
    put("b.rs", "pub struct B; impl B { fn a(&self) -> super::a::A { super::a::A } }");
    put(
        "c.rs",
        "mod d; pub struct C; pub use d::D; fn f(_: D) {} #[cfg(test)] mod tests { use crate::a::A; }",
    );
    put("c/d.rs", "use super::C; use crate::a; pub struct D(C, a::A);");
    put(
        "e.rs",
        "use crate::f; struct E { #[serde(default, with = \"f::form\")] a: u8, #[serde(default = \"e\")] b: u8 }",
    );
    put("f.rs", "pub mod form { pub fn serialize() {} }");
    let found = modules(&dir.path().join("lib.rs"));
    let arrows = arrows(&found);
    let to = |name: &str| -> Vec<String> {
        let short = |p: &PathBuf| p.strip_prefix(dir.path()).unwrap().display().to_string();
        arrows.get(&dir.path().join(name)).into_iter().flatten().map(short).collect()
    };
    assert_eq!(to("a.rs"), ["b.rs", "error.rs"]);
    assert_eq!(to("b.rs"), ["a.rs"]);
    assert_eq!(to("c.rs"), ["c/d.rs"]);
    assert_eq!(to("c/d.rs"), ["a.rs", "c.rs"]);
    assert_eq!(to("e.rs"), ["f.rs"]);
    let found: Vec<usize> = circles(&arrows).iter().map(BTreeSet::len).collect();
    assert_eq!(found, [2, 2]);
}
