//! The log, on standard error: human-readable on a terminal, JSON lines otherwise.
//!
//! A line that cannot be written at once is queued or dropped ([`output`]), so that the log never
//! decides whether a request is answered. Lines that any caller can cause are limited
//! ([`repeats`]).
//!
//! Log lines may contain ids of users, clients and sessions, names of existing users, and error
//! codes. They must not contain tokens, passwords, secrets, request bodies or unknown user names.
//! An error is logged once, where the request is answered. Audit events have the target `audit` and
//! name the actor. A line written while a request is handled has the request id and, if the request
//! is traced, the trace id.

mod output;
mod repeats;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use prometheus::IntCounter;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::observe::actor::Actor;
use crate::observe::request::with_current;
use crate::settings::{LogFormat, LogSettings};
use output::LogOutput;
use repeats::Repeats;

/// Log targets of libraries that report malformed input as errors and warnings: invalid requests,
/// broken TLS, frames out of order. Any client could fill the log with such lines, and they need no
/// action. Faults of the server itself are logged under other targets.
const CLIENT_INPUT_TARGETS: [&str; 4] =
    ["actix_http::h1::decoder", "actix_http::h1::dispatcher", "h2", "rustls"];

/// Log target that reports each server start in several `info` lines; Sentinel logs one line
/// itself.
const VERBOSE_TARGET: &str = "actix_server";

/// Additional log filter for commands, applied after `log.level`. Commands write audit events,
/// since changes are audited wherever they are made; most other lines are for the server's log.
const COMMAND_FILTER: &str = "warn,audit=info";

/// As `COMMAND_FILTER`, for a command that prints no audit events.
const COMMAND_FILTER_WITHOUT_AUDIT: &str = "warn,audit=off";

/// The log of this process. When it is dropped, it writes the queued lines, as far as possible
/// within a time limit.
#[must_use = "the last lines are written when this value is dropped"]
pub struct Log {
    output: LogOutput,
    repeats: Option<Repeats>,
}

impl Log {
    /// Counts lines that are dropped, because standard error fails or is not read, in `counter`.
    pub fn count_dropped_lines(&self, counter: IntCounter) {
        self.output.count_in(counter);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.repeats.iter().for_each(Repeats::report_all);
        self.output.flush();
    }
}

/// Starts logging for a server.
///
/// # Errors
/// When `log.level` cannot be parsed, when the thread that writes the log cannot be started, or
/// when logging has been started before.
pub fn start(log: &LogSettings) -> anyhow::Result<Log> {
    start_for(log, None, true)
}

/// Starts logging for a command, with its audit events if `prints_audit`. Audit events without an
/// actor (operator) of their own name the command line as the actor.
///
/// # Errors
/// As [`start`].
pub fn start_for_command(log: &LogSettings, prints_audit: bool) -> anyhow::Result<Log> {
    start_for(log, Some(Actor::COMMAND_LINE), prints_audit)
}

/// Returns the log filter for `log.level`. Lines of the targets in `CLIENT_INPUT_TARGETS` are
/// dropped unless `level` names the target.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let mut filter: EnvFilter = level.parse()?;
    let directives = level.split(',').map(str::trim);
    let is_named = |target: &str| {
        let mut named = directives.clone().filter_map(|part| part.rsplit_once('='));
        named.any(|(name, _)| target.starts_with(name) || name.starts_with(target))
    };
    for target in CLIENT_INPUT_TARGETS.into_iter().filter(|target| !is_named(target)) {
        filter = filter.add_directive(format!("{target}=off").parse()?);
    }
    // Only for `info`: with `error` or `off`, the directive would let more lines through than
    // requested, and with `debug` or `trace` fewer.
    let general = directives.clone().rfind(|part| !part.contains('='));
    if general.is_some_and(|level| level.eq_ignore_ascii_case("info")) && !is_named(VERBOSE_TARGET)
    {
        filter = filter.add_directive(format!("{VERBOSE_TARGET}=warn").parse()?);
    }
    Ok(filter)
}

/// Starts logging. For a command, `actor` is the actor that audit events name by default, and
/// `COMMAND_FILTER` or `COMMAND_FILTER_WITHOUT_AUDIT` applies as a second filter. For a server,
/// repeated lines are limited.
fn start_for(log: &LogSettings, actor: Option<Actor>, prints_audit: bool) -> anyhow::Result<Log> {
    let more = if prints_audit { COMMAND_FILTER } else { COMMAND_FILTER_WITHOUT_AUDIT };
    let more: Option<EnvFilter> = actor.is_some().then(|| more.parse()).transpose()?;
    let repeats = actor.is_none().then(Repeats::default);
    let filter = filter(&log.level)?;
    let terminal = std::io::stderr().is_terminal();
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let output = LogOutput::start(repeats.clone())?;
    let subscriber = fmt::fmt().with_env_filter(filter).with_writer(output.clone());
    let format = fmt::format().with_ansi(terminal);
    if pretty {
        let format = WithContext { format, json: false, actor };
        let subscriber = subscriber.with_ansi(terminal).event_format(format).finish();
        subscriber.with(more).with(repeats.clone()).try_init()?;
    } else {
        let format = format.json().flatten_event(true).with_current_span(false);
        let format = WithContext { format, json: true, actor };
        let subscriber = subscriber.fmt_fields(JsonFields::new()).event_format(format).finish();
        subscriber.with(more).with(repeats.clone()).try_init()?;
    }
    // The default hook would wait until standard error is read.
    std::panic::set_hook(Box::new(log_panic));
    Ok(Log { output, repeats })
}

/// Logs a panic with its message and place.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let literal = payload.downcast_ref::<&str>().copied();
    let why = literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = panic.location().map(ToString::to_string);
    tracing::error!(why, place, "a thread panicked, which is a defect in Sentinel");
}

/// Event format that adds the request id and trace id to every line and the actor to audit events.
/// They are not fields of a span: a span costs more than an introspection can afford and is created
/// even if nothing is logged in it.
struct WithContext<F> {
    format: F,
    json: bool,
    /// Actor (operator) of changes for which no other actor is set; `None` for a server.
    actor: Option<Actor>,
}

impl<F> WithContext<F> {
    /// Returns the fields to add to the log line of the event: actor, request id and trace id.
    fn fields(&self, event: &Event<'_>) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        if event.metadata().target() == "audit"
            && let Some(actor) = Actor::current().or_else(|| self.actor.clone())
        {
            fields.push(("via", actor.via.as_str().to_owned()));
            fields.extend(actor.operator.map(|operator| ("operator", operator)));
            fields.extend(actor.address.map(|address| ("address", address)));
        }
        with_current(|request| {
            fields.push(("request_id", request.id().as_str().to_owned()));
            fields.extend(request.trace().map(|span| ("trace_id", span.trace_id().to_string())));
        });
        fields
    }

    /// Appends a field to the log line. In the human-readable format ids are written as they are,
    /// other values in quotation marks, since some of them are user input.
    fn write(&self, line: &mut String, name: &str, value: &str) -> std::fmt::Result {
        if self.json {
            let value = serde_json::Value::from(value);
            write!(line, ",\"{name}\":{value}")
        } else if name.ends_with("_id") {
            write!(line, " {name}={value}")
        } else {
            write!(line, " {name}={value:?}")
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let fields = self.fields(event);
        if fields.is_empty() {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let end = if self.json { "}\n" } else { "\n" };
        line.truncate(line.strip_suffix(end).map_or(line.len(), str::len));
        for (name, value) in fields {
            self.write(&mut line, name, &value)?;
        }
        line.push_str(end);
        writer.write_str(&line)
    }
}
