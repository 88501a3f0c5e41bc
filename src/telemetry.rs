//! The log: pretty on a terminal, JSON lines otherwise, on standard error.
//!
//! What may be logged: ids of users, clients and sessions, user names of users that exist, error
//! codes. What may not: tokens, passwords, secrets, bodies, names that nobody has. An error is logged
//! once, where it is answered. Audit events have the target `audit`, and say who changes something. A
//! line that is written while a call is answered has the id of the call, and its trace, if it has one.

use std::fmt::Write as _;
use std::io::IsTerminal;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::observe::actor::Actor;
use crate::observe::request::with_current;
use crate::settings::{Log, LogFormat};

/// What libraries log, as errors and warnings, of whatever strangers send: requests that are none, broken
/// TLS, frames out of order. Anybody could fill the log with it, and nobody has to look. What is wrong with
/// the server itself, they say under other targets, or we do.
const OF_STRANGERS: [&str; 4] =
    ["actix_http::h1::decoder", "actix_http::h1::dispatcher", "h2", "rustls"];

/// Who says at `info`, in several lines, what our own says in one: that a server starts, and where.
const TALKATIVE: &str = "actix_server";

/// Of what `log.level` lets through, that which a command logs: changes are audited wherever they are made;
/// most of the rest is for the server's log.
const OF_COMMANDS: &str = "warn,audit=info";

/// Starts logging for a server.
///
/// # Errors
/// When the level cannot be understood, or logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    start_for(log, None)
}

/// Starts logging for a command, which does whatever is done in this process.
///
/// # Errors
/// As [`start`].
pub fn start_for_command(log: &Log) -> anyhow::Result<()> {
    start_for(log, Some(Actor::COMMAND_LINE))
}

/// What `log.level` says. Strangers are heard only where it names who logs them.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let mut filter: EnvFilter = level.parse()?;
    let directives = level.split(',').map(str::trim);
    let is_named = |target: &str| {
        let mut named = directives.clone().filter_map(|part| part.rsplit_once('='));
        named.any(|(name, _)| target.starts_with(name) || name.starts_with(target))
    };
    for target in OF_STRANGERS.into_iter().filter(|target| !is_named(target)) {
        filter = filter.add_directive(format!("{target}=off").parse()?);
    }
    // Of any other level it would let more through, or less than is asked for.
    let general = directives.clone().rfind(|part| !part.contains('='));
    if general.is_some_and(|level| level.eq_ignore_ascii_case("info")) && !is_named(TALKATIVE) {
        filter = filter.add_directive(format!("{TALKATIVE}=warn").parse()?);
    }
    Ok(filter)
}

/// `actor`: who does everything, if it is a command. What it logs has to pass a second filter.
fn start_for(log: &Log, actor: Option<Actor>) -> anyhow::Result<()> {
    let more: Option<EnvFilter> = actor.is_some().then(|| OF_COMMANDS.parse()).transpose()?;
    let filter = filter(&log.level)?;
    let terminal = std::io::stderr().is_terminal();
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let subscriber = fmt::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let format = fmt::format().with_ansi(terminal);
    if pretty {
        let format = WithContext { format, json: false, actor };
        init(subscriber.with_ansi(terminal).event_format(format).finish(), more)
    } else {
        let format = format.json().flatten_event(true).with_current_span(false);
        let format = WithContext { format, json: true, actor };
        let subscriber = subscriber.fmt_fields(JsonFields::new()).event_format(format);
        init(subscriber.finish(), more)
    }
}

fn init<S>(subscriber: S, more: Option<EnvFilter>) -> anyhow::Result<()>
where
    S: Subscriber + Send + Sync,
{
    match more {
        Some(more) => subscriber.with(more).try_init()?,
        None => subscriber.try_init()?,
    }
    Ok(())
}

/// Lines with the ids of the call at their end, and audit events with who it was. They are no fields of a
/// span: a span costs more than answering an introspection may, and is made even if nothing is logged in it.
struct WithContext<F> {
    format: F,
    json: bool,
    /// Who does what nobody else does.
    actor: Option<Actor>,
}

impl<F> WithContext<F> {
    /// What is known beside the event itself.
    fn fields(&self, event: &Event<'_>) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        if event.metadata().target() == "audit"
            && let Some(actor) = Actor::current().or_else(|| self.actor.clone())
        {
            fields.push(("via", actor.via.as_str().to_owned()));
            fields.extend(actor.operator.map(|operator| ("operator", operator)));
            fields.extend(actor.address.map(|address| ("address", address)));
        }
        with_current(|call| {
            fields.push(("request_id", call.id().as_str().to_owned()));
            fields.extend(call.trace().map(|trace| ("trace_id", trace.trace_id.to_string())));
        });
        fields
    }

    /// Ids as they are; text that somebody chose in quotation marks.
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
