//! Links point to existing files and to headings in them.

use std::collections::BTreeSet;
use std::path::Path;

use super::pages::{Page, pages, root};

/// Returns the link targets of a page, without those on other servers.
fn links(page: &Page) -> Vec<String> {
    let prose = page.prose().join("\n");
    let targets = prose.match_indices("](").map(|(at, _)| {
        let rest = &prose[at + 2..];
        rest[..rest.find(')').unwrap_or(rest.len())].to_owned()
    });
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// Returns the anchors of the headings of a page, as GitHub makes them: lower case, without
/// punctuation, hyphens for spaces, and a number after a repeated name.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in page.prose().iter().filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let another = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(another).find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

#[test]
fn links_point_to_existing_files_and_headings() {
    let pages = pages();
    let mut checked = 0;
    for page in &pages {
        for link in links(page) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = root().join(Path::new(&page.path).parent().unwrap());
            let target = if file.is_empty() { root().join(&page.path) } else { folder.join(file) };
            let target = target.canonicalize();
            let target =
                target.unwrap_or_else(|_| panic!("{} links to {link}: no such file", page.path));
            if !anchor.is_empty() {
                let path = target.strip_prefix(root().canonicalize().unwrap()).unwrap();
                let other = pages.iter().find(|other| Path::new(&other.path) == path).unwrap();
                assert!(
                    anchors(other).contains(anchor),
                    "{} links to {link}: no such heading",
                    page.path
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} links were found");
}

#[test]
fn every_page_is_reachable_from_the_readme() {
    let pages = pages();
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    loop {
        let before = reached.len();
        for page in pages.iter().filter(|page| reached.contains(&page.path)).collect::<Vec<_>>() {
            let folder = root().join(Path::new(&page.path).parent().unwrap());
            for link in links(page) {
                let file = link.split('#').next().unwrap();
                let Ok(target) = folder.join(file).canonicalize() else { continue };
                let path = target.strip_prefix(root().canonicalize().unwrap()).unwrap();
                let path = path.to_str().unwrap().to_owned();
                let below =
                    pages.iter().filter(|page| target.is_dir() && page.path.starts_with(&path));
                let below: Vec<_> = below.map(|page| page.path.clone()).collect();
                reached.extend(below);
                reached.insert(path);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    let lost: Vec<_> =
        pages.iter().map(|page| &page.path).filter(|path| !reached.contains(*path)).collect();
    assert_eq!(lost, Vec::<&String>::new());
}

#[test]
fn heading_anchors_match_those_of_github() {
    let text =
        "# The HTTP interface\n## `GET /healthz` and `GET /readyz`\n## X-Request-Id\n## A\n## A\n";
    let page = Page { path: String::new(), text: text.into() };
    let wanted = ["a", "a-1", "get-healthz-and-get-readyz", "the-http-interface", "x-request-id"];
    assert_eq!(anchors(&page).into_iter().collect::<Vec<_>>(), wanted);
}
