//! Errors in templates, with file, line and column.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use tera::ErrorKind;

/// Error in an HTML template, with its position in the template's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateError {
    /// Path of the template's file; for a built-in template, only its name.
    pub file: String,
    /// Line of the error in the template's file, from 1; `None` if the error has no position.
    pub line: Option<usize>,
    /// Column of the error in the template's file, from 1; `None` if the error has no position.
    pub column: Option<usize>,
    /// Description of the error, without its position.
    pub message: String,
}

/// Errors that were found when the HTML templates were loaded and rendered with sample data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateErrors(pub Vec<TemplateError>);

impl TemplateError {
    /// Converts an error of the template engine to one [`TemplateError`] for each report in its
    /// text. Files of the operator are named by their paths, which begin with `dir`.
    pub(super) fn all(error: &tera::Error, dir: Option<&Path>) -> Vec<Self> {
        let ErrorKind::Msg(text) = error.kind() else { return vec![Self::of(error, dir)] };
        let reports = text.split("error: ").filter_map(|report| Self::from_report(report, dir));
        let reports: Vec<_> = reports.collect();
        if reports.is_empty() { vec![Self::of(error, dir)] } else { reports }
    }

    /// Parses one report in an error of the template engine: a message, and in the next line `-->
    /// file:line:column`. Returns `None` for any other text.
    fn from_report(report: &str, dir: Option<&Path>) -> Option<Self> {
        let (message, rest) = report.split_once('\n')?;
        let place = rest.lines().next()?.trim_start().strip_prefix("--> ")?;
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next()?.parse().ok();
        let line = parts.next()?.parse().ok();
        Some(Self { file: path(parts.next()?, dir), line, column, message: message.to_owned() })
    }

    /// Converts an error of the template engine to one [`TemplateError`], with a path below `dir`.
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
                (tpl.as_str(), None, "it extends itself, directly or indirectly".to_owned())
            }
            ErrorKind::CircularInclude { tpl, .. } => {
                (tpl.as_str(), None, "it includes itself, directly or indirectly".to_owned())
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

    pub(super) fn from_file(file: &Path, message: impl fmt::Display) -> Self {
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

/// Writes `file:line:column: message`, the format of compilers, which editors recognize.
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
