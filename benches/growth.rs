//! Introspection on a store with millions of live sessions, compared with a small store.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};
use secrecy::ExposeSecret;
use sentinel::domain::{
    Clock, Lifetimes, NewSession, Scope, Session, SessionUser, SystemClock, Timestamp,
};
use sentinel::store::sqlite::SqliteStore;

use crate::Plan;
use crate::lookups::{Introspect, compare};
use crate::report::{Row, Target};
use crate::server::{Server, Store};

/// Maximum number of sessions whose tokens are introspected.
const MAX_TOKENS: usize = 200_000;
const LONG: Duration = Duration::from_secs(86_400);

pub fn measure(plan: Plan) -> Result<Row> {
    let (small, large) = (Store::new()?, Store::new()?);
    let few = fill(&small, 1000)?;
    let many = fill(&large, plan.sessions)?;
    let servers = (Server::sentinel(large.folder.path())?, Server::sentinel(small.folder.path())?);
    let (ours, baseline) = compare(
        plan,
        (&servers.0, || Introspect::of(&large, &many)),
        (&servers.1, || Introspect::of(&small, &few)),
    )?;
    let what = format!("introspection at {} live sessions vs. at 1,000", plan.sessions);
    Ok(Row::speed(&what, Target::AtLeast(0.9), &ours, &baseline))
}

/// Adds `count` live sessions to the store, and returns access tokens of up to [`MAX_TOKENS`] of
/// them.
///
/// The store writes one session. The others are copies of its row with other ids and digests,
/// inserted
/// in the order of the ids and without indexes, which takes a minute instead of hours.
pub fn fill(store: &Store, count: usize) -> Result<Vec<String>> {
    let path = store.folder.path().join("data/sentinel.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (template, tokens) = runtime.block_on(template(&path, &store.app))?;
    let mut rows: Vec<RowCopy> = Vec::with_capacity(count);
    let mut kept = vec![tokens];
    let now = SystemClock.now();
    let every = count.div_ceil(MAX_TOKENS);
    for number in 1..count {
        let (session, token) = start(template.user.clone(), &store.app, now)?;
        rows.push(RowCopy::of(&session)?);
        if number % every == 0 {
            kept.push(token);
        }
    }
    rows.sort_unstable_by_key(|row| row.id);
    copy(&path, &template, &rows)?;
    Ok(kept)
}

/// Values that differ in each row.
struct RowCopy {
    id: [u8; 12],
    access: [u8; 32],
    refresh: [u8; 32],
    seal: [u8; 16],
}

impl RowCopy {
    fn of(session: &Session) -> Result<Self> {
        let refresh = session.refresh.as_ref().context("no refresh token")?;
        Ok(Self {
            id: *session.id.as_bytes(),
            access: *session.access_tokens.first().context("no access token")?.digest.as_bytes(),
            refresh: *refresh.current.as_bytes(),
            seal: refresh.mac_key,
        })
    }

    /// Returns the primary key: the first eight bytes of the id as a number of the same order.
    fn key(&self) -> Result<i64> {
        let first = self.id.first_chunk().context("no id")?;
        Ok((u64::from_be_bytes(*first) ^ (1 << 63)).cast_signed())
    }
}

async fn template(path: &Path, client: &str) -> Result<(Session, String)> {
    let stores = SqliteStore::open(path)?.into_stores();
    let user = stores.users.find_by_name("ada").await?.context("no user")?;
    let user = SessionUser { id: user.id, username: user.username, generation: user.generation };
    let (session, token) = start(Some(user), client, SystemClock.now())?;
    ensure!(stores.sessions.insert(&session).await?, "the store rejected the session");
    Ok((session, token))
}

fn start(user: Option<SessionUser>, client: &str, now: Timestamp) -> Result<(Session, String)> {
    let lifetimes =
        Lifetimes { access_token: LONG, refresh_idle: LONG, session: LONG, refresh_grace: LONG };
    let scope: Scope = "read write".parse()?;
    let client_id = client.parse()?;
    let new = NewSession { user, client_id, client_generation: 0, scope, refreshable: true };
    let (session, tokens) = Session::start(new, &lifetimes, now)?;
    Ok((session, tokens.access.to_secret().expose_secret().to_owned()))
}

fn copy(path: &Path, template: &Session, rows: &[RowCopy]) -> Result<()> {
    let mut connection = Connection::open(path)?;
    // The data need not survive a crash.
    connection.pragma_update(None, "synchronous", "OFF")?;
    // The threads of the store may still be closing the file.
    let begin = Instant::now();
    while let Err(error) = connection.pragma_update(None, "journal_mode", "MEMORY") {
        ensure!(begin.elapsed() < Duration::from_secs(10), error);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let original = RowCopy::of(template)?;
    let tokens: Vec<u8> = connection.query_row(
        "SELECT tokens FROM sessions WHERE key = ?1",
        [original.key()?],
        |row| row.get(0),
    )?;
    let find = |part: &[u8]| {
        tokens.windows(part.len()).position(|window| window == part).context("not in the row")
    };
    let places = (find(&original.access)?, find(&original.refresh)?, find(&original.seal)?);
    let indexes: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info('sessions')")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let values: Vec<_> = columns
        .iter()
        .map(|name| match name.as_str() {
            "key" => "?4",
            "id" => "?1",
            "tokens" => "?2",
            other => other,
        })
        .collect();
    let insert = format!(
        "INSERT INTO sessions ({}) SELECT {} FROM sessions WHERE key = ?3",
        columns.join(", "),
        values.join(", ")
    );
    let transaction = connection.transaction()?;
    for (name, _) in &indexes {
        transaction.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    {
        let mut insert = transaction.prepare(&insert)?;
        for row in rows {
            let mut tokens = tokens.clone();
            put(&mut tokens, places.0, &row.access)?;
            put(&mut tokens, places.1, &row.refresh)?;
            put(&mut tokens, places.2, &row.seal)?;
            insert.execute(params![row.id, tokens, original.key()?, row.key()?])?;
        }
    }
    for (_, sql) in &indexes {
        transaction.execute_batch(sql)?;
    }
    transaction.commit()?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) -> Result<()> {
    bytes.get_mut(at..at + part.len()).context("beyond the end")?.copy_from_slice(part);
    Ok(())
}
