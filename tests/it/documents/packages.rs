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
