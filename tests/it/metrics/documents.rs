//! Compares `docs/metrics.md`, the dashboard and the alerts with the metrics that are served.

use std::collections::{BTreeMap, BTreeSet};

use super::{families, promtool, scrape};
use crate::helpers::AppBuilder;
use crate::helpers::redis::Redis;

const PAGE: &str = include_str!("../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../docs/observability/grafana.json");
const ALERTS: &str = include_str!("../../../docs/observability/alerts.yml");

/// Returns the table of the page in the form of [`families`].
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let labels = cells[2].replace('`', "");
        let labels = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned);
        (cells[0].to_owned(), (cells[1].to_owned(), labels.collect()))
    });
    rows.collect()
}

#[tokio::test]
async fn served_and_documented_metrics_are_equal() {
    let redis = Redis::start();
    let with_redis = AppBuilder::default().set("metrics.bind", "127.0.0.1:0").redis(&redis);
    let with_redis = with_redis.spawn().await;
    with_redis.login().await;
    let with_tls = AppBuilder::default().set("metrics.bind", "127.0.0.1:0");
    let with_tls = with_tls.set("tls.mode", "self-signed").spawn().await;
    // Metrics without a value are not served.
    let mut served = BTreeMap::new();
    for app in [&with_redis, &with_tls] {
        let text = scrape(app).await;
        served.append(&mut families(&text));
        assert_eq!(promtool(&["check", "metrics"], &text), "");
    }
    assert_eq!(served, documented());
}

/// Returns the names of metrics in a text, without the suffixes of histogram samples.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("sentinel_") || word.starts_with("process_"));
    let endings = ["_bucket", "_sum", "_count"];
    let plain = |word: &str| {
        let ending = endings.iter().find_map(|ending| word.strip_suffix(ending));
        ending.unwrap_or(word).to_owned()
    };
    words.map(plain).collect()
}

#[test]
fn dashboard_shows_every_metric_and_alerts_use_existing_ones() {
    let known: BTreeSet<_> = documented().into_keys().collect();
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 15 && queries.iter().all(|query| !named(query).is_empty()));
    for text in [queries.join("\n").as_str(), ALERTS] {
        let unknown: Vec<_> =
            named(text).into_iter().filter(|name| !known.contains(name)).collect();
        assert_eq!(unknown, Vec::<String>::new());
    }
    // The dashboard shows every metric, except for the general ones of a process.
    let shown = named(&queries.join("\n"));
    let unseen = known.iter().filter(|name| !shown.contains(*name));
    let unseen: Vec<_> = unseen.filter(|name| name.starts_with("sentinel_")).collect();
    assert_eq!(unseen, Vec::<&String>::new());
}

#[test]
fn dashboard_queries_are_valid_promql() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    let panels = dashboard["panels"].as_array().unwrap().iter();
    for (number, target) in
        panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten()).enumerate()
    {
        let query = target["expr"].as_str().unwrap();
        let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
        let query = serde_json::to_string(&query).unwrap();
        rules.push_str(&format!("      - record: query:number_{number}\n        expr: {query}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, &rules).unwrap();
    let message = promtool(&["check", "rules", file.to_str().unwrap()], "");
    let queries = rules.matches("- record: query:number_").count();
    assert!(queries > 0, "the dashboard has no query");
    assert!(message.contains(&format!(" {queries} rules found")), "{message}");
}

#[test]
fn documented_scrape_configuration_is_valid() {
    let block = PAGE.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, block).unwrap();
    let message = promtool(&["check", "config", file.to_str().unwrap()], "");
    assert!(message.contains("SUCCESS"), "{message}");
}

#[test]
fn alert_rules_are_valid_and_tested() {
    let message = promtool(&["check", "rules", "alerts.yml"], "");
    let alerts = ALERTS.matches("- alert: ").count();
    assert!(alerts > 0, "there is no alert");
    assert!(message.contains(&format!("{alerts} rules found")), "{message}");
    promtool(&["test", "rules", "alerts_test.yml"], "");
    let tests = include_str!("../../../docs/observability/alerts_test.yml");
    for alert in ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}")), "nothing tests {alert}");
    }
}
