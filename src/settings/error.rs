//! Errors in settings, worded so that the operator can correct them.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::keys;

/// Error of loading the settings. No message contains the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Unreadable {
        /// Path of the settings file.
        path: PathBuf,
        /// Error of the operating system when reading the settings file.
        source: io::Error,
    },
    /// The settings file is not valid TOML. The message does not quote the line, which may contain
    /// a secret.
    #[error("{place} is not valid TOML at line {line}: {message}")]
    Syntax {
        /// Name of the settings file.
        place: String,
        /// Number of the invalid line, starting at 1.
        line: usize,
        /// Message of the TOML parser.
        message: String,
    },
    /// One or more settings are unknown or invalid. Holds every problem found in one load.
    #[error("{}", ListedProblems(.0))]
    Invalid(Vec<SettingProblem>),
    /// The layers of settings (defaults, file, environment and flags) cannot be merged.
    #[error("cannot merge the layers of settings")]
    Merge(#[from] config::ConfigError),
}

/// Problem with one or more settings, found while loading them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingProblem {
    /// A setting or environment variable has an unknown name.
    #[error("unknown {what} {name}{place}; {}", Suggested(.name, .nearest))]
    Unknown {
        /// Kind of the unknown name: "setting" or "environment variable".
        what: &'static str,
        /// Unknown name as the user wrote it.
        name: String,
        /// Origin of the unknown name, such as a file, with a leading space. Empty if obvious from
        /// the name.
        place: String,
        /// Up to three valid names that resemble the unknown name, the most similar first.
        nearest: Vec<String>,
    },
    /// The value of a setting has the wrong type or is out of range.
    #[error("{key}{}{place}: expected {expected}", Shown(.value.as_deref()))]
    Value {
        /// Name of the setting that has the invalid value.
        key: String,
        /// Invalid value as written; `None` for a secret.
        value: Option<String>,
        /// Description of a valid value of the setting.
        expected: String,
        /// Origin of the invalid value, such as a file or variable, with a leading space.
        place: String,
    },
    /// The value of a setting contains a character that a reader does not see.
    #[error(
        "{key}{place} contains the invisible character U+{:04X}; remove it, or write the value anew",
        u32::from(*character)
    )]
    Invisible {
        /// Name of the setting whose value contains the character.
        key: String,
        /// The invisible character.
        character: char,
        /// Origin of the value, such as a file or variable, with a leading space.
        place: String,
    },
    /// Settings contradict each other, as the contained message explains.
    #[error("{0}")]
    Contradiction(String),
    /// A secret setting cannot be read from its file.
    #[error("{key}: cannot read the secret from {}: {reason}", path.display())]
    SecretFile {
        /// Name of the `*_file` setting that names the file.
        key: String,
        /// Path of the file that should contain the secret.
        path: PathBuf,
        /// Reason for which the secret cannot be read from the file.
        reason: String,
    },
    /// The value of the named environment variable is not valid UTF-8.
    #[error("the environment variable {0} is not valid UTF-8")]
    NotUnicode(String),
    /// Two environment variables set the same setting, with names that differ in case.
    #[error("the environment variables {0} and {1} set the same setting; remove one")]
    Twice(String, String),
}

struct ListedProblems<'a>(&'a [SettingProblem]);

impl fmt::Display for ListedProblems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [only] => write!(f, "{only}"),
            all => {
                write!(f, "{} settings are invalid:", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

struct Suggested<'a>(&'a str, &'a [String]);

impl fmt::Display for Suggested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            [] => write!(f, "{}", keys::hint_for(self.0)),
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
