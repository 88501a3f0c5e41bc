use std::io::Write;
use std::sync::Mutex;

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that `work` logs, as JSON.
fn logged(repeats: &Repeats, work: impl FnOnce()) -> Vec<serde_json::Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = fmt::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log.with(repeats.clone()), work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refuse(address: &str, client: Option<&str>) {
    tracing::warn!(
        name: ANY_CALLER, target: TARGET, event = "client_authentication", outcome = "failed",
        client, address, "at {:?}", Instant::now(),
    );
}

#[test]
fn equal_events_are_logged_once_and_then_counted() {
    let repeats = Repeats::default();
    let lines = logged(&repeats, || {
        for _ in 0..5 {
            refuse("192.0.2.1", None);
            refuse("192.0.2.2", Some("app"));
        }
        refuse("192.0.2.3", None);
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
    let mut counts = logged(&repeats, || repeats.report_all());
    counts.sort_by_key(|line| line["address"].to_string());
    assert_eq!(counts.len(), 2, "{counts:?}");
    for (line, address, client) in
        [(&counts[0], "192.0.2.1", None), (&counts[1], "192.0.2.2", Some("app"))]
    {
        assert_eq!((&line["event"], &line["outcome"]), (&lines[0]["event"], &lines[0]["outcome"]));
        assert_eq!((&line["target"], line["address"].as_str()), (&TARGET.into(), Some(address)));
        assert_eq!((line["client"].as_str(), &line["repeated"]), (client, &4.into()));
    }
    assert_eq!(logged(&repeats, || refuse("192.0.2.1", None)).len(), 1);
}

#[test]
fn other_events_are_always_logged() {
    let repeats = Repeats::default();
    let lines = logged(&repeats, || {
        for _ in 0..5 {
            tracing::warn!(target: TARGET, event = "replay", "the session is ended");
        }
    });
    assert_eq!(lines.len(), 5);
    assert!(logged(&repeats, || repeats.report_all()).is_empty());
}

#[test]
fn number_of_a_line_that_is_no_audit_event_names_the_line() {
    let repeats = Repeats::default();
    logged(&repeats, || {
        for number in 0..3 {
            tracing::error!(name: ANY_CALLER, why = "disk", "answered 503: disk, {number}");
        }
    });
    let counts = logged(&repeats, || repeats.report_all());
    assert_eq!(counts.len(), 1);
    let line = &counts[0];
    assert_eq!((&line["line"], &line["why"]), (&"answered 503: disk, 0".into(), &"disk".into()));
    assert_eq!(line["repeated"], 2);
}

#[test]
fn window_ends_after_five_minutes() {
    let repeats = Repeats::default();
    logged(&repeats, || (0..2).for_each(|_| refuse("192.0.2.1", None)));
    assert!(logged(&repeats, || repeats.report_due()).is_empty());
    for entry in repeats.entries().values_mut() {
        entry.since = entry.since.checked_sub(WINDOW).unwrap();
    }
    assert_eq!(logged(&repeats, || repeats.report_due()).len(), 1);
    assert!(repeats.entries().is_empty());
}

#[test]
fn addresses_of_one_ipv6_network_count_as_one() {
    let repeats = Repeats::default();
    let lines = logged(&repeats, || {
        for host in 1..100 {
            refuse(&format!("2001:db8:0:1::{host:x}"), None);
        }
        refuse("2001:db8:0:2::1", None);
    });
    assert_eq!(lines.len(), 2);
    let counts = logged(&repeats, || repeats.report_all());
    assert_eq!(
        (&counts[0]["address"], &counts[0]["repeated"]),
        (&"2001:db8:0:1::/64".into(), &98.into())
    );
}

#[test]
fn many_addresses_log_a_bounded_number_of_lines() {
    let repeats = Repeats::default();
    let lines = logged(&repeats, || {
        for host in 0..10_000_u32 {
            refuse(&std::net::Ipv4Addr::from(host).to_string(), None);
        }
    });
    assert_eq!(lines.len(), MAX_ENTRIES + 1);
    let counts = logged(&repeats, || repeats.report_all());
    assert_eq!(counts.len(), 1);
    let repeated = 10_000 - MAX_ENTRIES - 1;
    assert_eq!((counts[0].get("address"), &counts[0]["repeated"]), (None, &repeated.into()));
}
