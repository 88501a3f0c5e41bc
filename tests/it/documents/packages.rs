//! Statements of the documents about builds and packages.

use super::pages::{page, root};

#[test]
fn documents_state_the_oldest_supported_rust() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    for path in ["README.md", "CONTRIBUTING.md", "docs/install.md"] {
        assert!(page(path).text.contains(&format!("Rust {version} or newer")), "{path}");
    }
}

/// `tests/deb.sh` checks the package itself.
#[test]
fn package_contains_every_file_of_docs_systemd() {
    let build = std::fs::read_to_string(root().join("config/deb/build.sh")).unwrap();
    let mut units = 0;
    for entry in std::fs::read_dir(root().join("docs/systemd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(build.contains(&name), "config/deb/build.sh does not install {name}");
        units += 1;
    }
    assert!(units > 3, "only {units} files were found");
}
