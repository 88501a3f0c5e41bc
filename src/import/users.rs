//! Reader for files of users: CSV with a header, or JSON Lines. Errors do not quote the contents of
//! a row, which may include a password.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use csv::StringRecord;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::line_number_reader::LineNumberReader;
use super::lines::{InvalidRow, Lines, LinesError, MAX_LINE, RowName};
use crate::domain::{
    PasswordHash, Scope, UserId, check_kept_username, check_password, check_username, username_key,
};
use crate::password::import_hash;

const COLUMNS: [&str; 6] = ["id", "username", "password", "hash", "scopes", "enabled"];

/// Maximum number of bytes read for one CSV record, beyond those already buffered. An unclosed
/// quotation mark must not consume the rest of the file.
const MAX_RECORD: u64 = MAX_LINE as u64;

/// Content of a CSV cell `scopes` that permits no scope at all. An empty cell sets no limit.
pub const NO_SCOPE: &str = "\"\"";

/// Valid row of a file of users: a user to import.
#[derive(Debug)]
pub struct UserRow {
    /// Line number of the row in the file, counted from 1.
    pub line: u64,
    /// User id, by which resource servers know the user, if the row has one.
    pub id: Option<UserId>,
    /// User name, already validated.
    pub username: String,
    /// Password of the user, or its hash.
    pub password: RowPassword,
    /// Scopes that the user may be granted; `None` sets no limit beyond the client's.
    pub scopes: Option<Scope>,
    /// Whether the user may log in.
    pub enabled: bool,
    /// Whether an earlier row of the file has the same name in another spelling.
    pub repeats_name: bool,
}

/// A user's password, in one of the forms that a file of users may contain.
#[derive(Debug)]
pub enum RowPassword {
    /// Password of the user in plain text.
    Plain(SecretString),
    /// Hash of the user's password.
    Hash(PasswordHash),
}

/// Reason why the rest of a file of users cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The first line of a CSV file is not a readable header.
    #[error("the CSV header in the first line cannot be read")]
    Header,
    /// The header of a CSV file names an unknown column. Holds the number of the column, and not
    /// its name, which is a password or a hash if the file has no header.
    #[error(
        "column {0} of the CSV header in the first line is unknown; the columns are {columns}",
        columns = COLUMNS.join(", ")
    )]
    Column(usize),
    /// The CSV record that begins in this line is too long; a quotation mark may be unclosed.
    #[error(
        "the record that begins in line {0} is longer than 1 MiB; a quotation mark may be missing"
    )]
    TooLong(u64),
    /// The next line of the file cannot be read.
    #[error(transparent)]
    Lines(#[from] LinesError),
}

/// Reader of the rows of a CSV or JSON Lines file of users.
pub struct UserRows<R> {
    source: RowSource<R>,
    /// For each key of a user name, the names and line numbers of the rows read so far.
    seen: HashMap<String, Vec<(String, u64)>>,
}

/// The first line of a CSV file, which was read already, and the rest of the file.
type WholeFile<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Returns the character that separates the cells of a CSV file with this first line: a semicolon,
/// as spreadsheets write it where the comma is the decimal mark, or a comma.
fn delimiter(first: &[u8]) -> u8 {
    let header = first.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    if header.contains(&b';') && !header.contains(&b',') { b';' } else { b',' }
}

enum RowSource<R> {
    Csv { reader: Box<csv::Reader<LineNumberReader<WholeFile<R>>>>, header: StringRecord },
    Lines(Lines<R>),
}

impl<R: BufRead> UserRows<R> {
    /// Creates a reader of a CSV file of users, and reads the header.
    ///
    /// # Errors
    /// [`RowsError`] if the header cannot be read or names an unknown column.
    pub fn from_csv(mut reader: R) -> Result<Self, RowsError> {
        let mut first = Vec::new();
        reader.by_ref().take(MAX_RECORD).read_until(b'\n', &mut first).map_err(LinesError::Read)?;
        let delimiter = delimiter(&first);
        let reader = LineNumberReader::new(io::Cursor::new(first).chain(reader), MAX_RECORD);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(reader);
        let header = match reader.headers().cloned() {
            Ok(header) => header,
            Err(_) if reader.get_ref().is_at_limit() => return Err(RowsError::TooLong(1)),
            Err(_) => return Err(RowsError::Header),
        };
        if let Some(other) = header.iter().position(|name| !COLUMNS.contains(&name)) {
            return Err(RowsError::Column(other + 1));
        }
        Ok(Self {
            source: RowSource::Csv { reader: Box::new(reader), header },
            seen: HashMap::new(),
        })
    }

    /// Creates a reader of a JSON Lines file, with a user on each line.
    pub fn from_json_lines(reader: R) -> Self {
        Self { source: RowSource::Lines(Lines::new(reader)), seen: HashMap::new() }
    }

    /// Returns the next row of the file (a user to import), or the reason why the row cannot be
    /// imported; `None` at the end of the file.
    ///
    /// # Errors
    /// [`RowsError`] if the rest of the file cannot be read.
    // Not an `Iterator`, because reading must not continue after an error.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Result<UserRow, InvalidRow>>, RowsError> {
        let Some((line, fields)) = self.source.next()? else { return Ok(None) };
        let name = fields.as_ref().ok().and_then(|fields| fields.username.clone());
        let name = name.map(RowName::Username);
        let row = fields.and_then(|fields| fields.validate(line));
        let row = row.and_then(|row| {
            let repeats_name = self.check_unique(&row)?;
            Ok(UserRow { repeats_name, ..row })
        });
        Ok(Some(row.map_err(|reason| InvalidRow { line, name, reason })))
    }

    /// Checks that no earlier row has the user name. Users with ids existed before, and may have
    /// several spellings of a name. Returns whether an earlier row has another one.
    fn check_unique(&mut self, row: &UserRow) -> Result<bool, String> {
        let seen = self.seen.entry(username_key(&row.username)).or_default();
        if let Some((_, first)) = seen.iter().find(|(name, _)| *name == row.username) {
            return Err(format!("the same username is in line {first}"));
        }
        if row.id.is_none()
            && let Some((_, first)) = seen.first()
        {
            return Err(format!("the same username is in line {first}, in another spelling"));
        }
        seen.push((row.username.clone(), row.line));
        Ok(seen.len() > 1)
    }
}

