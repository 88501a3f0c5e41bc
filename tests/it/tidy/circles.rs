//! Import circles: files of different folders must not import each other, directly or through
//! others. A module file such as `user.rs` belongs to the folder `user/`, if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{root, sources};

/// Modules that still have circles.
const UNCHECKED: [&str; 2] = ["oauth", "app"];

/// Path of a module below the crate, without `crate`.
type Module = Vec<String>;

/// Path that a file mentions, and the name that it has there.
type Import = (Vec<String>, String);

/// Modules of a crate, by their paths.
struct Crate(BTreeMap<Module, File>);

struct File {
    path: PathBuf,
    /// Paths that the file mentions, without those that it only exports.
    mentions: Vec<Import>,
    /// Names that `use` declarations bring into the file.
    uses: Vec<Import>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let module = |path: &Path| {
            let relative = path.strip_prefix(folder).unwrap().with_extension("");
            let mut module: Module =
                relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            module.pop_if(|last| last == "mod" || last == "lib");
            module
        };
        let paths = sources(folder).into_iter().filter(|path| !path.ends_with("main.rs"));
        let paths: BTreeMap<Module, PathBuf> = paths.map(|path| (module(&path), path)).collect();
        let file = |(module, path): (&Module, &PathBuf)| {
            let text = fs::read_to_string(path).unwrap();
            let is_child = |name: &str| paths.contains_key(&child(module, name));
            let (mentions, uses) = imports(&text, &is_child);
            (module.clone(), File { path: path.clone(), mentions, uses })
        };
        Self(paths.iter().map(file).collect())
    }

    /// Returns the module with the item that `path` names in `module`. Names that another module
    /// exports are followed to the module that declares them.
    fn resolve(&self, module: &Module, path: &[String]) -> Module {
        let mut found = module.clone();
        let mut rest = path;
        while let Some((first, behind)) = rest.split_first() {
            match first.as_str() {
                "crate" => found.clear(),
                "self" => {}
                "super" => drop(found.pop()),
                name if self.0.contains_key(&child(&found, name)) => found.push(name.to_owned()),
                name => {
                    let uses = self.0.get(&found).map(|file| &file.uses[..]).unwrap_or_default();
                    let used = uses.iter().find(|(used, known)| known == name && used != path);
                    return match used {
                        Some((used, _)) if found != *module => self.resolve(&found, used),
                        _ => found,
                    };
                }
            }
            rest = behind;
        }
        found
    }

    /// Returns the modules that each module imports.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let imported = |(module, file): (_, &File)| {
            let all = file.mentions.iter().map(|(path, _)| self.resolve(module, path));
            (module, all.filter(|other| other != module).collect())
        };
        self.0.iter().map(imported).collect()
    }

    fn folder(&self, module: &Module) -> PathBuf {
        let path = &self.0[module].path;
        let own = path.with_extension("");
        if own.is_dir() { own } else { path.parent().unwrap().to_owned() }
    }

    /// Returns pairs of files of different folders that import each other.
    fn circles(&self) -> Vec<String> {
        let imports = self.imports();
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            imports.keys().map(|module| (*module, reachable(&imports, module))).collect();
        let mut circles = Vec::new();
        for (one, others) in &reached {
            for other in others.iter().filter(|other| one < *other && reached[*other].contains(one))
            {
                if self.folder(one) != self.folder(other) {
                    circles.push(format!("{} and {}", one.join("::"), other.join("::")));
                }
            }
        }
        circles
    }
}

fn child(module: &Module, name: &str) -> Module {
    [module.as_slice(), &[name.to_owned()]].concat()
}

fn reachable<'a>(
    imports: &'a BTreeMap<&Module, BTreeSet<Module>>,
    from: &Module,
) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&Module> = imports[from].iter().collect();
    while let Some(module) = left.pop() {
        if found.insert(module) {
            left.extend(imports.get(module).into_iter().flatten());
        }
    }
    found
}

/// Returns the names, the `::` and the other characters of a source text, without comments and the
/// unit tests at its end.
fn tokens(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut tokens = Vec::new();
    for line in code.lines() {
        let mut rest = line.split("//").next().unwrap();
        while let Some(first) = rest.chars().next() {
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let length = match first {
                first if is_name(first) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                first => first.len_utf8(),
            };
            let (token, behind) = rest.split_at(length);
            if !token.trim().is_empty() {
                tokens.push(token);
            }
            rest = behind;
        }
    }
    tokens
}

/// Returns the paths that a source text mentions and does not only export, and the names that its
/// `use` declarations bring into it. Paths begin with `crate`, `super`, `self` or a child module.
fn imports(text: &str, is_child: &dyn Fn(&str) -> bool) -> (Vec<Import>, Vec<Import>) {
    let tokens = tokens(text);
    let (mut mentions, mut uses) = (Vec::new(), Vec::new());
    for (at, pair) in tokens.windows(2).enumerate() {
        let before = &tokens[..at];
        let begins = ["crate", "super", "self"].contains(&pair[0]) || is_child(pair[0]);
        let is_inside = matches!(before, [.., "::" | "."] | [.., "(", "in"]);
        if !begins || pair[1] != "::" || is_inside {
            continue;
        }
        let mut found = Vec::new();
        read_tree(&tokens[at..], &[], &mut found);
        match before {
            [.., "pub" | ")", "use"] => uses.extend(found),
            [.., "use"] => {
                uses.extend(found.clone());
                mentions.extend(found);
            }
            _ => mentions.extend(found),
        }
    }
    (mentions, uses)
}

/// Reads a path, or a tree of paths with braces, and returns the number of its tokens.
fn read_tree(tokens: &[&str], prefix: &[String], found: &mut Vec<Import>) -> usize {
    if tokens[0] == "{" {
        let mut at = 1;
        while tokens[at] != "}" {
            at += read_tree(&tokens[at..], prefix, found);
            at += usize::from(tokens[at] == ",");
        }
        return at + 1;
    }
    let path = [prefix, &[tokens[0].to_owned()]].concat();
    let is_longer = |next: &str| next == "{" || next.starts_with(|c: char| c.is_alphabetic());
    match tokens[1..] {
        ["::", next, ..] if is_longer(next) => 2 + read_tree(&tokens[2..], &path, found),
        ["as", name, ..] => {
            found.push((path, name.to_owned()));
            3
        }
        _ => {
            found.push((path, tokens[0].to_owned()));
            1
        }
    }
}

#[test]
fn files_of_different_folders_have_no_import_circles() {
    let sources = Crate::read(&root().join("src"));
    let imports: usize = sources.imports().values().map(BTreeSet::len).sum();
    assert!(imports > 1_000, "only {imports} imports were found");
    let is_checked = |circle: &String| !UNCHECKED.iter().any(|module| circle.starts_with(module));
    let circles: Vec<_> = sources.circles().into_iter().filter(is_checked).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn circle_through_an_exported_name_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("lib.rs", "mod a;\nmod b;\npub use b::inner::Deep;\n"),
        ("a/mod.rs", "mod one;\nuse crate::Deep;\n"),
        ("a/one.rs", "// use crate::b::x;\nfn f(_: super::super::b::inner::Deep) {}\n"),
        ("b/mod.rs", "pub mod inner;\n"),
        ("b/inner.rs", "use crate::{a::{one as other, self}};\npub struct Deep;\n"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let circles = Crate::read(folder.path()).circles();
    assert_eq!(circles, ["a and b::inner", "a::one and b::inner"]);
}
