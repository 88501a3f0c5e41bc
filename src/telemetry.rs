//! The log: pretty on a terminal, JSON lines otherwise, on standard error.
//!
//! What may be logged: ids of users, clients and sessions, user names of users that exist, error
//! codes. What may not: tokens, passwords, secrets, bodies, names that nobody has. An error is logged
//! once, where it is answered. Audit events have the target `audit`. A line that is written while a call
//! is answered has the id of the call, and its trace, if it has one.

use std::fmt::Write as _;
use std::io::IsTerminal;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::observe::request::with_current;
use crate::settings::{Log, LogFormat};

/// It says of each request that is not HTTP that there was an error. Anybody could fill the log so, and
/// nobody has to look: it has been answered 400 or 431. Whoever names it in `log.level` sees it.
const HTTP1: &str = "actix_http::h1::dispatcher";

/// Starts logging for the process.
///
/// # Errors
/// When the level cannot be understood, or logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let mut filter: EnvFilter = log.level.parse()?;
    if !log.level.contains(HTTP1) {
        filter = filter.add_directive(format!("{HTTP1}=off").parse()?);
    }
    let terminal = std::io::stderr().is_terminal();
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let subscriber = fmt::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let format = fmt::format().with_ansi(terminal);
    if pretty {
        let format = WithIds { format, json: false };
        subscriber.with_ansi(terminal).event_format(format).finish().try_init()?;
    } else {
        let format = format.json().flatten_event(true).with_current_span(false);
        let format = WithIds { format, json: true };
        let subscriber = subscriber.fmt_fields(JsonFields::new()).event_format(format);
        subscriber.finish().try_init()?;
    }
    Ok(())
}

/// Lines with the ids of the call at their end. They are no fields of a span: a span costs more than
/// answering an introspection may, and is made even if nothing is logged in it.
struct WithIds<F> {
    format: F,
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
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
        let ids = with_current(|call| (call.id().clone(), call.trace()));
        let Some((id, trace)) = ids else {
            return self.format.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let end = if self.json { "}\n" } else { "\n" };
        line.truncate(line.strip_suffix(end).map_or(line.len(), str::len));
        // Ids have nothing in them that JSON escapes.
        let (id, trace) = (id.as_str(), trace.map(|trace| trace.trace_id));
        if self.json {
            write!(line, ",\"request_id\":\"{id}\"")?;
            trace.map_or(Ok(()), |trace| write!(line, ",\"trace_id\":\"{trace}\""))?;
        } else {
            write!(line, " request_id={id}")?;
            trace.map_or(Ok(()), |trace| write!(line, " trace_id={trace}"))?;
        }
        line.push_str(end);
        writer.write_str(&line)
    }
}