/// Fields of a row of a file of users before validation.
#[derive(Default)]
struct RawUserRow {
    id: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
    hash: Option<String>,
    scopes: Option<String>,
    enabled: Option<bool>,
}

impl RawUserRow {
    fn validate(self, line: u64) -> Result<UserRow, String> {
        let username = self.username.ok_or("it has no username")?;
        // A user with an id existed before, possibly in Sentinel itself, and keeps a name that a
        // new user could not have.
        let username = if self.id.is_some() {
            check_kept_username(&username).map(|()| username)
        } else {
            check_username(&username).map(str::to_owned)
        };
        let username = username.map_err(|error| error.to_string())?;
        let id = self.id.map(|id| id.parse()).transpose();
        let password = match (self.password, self.hash) {
            (Some(password), None) => {
                // No minimum length; the import counts and reports short passwords.
                check_password(password.expose_secret(), 0).map_err(|error| error.to_string())?;
                RowPassword::Plain(password)
            }
            (None, Some(hash)) => {
                RowPassword::Hash(import_hash(&hash).map_err(|error| error.to_string())?)
            }
            (None, None) => return Err("it has neither password nor hash".to_owned()),
            (Some(_), Some(_)) => {
                return Err("it has both a password and a hash; only one is allowed".to_owned());
            }
        };
        let scopes = self.scopes.map(|text| text.parse()).transpose();
        Ok(UserRow {
            repeats_name: false,
            line,
            id: id.map_err(|_| "its id is not 24 hexadecimal digits")?,
            username,
            password,
            scopes: scopes.map_err(|_| "its scopes are invalid (RFC 6749 section 3.3)")?,
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

/// Line number of a row, and its fields or the reason why it is invalid; `None` after the last row.
type NextUserRow = Option<(u64, Result<RawUserRow, String>)>;

impl<R: BufRead> RowSource<R> {
    fn next(&mut self) -> Result<NextUserRow, RowsError> {
        match self {
            Self::Csv { reader, header } => next_record(reader, header),
            Self::Lines(lines) => {
                let next = lines.next_object()?;
                Ok(next.map(|(line, object)| (line, object.and_then(parse_object))))
            }
        }
    }
}

fn next_record<R: Read>(
    reader: &mut csv::Reader<LineNumberReader<R>>,
    header: &StringRecord,
) -> Result<NextUserRow, RowsError> {
    let mut record = StringRecord::new();
    let start = reader.position().clone();
    reader.get_mut().allow(MAX_RECORD);
    match reader.read_record(&mut record) {
        Ok(false) => Ok(None),
        Ok(true) => {
            let line = line_number(reader, record.position());
            Ok(Some((line, parse_record(header, &record))))
        }
        Err(error) => {
            let line = line_number(reader, error.position());
            let reason = match error.kind() {
                csv::ErrorKind::Utf8 { .. } => "it is not valid UTF-8",
                csv::ErrorKind::UnequalLengths { .. } => {
                    "its number of fields differs from that of the header"
                }
                _ if reader.get_ref().is_at_limit() => {
                    return Err(RowsError::TooLong(line_number(reader, Some(&start))));
                }
                _ => return Err(LinesError::Read(error.into()).into()),
            };
            Ok(Some((line, Err(reason.to_owned()))))
        }
    }
}

fn line_number<R: Read>(
    reader: &mut csv::Reader<LineNumberReader<R>>,
    at: Option<&csv::Position>,
) -> u64 {
    let at = at.map(csv::Position::byte);
    at.map_or(0, |at| reader.get_mut().line_at(at))
}

/// Returns the fields of a CSV record; an empty cell counts as absent.
fn parse_record(header: &StringRecord, record: &StringRecord) -> Result<RawUserRow, String> {
    let mut fields = RawUserRow::default();
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
                    _ => return Err("its enabled is neither true nor false".to_owned()),
                });
            }
        }
    }
    Ok(fields)
}

fn parse_object(object: Map<String, Value>) -> Result<RawUserRow, String> {
    let mut fields = RawUserRow::default();
    for (name, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
        match (&*name, value) {
            ("id", Value::String(text)) => fields.id = Some(text),
            ("username", Value::String(text)) => fields.username = Some(text),
            ("password", Value::String(text)) => fields.password = Some(text.into()),
            ("hash", Value::String(text)) => fields.hash = Some(text),
            // A credential of Keycloak.
            ("hash", Value::Object(object)) => {
                fields.hash = Some(Value::Object(object).to_string());
            }
            ("scopes", Value::String(text)) => fields.scopes = Some(text),
            ("scopes", Value::Array(scopes)) => {
                let scopes: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
                fields.scopes = Some(scopes.ok_or("its scopes are not strings")?.join(" "));
            }
            ("enabled", Value::Bool(enabled)) => fields.enabled = Some(enabled),
            (known, _) if COLUMNS.contains(&known) => {
                return Err(format!("its {known} has the wrong JSON type"));
            }
            // The name is not quoted: in a malformed file it may be a secret.
            _ => {
                return Err(format!(
                    "it has an unknown member; the members are {}",
                    COLUMNS.join(", ")
                ));
            }
        }
    }
    Ok(fields)
}
