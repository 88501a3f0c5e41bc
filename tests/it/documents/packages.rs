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

/// A package must never contain the path of an installation by hand, and never start the service.
#[test]
fn package_contains_every_unit_and_starts_nothing_when_installed() {
    let text =
        |path: &str| std::fs::read_to_string(root().join("packaging/deb").join(path)).unwrap();
    let build = text("build.sh");
    let mut units = 0;
    for entry in std::fs::read_dir(root().join("docs/systemd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(build.contains(&name), "packaging/deb/build.sh does not install {name}");
        units += 1;
    }
    assert!(units > 3, "only {units} files were found");
    let postinst = text("postinst");
    let commands = postinst.lines().filter(|line| !line.trim_start().starts_with(['#', '[']));
    let mut commands = commands.filter(|line| !line.contains("echo"));
    assert!(commands.all(|line| !line.contains("enable") && !line.contains(" start")));
}
