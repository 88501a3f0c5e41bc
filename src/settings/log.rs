//! `[log]`: how much is logged, and how.

use tracing_subscriber::EnvFilter;

use super::choice::Choice;
use super::reader::Reader;

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A level, or directives such as `info,sentinel::store=debug`.
    pub level: String,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("pretty", Self::Pretty), ("json", Self::Json)];
}

impl Log {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let expected = "error, warn, info, debug, trace or off, or directives such as \
                        \"info,sentinel::store=debug\"";
        Self {
            format: reader.choice("log.format"),
            level: without_space(&reader.text("log.level", expected, is_filter)),
        }
    }
}

/// Between directives it is no mistake, and yet the log would take none.
fn without_space(text: &str) -> String {
    text.split(',').map(str::trim).collect::<Vec<_>>().join(",")
}

/// A word that is no level would be taken for the name of a module, and silence everything else.
fn is_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let is_directive = |part: &str| match part.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(part),
    };
    let text = without_space(text);
    // What it makes of spans and their fields, the log alone knows.
    text.split(',').all(is_directive) && text.parse::<EnvFilter>().is_ok()
}
