//! Command lines of `sentinel`: those in the documents are valid, and all valid ones are
//! documented.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::examples::commands;
use super::pages::{all_blocks, page, pages, root};
use crate::helpers::sentinel;

/// Splits a command line into words as a shell does, without expansions, up to the first operator,
/// redirection or comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '&' | ';' | '>' | '<' | ')' | '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // `2> file`
    if line.contains("2>") && words.last().is_some_and(|word| word == "2") {
        words.pop();
    }
    words
}

/// Returns the error of clap for these arguments, if any. `--help` is appended, so that no command
/// runs, and that missing arguments are no error: a document may show a part of a command.
fn refused(arguments: &[String]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sentinel(folder.path());
    let output = command.args(arguments).arg("--help").stdin(Stdio::null()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    // A placeholder such as `SECONDS` in `--timeout SECONDS` is no error.
    let placeholder = message.split("invalid value '").nth(1).is_some_and(|rest| {
        let value = rest.split('\'').next().unwrap();
        !value.is_empty() && value.chars().all(|c| c.is_ascii_uppercase() || c == '=')
    });
    (!output.status.success() && !placeholder).then_some(message)
}

/// Turns a command in document notation into arguments for clap: keeps `[--dry-run]`, drops `…`,
/// and returns `None` if there is a placeholder such as `COMMAND`.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    let words = words.iter().map(|word| word.trim_matches(['[', ']']).to_owned());
    let words: Vec<_> = words.filter(|word| !word.is_empty() && !word.starts_with('…')).collect();
    (!words.iter().any(|word| word == "COMMAND" || word == "ARGS" || word.contains('|')))
        .then_some(words)
}

/// Returns the rest of a shell line after each call of the program.
fn called(line: &str) -> Vec<&str> {
    let starts = line.match_indices("sentinel ").filter(|(at, _)| {
        let before = &line[..*at];
        // In `exec -T sentinel sentinel user` the first `sentinel` is a service.
        let begins = before.is_empty() || before.ends_with([' ', '(', '/', '\'']);
        begins && !line[at + "sentinel ".len()..].trim_start().starts_with("sentinel ")
    });
    starts.map(|(at, word)| &line[at + word.len()..]).collect()
}

/// Whether the words are arguments of the program, and not of Docker, systemd or others.
fn is_a_command(words: &[String]) -> bool {
    let first = words.first().map(String::as_str).unwrap_or_default();
    first.starts_with("--") || families().contains(first)
}

/// Returns the top-level commands.
fn families() -> BTreeSet<String> {
    subcommands(&[]).into_iter().chain(["help".to_owned()]).collect()
}

/// Returns the subcommands of a command, from its help.
fn subcommands(of: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = sentinel(folder.path()).args(of).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, rest)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = rest.lines().take_while(|line| !line.trim().is_empty());
    // Wrapped lines of a description are indented farther.
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Returns every complete command, such as `user add`.
fn all_commands() -> Vec<Vec<String>> {
    let mut leaves = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let below = subcommands(&command);
        if below.is_empty() {
            leaves.push(command);
        } else {
            open.extend(below.into_iter().map(|name| [command.clone(), vec![name]].concat()));
        }
    }
    leaves
}

#[test]
fn commands_in_blocks_are_accepted_by_the_cli() {
    let mut checked = 0;
    for block in all_blocks() {
        if !["sh", "bash", "console"].contains(&&*block.language) {
            continue;
        }
        let text = commands(&block).replace("\\\n", " ");
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for words in called(line).into_iter().map(words).filter(|words| is_a_command(words)) {
                // A deliberate mistake, shown with its error message.
                if words.iter().any(|word| word.contains("acces_token_ttl")) {
                    continue;
                }
                assert_eq!(refused(&words), None, "{}: {line}", block.place);
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "only {checked} were found");
}

#[test]
fn commands_in_prose_are_accepted_by_the_cli() {
    let mut checked = 0;
    for page in pages().iter().filter(|page| page.path != "CHANGELOG.md") {
        for span in page.spans() {
            for words in called(&span).into_iter().map(words).filter(|words| is_a_command(words)) {
                let Some(arguments) = arguments(&words) else { continue };
                assert_eq!(refused(&arguments), None, "{}: `{span}`", page.path);
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} were found");
}

/// Returns the table rows of a page: the code spans of the first cell, and those of the others.
fn rows(path: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let page = page(path);
    let spans = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split_once(" | "));
    cells.map(|(first, rest)| (spans(first), spans(rest))).collect()
}

#[test]
fn cli_page_lists_exactly_the_commands_of_the_cli() {
    let families = families();
    let mut documented = BTreeSet::new();
    for (names, others) in rows("docs/cli.md") {
        for name in names {
            let command = words(&name);
            if !command.first().is_some_and(|first| families.contains(first)) {
                continue;
            }
            assert_eq!(refused(&command), None, "docs/cli.md: `{name}`");
            // The options in the row have to be options of the command.
            for option in others.iter().filter(|span| span.starts_with("--")) {
                let whole = [command.clone(), words(option)].concat();
                assert_eq!(refused(&whole), None, "docs/cli.md: `{name}` with `{option}`");
            }
            documented.insert(command);
        }
    }
    for command in all_commands() {
        let found = documented.iter().any(|known| known.starts_with(&command));
        assert!(found, "docs/cli.md says nothing of `{}`", command.join(" "));
    }
}

/// Returns the long options in the help of a command.
fn options(of: &[String]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = sentinel(folder.path()).args(of).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words =
        lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    words
        .map(|word| word.trim_end_matches(',').split(['=', '[']).next().unwrap().to_owned())
        .collect()
}

#[test]
fn cli_page_lists_every_option_of_the_cli() {
    let text = page("docs/cli.md").text;
    let mut checked = 0;
    for command in all_commands() {
        for option in options(&command).iter().filter(|option| *option != "--help") {
            // Not the beginning of a longer option.
            let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-');
            let mut places = text.match_indices(option.as_str());
            let named = places.any(|(at, name)| ends(&text[at + name.len()..]));
            assert!(named, "docs/cli.md says nothing of {option} of `{}`", command.join(" "));
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} were found");
}

#[test]
fn cli_page_lists_exactly_the_exit_codes_of_the_cli() {
    let source = std::fs::read_to_string(root().join("src/cli/failure.rs")).unwrap();
    let codes = source.match_indices("code: ").filter_map(|(at, word)| {
        let digits: String =
            source[at + word.len()..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u8>().ok()
    });
    let ours: BTreeSet<u8> = codes.chain([0]).collect();
    let page = page("docs/cli.md");
    let section = page.text.split("## Exit codes").nth(1).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let theirs: BTreeSet<u8> = rows.filter_map(|code| code.parse().ok()).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn invalid_commands_are_detected() {
    let split =
        |line: &str| words(line).iter().map(|word| word.as_str().into()).collect::<Vec<String>>();
    assert_eq!(split("user add alice --x 'a b' | grep"), ["user", "add", "alice", "--x", "a b"]);
    assert_eq!(split("healthcheck 2> /dev/null"), ["healthcheck"]);
    for wrong in ["user add --no-such-option", "user invent", "sing", "store copy a b"] {
        assert!(refused(&words(wrong)).is_some(), "{wrong}");
    }
    assert_eq!(refused(&words("user add alice --password-stdin")), None);
    assert_eq!(called("docker compose exec sentinel sentinel user list"), ["user list"]);
    assert!(all_commands().contains(&vec!["client".to_owned(), "rotate-secret".to_owned()]));
    assert!(options(&["user".into(), "add".into()]).contains("--password-stdin"));
}
