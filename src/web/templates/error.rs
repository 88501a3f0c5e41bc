//! What is wrong with a template, and where.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use tera::ErrorKind;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateError {
    /// The file; of a built-in template, its name.
    pub file: String,
    /// The line, from 1, where there is one to name.
    pub line: Option<usize>,
    /// The column, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// All that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateErrors(pub Vec<TemplateError>);

impl TemplateError {
    /// What the engine says, which may be several things in one text. A file of the operator's own is
    /// named by its path below `dir`.
    pub(super) fn all(error: &tera::Error, dir: Option<&Path>) -> Vec<Self> {
        let ErrorKind::Msg(text) = error.kind() else { return vec![Self::of(error, dir)] };
        let reports = text.split("error: ").filter_map(|report| Self::of_report(report, dir));
        let reports: Vec<_> = reports.collect();
        if reports.is_empty() { vec![Self::of(error, dir)] } else { reports }
    }

    /// A message, and in the next line `--> file:line:column`.
    fn of_report(report: &str, dir: Option<&Path>) -> Option<Self> {
        let (message, rest) = report.split_once('\n')?;
        let place = rest.lines().next()?.trim_start().strip_prefix("--> ")?;
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next()?.parse().ok();
        let line = parts.next()?.parse().ok();
        Some(Self { file: path(parts.next()?, dir), line, column, message: message.to_owned() })
    }

    /// What the engine says.
    pub(super) fn of(error: &tera::Error, dir: Option<&Path>) -> Self {
        let (name, place, message) = match error.kind() {
            ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
                let span = report.span();
                let place = Some((span.start_line, span.start_col + 1));
                (report.filename(), place, report.message().to_owned())
            }
            ErrorKind::MissingParent { current, parent } => {
                (current.as_str(), None, format!("there is no template {parent:?} to extend"))
            }
            ErrorKind::CircularExtend { tpl, .. } => {
                (tpl.as_str(), None, "it extends itself, by way of others or not".to_owned())
            }
            ErrorKind::CircularInclude { tpl, .. } => {
                (tpl.as_str(), None, "it includes itself, by way of others or not".to_owned())
            }
            _ => ("", None, error.to_string()),
        };
        Self {
            file: path(name, dir),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message,
        }
    }

    pub(super) fn of_file(file: &Path, message: impl fmt::Display) -> Self {
        let file = file.display().to_string();
        Self { file, line: None, column: None, message: message.to_string() }
    }
}

fn path(name: &str, dir: Option<&Path>) -> String {
    match dir.map(|dir| dir.join(name)).filter(|path| path.is_file()) {
        Some(path) => path.display().to_string(),
        None => name.to_owned(),
    }
}

/// As compilers say it, which editors understand.
impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if self.file.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

impl fmt::Display for TemplateErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&errors.join("\n"))
    }
}

impl std::error::Error for TemplateErrors {}
