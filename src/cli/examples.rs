//! Examples in the help and the manual page, one for each command.

/// Example of each command, by the names of the command.
const EXAMPLES: &[(&str, &str)] = &[
    ("serve", "sentinel serve --config /etc/sentinel/sentinel.toml"),
    ("user add", "sentinel user add alice --scope read --scope write"),
    ("user list", "sentinel user list --limit 50 --after alice"),
    ("user show", "sentinel user show alice --json"),
    ("user edit", "sentinel user edit alice --rename alice.smith --any-scope"),
    ("user passwd", "sentinel user passwd alice"),
    ("user disable", "sentinel user disable alice"),
    ("user enable", "sentinel user enable alice"),
    ("user delete", "sentinel user delete alice --yes"),
    ("user import", "sentinel user import users.csv --dry-run"),
    ("user export", "sentinel user export users.jsonl"),
    ("client add", "sentinel client add --name API --confidential --introspection"),
    ("client list", "sentinel client list --json"),
    ("client show", "sentinel client show 0vh5yafSsKvAUhU9Dfkb29K6yWAqJvapNkv9vIWV"),
    (
        "client edit",
        "sentinel client edit 0vh5yafSsKvAUhU9Dfkb29K6yWAqJvapNkv9vIWV --access-token-ttl 15m",
    ),
    (
        "client rotate-secret",
        "sentinel client rotate-secret 0vh5yafSsKvAUhU9Dfkb29K6yWAqJvapNkv9vIWV",
    ),
    ("client disable", "sentinel client disable 0vh5yafSsKvAUhU9Dfkb29K6yWAqJvapNkv9vIWV"),
    ("client enable", "sentinel client enable 0vh5yafSsKvAUhU9Dfkb29K6yWAqJvapNkv9vIWV"),
    ("client delete", "sentinel client delete 0vh5yafSsKvAUhU9Dfkb29K6yWAqJvapNkv9vIWV --yes"),
    ("client import", "sentinel client import clients.jsonl --dry-run"),
    ("client export", "sentinel client export clients.jsonl"),
    ("session list", "sentinel session list --user alice"),
    ("session end", "sentinel session end --user alice"),
    (
        "import flask-sentinel",
        "sentinel import flask-sentinel --from mongodb://localhost/oauth --dry-run",
    ),
    ("store copy", "sentinel store copy --to new.toml --dry-run"),
    ("store backup", "sentinel store backup /var/backups/sentinel.db"),
    ("store restore", "sentinel store restore /var/backups/sentinel.db"),
    ("throttle list", "sentinel throttle list"),
    ("throttle clear", "sentinel throttle clear --address 192.0.2.1"),
    ("config check", "sentinel config check --config /etc/sentinel/sentinel.toml"),
    ("config show", "sentinel config show --origin"),
    ("config default", "sentinel config default > sentinel.toml"),
    ("templates check", "sentinel templates check --set templates.dir=templates"),
    ("healthcheck", "sentinel healthcheck --timeout 5"),
    ("completions", "sentinel completions bash > /etc/bash_completion.d/sentinel"),
    ("man", "sentinel man > sentinel.1"),
];

/// Adds the examples to the help of `command` and its subcommands, below the names in `path`.
pub(super) fn with_examples(command: clap::Command, path: &str) -> clap::Command {
    let example = EXAMPLES.iter().find(|(of, _)| *of == path).map(|(_, example)| example);
    let command = match example {
        Some(example) => command.after_help(format!("Example:\n  {example}")),
        None => command,
    };
    command.mut_subcommands(|subcommand| {
        let below = format!("{path} {}", subcommand.get_name());
        with_examples(subcommand, below.trim_start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// Returns the names of all commands without subcommands.
    fn leaves(command: &clap::Command, path: &str) -> Vec<String> {
        let below = |subcommand: &clap::Command| {
            leaves(subcommand, format!("{path} {}", subcommand.get_name()).trim_start())
        };
        if command.has_subcommands() {
            return command.get_subcommands().flat_map(below).collect();
        }
        vec![path.to_owned()]
    }

    /// Returns the help of each command, as `--help` prints it.
    fn help_of(command: &str) -> String {
        let words = ["sentinel"].into_iter().chain(command.split(' ')).chain(["--help"]);
        cli::parse(words.map(std::ffi::OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn options_of_every_command_stand_in_the_same_order() {
        for command in leaves(&cli::command(), "") {
            let help = help_of(&command);
            let (_, common) = help.split_once(super::super::HEADING).unwrap();
            let at = ["--config", "--set", "--json", "--log"].map(|option| common.find(option));
            assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{help}");
        }
    }

    #[test]
    fn every_command_has_an_example_that_it_accepts() {
        let named: Vec<_> = EXAMPLES.iter().map(|(of, _)| (*of).to_owned()).collect();
        let mut commands = leaves(&cli::command(), "");
        commands.sort();
        let mut sorted = named.clone();
        sorted.sort();
        assert_eq!(commands, sorted);
        for (of, example) in EXAMPLES {
            let line = example.split(" > ").next().unwrap();
            assert!(line.starts_with(&format!("sentinel {of}")), "{example}");
            let words = line.split_whitespace().map(std::ffi::OsString::from);
            cli::parse(words).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}
