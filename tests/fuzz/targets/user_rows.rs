//! Files of users, as `user import` reads them: CSV with a header, or JSON Lines.

use std::collections::HashSet;

use secrecy::ExposeSecret;
use sentinel::domain::{check_kept_username, check_password, check_username, username_key};
use sentinel::import::lines::LinesError;
use sentinel::import::users::{RowPassword, RowsError, UserRow, UserRows};
use sentinel::password::import_hash;
use serde_json::{Map, Value};

/// Reads the input as JSON Lines if it begins with a brace, and as CSV otherwise.
pub fn run(input: &[u8]) {
    let is_json = input.first() == Some(&b'{');
    let rows =
        if is_json { Ok(UserRows::from_json_lines(input)) } else { UserRows::from_csv(input) };
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(RowsError::Header | RowsError::Column(_)) => return,
        Err(other) => panic!("{other}"),
    };
    let (mut names, mut last) = (HashSet::new(), 0);
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            // Indented JSON is one error, at the first line.
            Err(RowsError::Lines(LinesError::Incomplete(_))) if is_json && last == 0 => return,
            Err(other) => panic!("{other}"),
        };
        let line = row.as_ref().map_or_else(|bad| bad.line, |row| row.line);
        assert!(line > last, "line {line} comes after {last}");
        last = line;
        match row {
            Ok(row) => {
                check_valid(&row);
                let key = if row.id.is_some() { row.username } else { username_key(&row.username) };
                assert!(names.insert(key.clone()) || row.id.is_some(), "{key} occurs twice");
            }
            Err(bad) => assert!(!bad.reason.is_empty()),
        }
    }
    if is_json {
        compare(input);
    }
}

fn check_valid(row: &UserRow) {
    if row.id.is_some() {
        check_kept_username(&row.username).unwrap();
    } else {
        assert_eq!(check_username(&row.username), Ok(&*row.username));
    }
    match &row.password {
        RowPassword::Plain(password) => check_password(password.expose_secret(), 0).unwrap(),
        RowPassword::Hash(hash) => assert!(import_hash(hash.encoded()).is_ok()),
    }
}

/// Compares JSON Lines with an independent parser: a line with only a name and a password, read
/// alone, is accepted if, and only if, both are valid.
fn compare(input: &[u8]) {
    let mut seen = HashSet::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(members) = serde_json::from_slice::<Map<String, Value>>(line) else { continue };
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let (Some(name), Some(password), 2) = (text("username"), text("password"), members.len())
        else {
            continue;
        };
        let is_good = check_username(name).is_ok() && check_password(password, 0).is_ok();
        let row = UserRows::from_json_lines(line).next().unwrap().unwrap();
        assert_eq!(row.is_ok(), is_good, "{name:?} {password:?}");
        if let Ok(row) = row
            && seen.insert(name.to_owned())
        {
            assert_eq!(row.username, name.trim_matches(' '));
            let RowPassword::Plain(read) = row.password else {
                panic!("expected a plain password")
            };
            assert_eq!(read.expose_secret(), password);
        }
    }
}
