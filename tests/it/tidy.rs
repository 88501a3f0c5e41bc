//! Rules for the source itself: imports follow the layers, and ARCHITECTURE.md names existing
//! files.

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the inside out; each may import those before it. `settings` is plain data that
/// `store`, `app`, `telemetry` and `cli` may read.
const LAYERS: [&[&str]; 8] = [
    &["domain"],
    &["settings", "observe"],
    &["password"],
    &["store"],
    &["oauth", "admin", "import"],
    &["web"],
    &["app", "telemetry"],
    &["cli"],
];

/// Modules that may not import the settings: `app` turns those into the policies of these modules.
const WITHOUT_SETTINGS: [&str; 7] =
    ["domain", "observe", "password", "oauth", "admin", "import", "web"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    relative.components().next().unwrap().as_os_str().to_str().unwrap().replace(".rs", "")
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Returns the modules that a source text imports: every `crate::NAME`, and each name in braces.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap(),
            None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap(),
        };
        found.extend(names.split(',').map(|name| {
            name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
        }));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn imports_follow_the_order_of_the_layers() {
    let mut checked = 0;
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let own = layer_of(&module).unwrap_or_else(|| panic!("{module} is in no layer"));
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            let other = layer_of(&import).unwrap_or_else(|| panic!("{import} is in no layer"));
            let fine = other < own || import == module;
            assert!(fine, "{} imports {import}", path.display());
            let plain = import != "settings" || !WITHOUT_SETTINGS.contains(&module.as_str());
            assert!(plain || import == module, "{} imports settings", path.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} imports were found");
}

#[test]
fn imports_in_braces_are_found() {
    assert_eq!(imports("use crate::{web, app::x};use crate::cli::y;"), ["web", "app", "cli"]);
}

#[test]
fn layers_do_not_use_crates_forbidden_to_them() {
    for (module, forbidden) in [
        ("domain", &["tokio", "actix", "rusqlite", "mongodb", "std::fs", "std::net"][..]),
        ("observe", &["actix", "rusqlite", "mongodb", "opentelemetry"]),
        ("password", &["actix", "rusqlite", "mongodb"]),
        ("store", &["actix"]),
        ("oauth", &["actix", "rusqlite", "mongodb"]),
        ("admin", &["actix", "rusqlite", "mongodb"]),
        ("web", &["rusqlite", "mongodb", "opentelemetry"]),
    ] {
        for path in sources(&root().join("src").join(module)) {
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<_> = text.lines().filter(|line| !line.trim().starts_with("//")).collect();
            for name in forbidden {
                assert!(!code.join("\n").contains(name), "{} uses {name}", path.display());
            }
        }
    }
}

#[test]
fn paths_named_in_architecture_md_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut checked = 0;
    for name in text.split('`').skip(1).step_by(2) {
        let is_path = name.contains('/') || name.ends_with(".rs") || name.ends_with(".md");
        let is_file = is_path && !name.starts_with('/') && !name.contains([' ', '*', '{', ':']);
        if is_file {
            assert!(root().join(name).exists(), "ARCHITECTURE.md names {name}");
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} paths were found");
    assert!(text.lines().count() <= 120);
}
