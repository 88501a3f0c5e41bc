//! The Markdown pages, with their blocks, prose and code spans.

use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page, identified by its path from the root of the repository.
pub struct Page {
    pub path: String,
    pub text: String,
}

/// A fenced block of a page.
pub struct Block {
    /// Page and line, such as `docs/http.md:41`.
    pub place: String,
    pub page: String,
    pub language: String,
    pub text: String,
    /// Reason given in a comment before the block, `<!-- not run: … -->`.
    pub reason: Option<String>,
}

/// Reads every page in the root and below `docs` and `examples`.
pub fn pages() -> Vec<Page> {
    let mut files = markdown(root(), false);
    files.extend(
        ["docs", "examples"].iter().flat_map(|folder| markdown(&root().join(folder), true)),
    );
    let page = |file: PathBuf| Page {
        path: file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&file).unwrap(),
    };
    let pages: Vec<_> = files.into_iter().map(page).collect();
    assert!(pages.len() > 20, "only {} pages were found", pages.len());
    pages
}

pub fn page(path: &str) -> Page {
    Page { path: path.to_owned(), text: fs::read_to_string(root().join(path)).unwrap() }
}

fn markdown(folder: &Path, below: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && below {
            found.extend(markdown(&path, true));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns all fenced blocks of all pages.
pub fn all_blocks() -> Vec<Block> {
    let blocks: Vec<_> = pages().iter().flat_map(Page::blocks).collect();
    assert!(blocks.len() > 30, "only {} blocks were found", blocks.len());
    blocks
}

impl Page {
    /// Returns the fenced blocks in order. A fence may be indented, in a list.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        let mut reason = None;
        for (number, line) in self.text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let fence = line.trim().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    let place = format!("{}:{}", self.path, number + 1);
                    let (page, language) = (self.path.clone(), language.trim().to_owned());
                    let text = String::new();
                    let reason = std::mem::take(&mut reason);
                    open = Some((indent, Block { place, page, language, text, reason }));
                }
                (Some((_, block)), Some("")) => {
                    assert!(!block.text.trim().is_empty(), "{} is empty", block.place);
                    blocks.extend(open.take().map(|(_, block)| block));
                }
                (Some((indent, block)), _) => {
                    block.text.push_str(line.get(*indent..).unwrap_or_default());
                    block.text.push('\n');
                }
                (None, None) if line.trim().is_empty() => {}
                (None, None) => {
                    let comment = line.trim().strip_prefix("<!-- not run: ");
                    reason = comment.and_then(|text| Some(text.strip_suffix("-->")?.trim().into()));
                }
            }
        }
        assert!(open.is_none(), "{} has a block without an end", self.path);
        blocks
    }

    /// Joins the blocks of a language.
    pub fn joined(&self, language: &str) -> String {
        let blocks = self.blocks();
        let of_it = blocks.iter().filter(|block| block.language == language);
        of_it.map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Returns the lines outside of fenced blocks.
    pub fn prose(&self) -> Vec<&str> {
        let mut inside = false;
        let outside = |line: &&str| {
            let fence = line.trim().starts_with("```");
            inside ^= fence;
            !inside && !fence
        };
        self.text.lines().filter(outside).collect()
    }

    /// Returns the code spans of the prose; a span may continue on the next line.
    pub fn spans(&self) -> Vec<String> {
        let prose = self.prose();
        let paragraphs = prose.split(|line| line.trim().is_empty());
        let spans = paragraphs.flat_map(|lines| {
            let text = lines.join(" ").replace("``", "");
            let parts = text.split('`').skip(1).step_by(2).map(str::to_owned);
            parts.collect::<Vec<_>>()
        });
        spans.filter(|span| !span.is_empty()).collect()
    }
}
