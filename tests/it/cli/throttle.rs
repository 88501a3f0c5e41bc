//! `sentinel throttle` without a server. `rate_limit::clearing` runs it beside one.

use serde_json::json;

use super::Cli;

#[test]
fn throttle_list_without_spent_budgets_is_empty() {
    let cli = Cli::new();
    cli.add_client(&[]);
    assert_eq!(cli.json(&["throttle", "list"]), json!([]));
    assert!(cli.run(&["throttle", "list"]).ok().starts_with("WHAT  SUBJECT  GUESSED"));
}

#[test]
fn throttle_clear_takes_exactly_one_subject() {
    let cli = Cli::new();
    cli.add_client(&[]);
    for subject in [
        &["--all"][..],
        &["--user", "alice"],
        &["--client", "app"],
        &["--address", "192.0.2.1"],
        &["--address", "192.0.2.0/24"],
        &["--address", "2001:db8::/48"],
    ] {
        let arguments = [&["throttle", "clear"], subject].concat();
        assert_eq!(cli.json(&arguments), json!({ "cleared": true }), "{subject:?}");
    }
    for subject in [
        &[][..],
        &["--all", "--user", "alice"],
        &["--address", "192.0.2"],
        &["--address", "10.0.0.0/8"],
        &["--address", "2001:db8::/32"],
    ] {
        assert_eq!(cli.run(&[&["throttle", "clear"], subject].concat()).code, 64, "{subject:?}");
    }
}
