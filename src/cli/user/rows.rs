//! Users in a file: CSV with a header, or JSON Lines. What is wrong with a row is said without what it holds,
//! which may be a password.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use csv::StringRecord;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::super::failure::Failure;
use super::super::files::Format;
use crate::domain::{
    PasswordHash, Scope, UserId, check_kept_username, check_password, check_username,
};
use crate::password::foreign_hash;

/// Longer than any row; a file that is something else must not fill the memory.
const MAX_LINE: usize = 1 << 20;

const COLUMNS: [&str; 6] = ["id", "username", "password", "hash", "scopes", "enabled"];

/// No scope at all, in a cell of CSV; an empty one puts no limit.
pub(super) const NO_SCOPE: &str = "\"\"";

/// A user to be taken over.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) id: Option<UserId>,
    pub(super) username: String,
    pub(super) password: Password,
    pub(super) scopes: Option<Scope>,
    pub(super) enabled: bool,
}

pub(super) enum Password {
    Plain(SecretString),
    Hash(PasswordHash),
}

/// A row that cannot be taken over.
#[derive(Debug, serde::Serialize)]
pub(super) struct Bad {
    pub(super) line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    pub(super) reason: String,
}

/// The rows of a file, one after the other.
pub(super) struct Rows<R> {
    source: Source<R>,
    /// In which line a name was seen.
    seen: HashMap<String, u64>,
}

enum Source<R> {
    Csv { reader: csv::Reader<R>, header: StringRecord },
    Lines { reader: R, line: u64 },
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(reader: R, format: Format) -> Result<Self, Failure> {
        let source = match format {
            Format::Jsonl => Source::Lines { reader, line: 0 },
            Format::Csv => {
                let mut reader = csv::Reader::from_reader(reader);
                let header = reader
                    .headers()
                    .map_err(|_| Failure::refused("the header of the file cannot be read"))?
                    .clone();
                if let Some(other) = header.iter().find(|name| !COLUMNS.contains(name)) {
                    return Err(Failure::refused(format!(
                        "the first line has to name the columns, and {other:?} is none of {}",
                        COLUMNS.join(", ")
                    )));
                }
                Source::Csv { reader, header }
            }
        };
        Ok(Self { source, seen: HashMap::new() })
    }

    /// `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, Bad>>, Failure> {
        let Some((line, fields)) = self.source.next()? else { return Ok(None) };
        let username = fields.as_ref().ok().and_then(|fields| fields.username.clone());
        let row = fields.and_then(|fields| fields.row(line)).and_then(|row| {
            match self.seen.insert(row.username.clone(), line) {
                Some(first) => Err(format!("the same user name is in line {first}")),
                None => Ok(row),
            }
        });
        Ok(Some(row.map_err(|reason| Bad { line, username, reason })))
    }
}

/// What a row says.
#[derive(Default)]
struct Fields {
    id: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
    hash: Option<String>,
    scopes: Option<String>,
    enabled: Option<bool>,
}

impl Fields {
    fn row(self, line: u64) -> Result<Row, String> {
        let username = self.username.ok_or("it has no username")?;
        // Who has an id has been somebody's user, and may have been exported here.
        let check = if self.id.is_some() { check_kept_username } else { check_username };
        check(&username).map_err(|error| error.to_string())?;
        let id = self.id.map(|id| id.parse()).transpose();
        let password = match (self.password, self.hash) {
            (Some(password), None) => {
                check_password(secrecy::ExposeSecret::expose_secret(&password), 0)
                    .map_err(|error| error.to_string())?;
                Password::Plain(password)
            }
            (None, Some(hash)) => {
                Password::Hash(foreign_hash(&hash).map_err(|error| error.to_string())?)
            }
            (None, None) => return Err("it has neither password nor hash".to_owned()),
            (Some(_), Some(_)) => {
                return Err("it has a password and a hash; one will do".to_owned());
            }
        };
        let scopes = self.scopes.map(|text| text.parse()).transpose();
        Ok(Row {
            line,
            id: id.map_err(|_| "its id is not 24 hexadecimal digits")?,
            username,
            password,
            scopes: scopes.map_err(|_| "its scopes are no scopes")?,
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

type Next = Option<(u64, Result<Fields, String>)>;

impl<R: BufRead> Source<R> {
    fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Csv { reader, header } => next_record(reader, header),
            Self::Lines { reader, line } => next_line(reader, line),
        }
    }
}

fn next_record<R: Read>(
    reader: &mut csv::Reader<R>,
    header: &StringRecord,
) -> Result<Next, Failure> {
    let mut record = StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(false) => Ok(None),
        Ok(true) => {
            let line = record.position().map_or(0, csv::Position::line);
            Ok(Some((line, of_record(header, &record))))
        }
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            let reason = match error.kind() {
                csv::ErrorKind::Utf8 { .. } => "it is not UTF-8",
                csv::ErrorKind::UnequalLengths { .. } => "it has not as many fields as the header",
                _ => return Err(Failure::io(format!("cannot read the file: {error}"))),
            };
            Ok(Some((line, Err(reason.to_owned()))))
        }
    }
}

/// An empty cell is none.
fn of_record(header: &StringRecord, record: &StringRecord) -> Result<Fields, String> {
    let mut fields = Fields::default();
    for (name, cell) in header.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        let cell = cell.to_owned();
        match name {
            "id" => fields.id = Some(cell),
            "username" => fields.username = Some(cell),
            "password" => fields.password = Some(cell.into()),
            "hash" => fields.hash = Some(cell),
            "scopes" if cell == NO_SCOPE => fields.scopes = Some(String::new()),
            "scopes" => fields.scopes = Some(cell),
            _ => {
                fields.enabled = Some(match cell.to_ascii_lowercase().as_str() {
                    "true" | "1" | "yes" => true,
                    "false" | "0" | "no" => false,
                    _ => return Err("enabled is neither true nor false".to_owned()),
                });
            }
        }
    }
    Ok(fields)
}

/// Lines without anything on them are passed over.
fn next_line<R: BufRead>(reader: &mut R, line: &mut u64) -> Result<Next, Failure> {
    loop {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
        if read.map_err(|error| Failure::io(format!("cannot read the file: {error}")))? == 0 {
            return Ok(None);
        }
        *line += 1;
        if bytes.len() >= MAX_LINE {
            return Err(Failure::refused(format!(
                "line {line} is longer than any user: is this JSON Lines?"
            )));
        }
        if !bytes.trim_ascii().is_empty() {
            return Ok(Some((*line, of_line(&bytes))));
        }
    }
}

fn of_line(bytes: &[u8]) -> Result<Fields, String> {
    let object: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|_| "it is no JSON object on a line of its own")?;
    let mut fields = Fields::default();
    for (name, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
        match (&*name, value) {
            ("id", Value::String(text)) => fields.id = Some(text),
            ("username", Value::String(text)) => fields.username = Some(text),
            ("password", Value::String(text)) => fields.password = Some(text.into()),
            ("hash", Value::String(text)) => fields.hash = Some(text),
            ("scopes", Value::String(text)) => fields.scopes = Some(text),
            ("scopes", Value::Array(scopes)) => {
                let scopes: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
                fields.scopes = Some(scopes.ok_or("its scopes are no texts")?.join(" "));
            }
            ("enabled", Value::Bool(enabled)) => fields.enabled = Some(enabled),
            (known, _) if COLUMNS.contains(&known) => {
                return Err(format!("its {known} is of another type than it has to be"));
            }
            (other, _) => return Err(format!("it has a member {other:?}, which no user has")),
        }
    }
    Ok(fields)
}
