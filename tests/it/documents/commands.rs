//! Command lines of `sentinel`: those in the documents exist, and those that exist are in the documents.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::examples::commands;
use super::pages::{all_blocks, page, pages, root};
use crate::helpers::sentinel;

/// The words of a command line up to where the shell goes on to something else, as a shell would split
/// them, but for what it replaces.
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

/// What clap says against these arguments; with `--help` behind them nothing is done. What is left out of
/// them is not missed then: a document may show a part of a command.
fn refused(arguments: &[String]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sentinel(folder.path());
    let output = command.args(arguments).arg("--help").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // `--timeout SECONDS` stands for a number.
    let placeholder = said.split("invalid value '").nth(1).is_some_and(|rest| {
        rest.split('\'').next().unwrap().chars().all(|c| c.is_ascii_uppercase() || c == '=')
    });
    (!output.status.success() && !placeholder).then_some(said)
}

/// A command as a document writes it, for clap: `[--dry-run]` is there, `…` and `COMMAND` are not.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    let words = words.iter().map(|word| word.trim_matches(['[', ']']).to_owned());
    let words: Vec<_> = words.filter(|word| !word.is_empty() && !word.starts_with('…')).collect();
    (!words.iter().any(|word| word == "COMMAND" || word == "ARGS" || word.contains('|')))
        .then_some(words)
}

/// Where the program's arguments begin in a line of a shell, if it is called there.
fn called(line: &str) -> Vec<&str> {
    let starts = line.match_indices("sentinel ").filter(|(at, _)| {
        let before = &line[..*at];
        // `exec -T sentinel sentinel user`: the first of them is a service.
        let begins = before.is_empty() || before.ends_with([' ', '(', '/', '\'']);
        begins && !line[at + "sentinel ".len()..].trim_start().starts_with("sentinel ")
    });
    starts.map(|(at, word)| &line[at + word.len()..]).collect()
}

/// Those that are no arguments of the program: of Docker, systemd and others.
fn is_a_command(words: &[String]) -> bool {
    let first = words.first().map(String::as_str).unwrap_or_default();
    first.starts_with("--") || families().contains(first)
}

/// The words that may come first.
fn families() -> BTreeSet<String> {
    subcommands(&[]).into_iter().chain(["help".to_owned()]).collect()
}

/// The commands below a command, from its help.
fn subcommands(of: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = sentinel(folder.path()).args(of).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, rest)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = rest.lines().take_while(|line| !line.trim().is_empty());
    // What a description is wrapped into is indented farther.
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The whole command lines, such as `user add`.
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
fn the_commands_in_blocks_are_ones_that_the_program_takes() {
    let mut checked = 0;
    for block in all_blocks() {
        if !["sh", "bash", "console"].contains(&&*block.language) {
            continue;
        }
        let text = commands(&block).replace("\\\n", " ");
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for words in called(line).into_iter().map(words).filter(|words| is_a_command(words)) {
                // A mistake that is shown to be one.
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
fn the_commands_in_sentences_are_ones_that_the_program_takes() {
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

/// The rows of the tables of a page: the spans of the first cell, and those of the others.
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
fn every_command_is_on_the_page_and_the_page_has_no_others() {
    let families = families();
    let mut documented = BTreeSet::new();
    for (names, others) in rows("docs/cli.md") {
        for name in names {
            let command = words(&name);
            if !command.first().is_some_and(|first| families.contains(first)) {
                continue;
            }
            assert_eq!(refused(&command), None, "docs/cli.md: `{name}`");
            // The options that its row names are the command's.
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

/// The long options of a command's help.
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
fn every_option_is_on_the_page() {
    let text = page("docs/cli.md").text;
    let mut checked = 0;
    for command in all_commands() {
        for option in options(&command).iter().filter(|option| *option != "--help") {
            // And of no longer one that begins so.
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
fn the_exit_codes_on_the_page_are_those_of_the_program() {
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
fn what_is_no_command_is_noticed() {
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
