//! `docs/resource-servers.md` shows what was tried: its blocks are parts of the examples that
//! `tests/conformance/resource_servers.py` runs.

use std::fs;
use std::path::Path;

use super::pages::{page, root};

const PAGE: &str = "docs/resource-servers.md";

fn texts(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
    found
}

fn examples() -> Vec<String> {
    texts(&root().join("examples/resource-servers"))
}

/// Returns whether the lines of the block follow each other in the text, all indented alike.
fn contains(text: &str, block: &str) -> bool {
    ["", "    "].iter().any(|indent| {
        let lines = block.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("{indent}{line}\n"),
        });
        format!("\n{text}").contains(&format!("\n{}", lines.collect::<String>()))
    })
}

#[test]
fn resource_server_blocks_are_parts_of_the_tried_examples() {
    let examples = examples();
    let blocks = page(PAGE).blocks();
    let shown: Vec<_> = blocks.iter().filter(|block| block.language != "sh").collect();
    assert!(shown.len() > 8, "only {} blocks were found", shown.len());
    for block in shown {
        let tried = examples.iter().any(|text| contains(text, &block.text));
        assert!(tried, "{} is not a part of an example", block.place);
    }
    assert!(!contains("  a\n", "a\n") && contains("b\n    a\n", "a\n"));
}

#[test]
fn versions_of_resource_servers_are_the_tried_ones() {
    let text = page(PAGE).text;
    let examples = examples().concat();
    let row = |name: &str| text.lines().find(|line| line.contains(&format!("| [{name}]"))).unwrap();
    for (name, before, after) in [
        ("Spring Boot", "<artifactId>spring-boot-starter-parent</artifactId>\n    <version>", "<"),
        ("Quarkus", "<quarkus.version>", "<"),
        ("FastAPI", "fastapi==", "\n"),
        ("Express", "\"express\": \"", "\""),
    ] {
        let version = examples.split(before).nth(1).unwrap().split(after).next().unwrap();
        assert!(row(name).contains(&format!("| {version}")), "{name} was tried with {version}");
    }
}
