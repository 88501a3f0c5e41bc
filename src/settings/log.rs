//! `[log]`: format and level of the log.

use tracing_subscriber::EnvFilter;

use super::keyword::Keyword;
use super::reader::Reader;

/// Settings of the log: format and level.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Format of the log lines.
    pub format: LogFormat,
    /// Level of the log, or filter directives such as `info,sentinel::store=debug`.
    pub level: String,
}

/// Format of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty lines if standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Log lines that are readable for people.
    Pretty,
    /// One JSON object for each log line.
    Json,
}

impl Keyword for LogFormat {
    const KEYWORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("pretty", Self::Pretty), ("json", Self::Json)];
}

impl LogSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let expected = "error, warn, info, debug, trace or off, or directives such as \
                        \"info,sentinel::store=debug\"";
        Self {
            format: reader.keyword("log.format"),
            level: without_space(&reader.text("log.level", expected, is_filter)),
        }
    }
}

/// Removes the spaces between log filter directives, which `EnvFilter` does not accept.
fn without_space(text: &str) -> String {
    text.split(',').map(str::trim).collect::<Vec<_>>().join(",")
}

/// Returns whether `text` is a valid log filter. Rejects a word that is not a level, because
/// `EnvFilter` would take the word for the name of a module and silence all others.
fn is_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let is_directive = |part: &str| match part.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(part),
    };
    let text = without_space(text);
    // `EnvFilter` alone can validate directives for spans and fields.
    text.split(',').all(is_directive) && text.parse::<EnvFilter>().is_ok()
}
