//! What can be wrong with settings, said so that the person who wrote them can put it right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::keys;

/// Why the settings could not be loaded. No message holds the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The settings file is not TOML. The offending line is not quoted, since it may hold a secret.
    #[error("{place} is not valid TOML at line {line}: {message}")]
    Syntax {
        /// The file.
        place: String,
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        message: String,
    },
    /// Settings that are unknown, or that make no sense: everything found in one load.
    #[error("{}", Listed(.0))]
    Invalid(Vec<Problem>),
    /// The layers could not be merged.
    #[error("cannot merge the layers of settings")]
    Merge(#[from] config::ConfigError),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name that is not a setting.
    #[error("unknown {what} {name}{place}; {}", Suggested(.name, .nearest))]
    Unknown {
        /// "setting" or "environment variable".
        what: &'static str,
        /// The name, as the user wrote it.
        name: String,
        /// Where it was written, with a leading space; empty if the name says it.
        place: String,
        /// Up to three valid names, the nearest first.
        nearest: Vec<String>,
    },
    /// A value of the wrong type, or out of range.
    #[error("{key}{}{place}: expected {expected}", Shown(.value.as_deref()))]
    Value {
        /// The setting.
        key: String,
        /// Its value as written; none if it is a secret.
        value: Option<String>,
        /// What would have been right.
        expected: String,
        /// Where it was set, with a leading space.
        place: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Combination(String),
    /// A file that should hold a secret, and does not.
    #[error("{key}: cannot take the secret from {}: {reason}", path.display())]
    SecretFile {
        /// The `*_file` setting.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable that is not UTF-8.
    #[error("the environment variable {0} is not valid UTF-8")]
    NotUnicode(String),
    /// One setting, given twice in the environment by names that differ in case.
    #[error("the environment variables {0} and {1} are the same setting")]
    Twice(String, String),
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [only] => write!(f, "{only}"),
            all => {
                write!(f, "{} settings are wrong:", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

struct Suggested<'a>(&'a str, &'a [String]);

impl fmt::Display for Suggested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            [] => write!(f, "{}", keys::instead(self.0)),
            [only] => write!(f, "did you mean {only}?"),
            [others @ .., last] => write!(f, "did you mean {} or {last}?", others.join(", ")),
        }
    }
}

struct Shown<'a>(Option<&'a str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |value| write!(f, " = {value}"))
    }
}
