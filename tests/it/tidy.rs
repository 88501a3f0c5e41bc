//! Rules for the source itself: imports follow the layers, comments have a form, and
//! ARCHITECTURE.md is short and names existing files.

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the inside out; each may import those before it. `settings` is plain data that
/// `store`, `app`, `telemetry` and `cli` may read.
const LAYERS: [&[&str]; 9] = [
    &["domain"],
    &["settings", "observe"],
    &["password"],
    &["store"],
    &["rate_limit"],
    &["oauth", "admin", "import"],
    &["web"],
    &["app", "telemetry"],
    &["cli"],
];

/// Modules that may not import the settings: `app` turns those into the policies of these modules.
const WITHOUT_SETTINGS: [&str; 8] =
    ["domain", "observe", "password", "rate_limit", "oauth", "admin", "import", "web"];

/// Folder whose comments are not checked, because builds of the fuzz targets generate it.
const UNCHECKED: &str = "tests/fuzz/target";

/// Beginnings of sentences that do not say which component does what.
const FORBIDDEN_BEGINNINGS: [&str; 7] =
    ["What", "Who", "Whose", "Whoever", "Where", "So many", "The same"];

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

/// Returns the modules that a source text imports: every `crate::NAME`, and each name in braces,
/// which may not contain braces themselves.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap();
                assert!(!list.contains('{'), "nested braces in crate::{{{list}");
                list
            }
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
#[should_panic(expected = "nested braces")]
fn imports_in_nested_braces_are_refused() {
    imports("use crate::{web::{x, y}, app};");
}

#[test]
fn layers_do_not_use_crates_forbidden_to_them() {
    for (module, forbidden) in [
        ("domain", &["tokio", "actix", "rusqlite", "mongodb", "std::fs", "std::net"][..]),
        ("observe", &["actix", "rusqlite", "mongodb"]),
        ("password", &["actix", "rusqlite", "mongodb"]),
        ("store", &["actix"]),
        ("rate_limit", &["actix", "rusqlite", "mongodb"]),
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

/// Its generators panic if the operating system supplies no random bytes.
#[test]
fn only_one_file_uses_the_crate_rand() {
    let mut found = Vec::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let is_crate = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if text.match_indices("rand::").any(|(at, _)| is_crate(at)) {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    assert_eq!(found, [Path::new("src/domain/random.rs")]);
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
}

#[test]
fn architecture_md_has_at_most_120_lines() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines = text.lines().count();
    assert!((1..=120).contains(&lines), "{lines} lines");
}

/// A line that is a comment.
struct Comment {
    /// File and line.
    place: String,
    line: String,
    /// Whether the line before it is a comment of the same kind.
    continues: bool,
}

/// Returns the comment marker that a line begins with.
fn marker(line: &str) -> Option<&'static str> {
    ["///", "//!", "//"].into_iter().find(|marker| line.trim_start().starts_with(*marker))
}

/// Returns the text of a line that is a doc comment.
fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim)
}

/// Whether a text begins with these words.
fn begins_with(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Returns the comment lines of the source, the tests and the benchmarks.
fn comments() -> Vec<Comment> {
    let mut found = Vec::new();
    for path in ["src", "tests", "benches"].iter().flat_map(|folder| sources(&root().join(folder)))
    {
        if path.starts_with(root().join(UNCHECKED)) {
            continue;
        }
        let mut before = None;
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let marker = marker(line);
            if marker.is_some() {
                let place = format!("{}:{}", path.display(), number + 1);
                found.push(Comment { place, line: line.to_owned(), continues: marker == before });
            }
            before = marker;
        }
    }
    found
}

#[test]
fn doc_comments_do_not_begin_with_forbidden_words() {
    let mut checked = 0;
    for comment in comments().iter().filter(|comment| !comment.continues) {
        let Some(text) = doc_text(&comment.line) else { continue };
        let forbidden = FORBIDDEN_BEGINNINGS.iter().find(|words| begins_with(text, words));
        assert_eq!(forbidden, None, "{}: {text}", comment.place);
        checked += 1;
    }
    assert!(checked > 1_000, "only {checked} comments were found");
}

#[test]
fn comment_lines_have_at_most_100_columns() {
    let comments = comments();
    for Comment { place, line, .. } in &comments {
        assert!(line.chars().count() <= 100, "{place} has {} columns", line.chars().count());
    }
    assert!(comments.len() > 1_000, "only {} comments were found", comments.len());
}

#[test]
fn comments_are_recognized() {
    assert_eq!(doc_text("    /// What it is."), Some("What it is."));
    assert_eq!(doc_text("//! What it is."), Some("What it is."));
    assert_eq!((marker("  // why"), doc_text("  // why")), (Some("//"), None));
    assert_eq!(marker("let a = 1; // one"), None);
    assert!(begins_with("What, then?", "What") && begins_with("The same", "The same"));
    assert!(!begins_with("Whatever", "What") && !begins_with("Whether", "Where"));
}
