//! Writer for the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

use super::histogram::Sum;

/// The text written so far.
#[derive(Debug, Default)]
pub(super) struct Text(String);

type Labels<'a> = &'a [(&'a str, &'a str)];

// Errors are ignored below, because writing to a `String` cannot fail.
impl Text {
    /// Writes the header of a metric family. The samples that follow belong to it.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Writes one sample. Label values are constants that need no escaping.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        self.labels(labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    /// Writes a histogram, in seconds.
    pub(super) fn histogram(&mut self, name: &str, labels: Labels<'_>, sum: &Sum) {
        let bucket = |text: &mut Self, bound: &str, count: u64| {
            let _ = write!(text.0, "{name}_bucket");
            text.labels(labels, Some(bound));
            let _ = writeln!(text.0, " {count}");
        };
        for (bound, count) in sum.cumulative() {
            bucket(self, &bound.to_string(), count);
        }
        bucket(self, "+Inf", sum.count());
        self.sample(&format!("{name}_sum"), labels, sum.seconds());
        self.sample(&format!("{name}_count"), labels, sum.count());
    }

    fn labels(&mut self, labels: Labels<'_>, bound: Option<&str>) {
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut before = '{';
        for (name, value) in all {
            let _ = write!(self.0, "{before}{name}=\"{value}\"");
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}
