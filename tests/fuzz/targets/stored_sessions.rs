//! Corrupt sessions in the form that stores keep: a row of SQLite, a document of MongoDB, an entry
//! of the cache in Redis. Each is read or refused, and all operations work on a session that was
//! read.

use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use mongodb::bson::RawDocument;
use rusqlite::{Connection, params};
use sentinel::domain::Session;
use sentinel::store::{StoreError, mongo, redis};

use super::world::{Call, NOW, PUBLIC, World, with_world};

/// The first byte selects the form.
pub fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind {
        b'm' => document(rest),
        b'r' => entry(rest),
        _ => row(rest),
    }
}

fn document(bytes: &[u8]) {
    let Ok(raw) = RawDocument::from_bytes(bytes) else { return };
    match mongo::read_session(raw) {
        Ok(Some(session)) => look(&session),
        Ok(None) | Err(StoreError::Corrupt { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

fn entry(bytes: &[u8]) {
    with_world(|world| {
        if let Some(session) = redis::read_cached(world.session_id(), bytes) {
            look(&session);
        }
    });
}

fn look(session: &Session) {
    for digest in session.access_tokens.iter().map(|token| token.digest) {
        let _ = session.live_access(&digest, NOW);
    }
    let _ = (session.expires_at(), session.without_expired(NOW));
}

/// Takes four numbers and the packed column of a row.
fn row(bytes: &[u8]) {
    let Some((numbers, packed)) = bytes.split_first_chunk::<32>() else { return };
    let mut numbers = numbers.chunks(8).map(|n| i64::from_le_bytes(n.try_into().unwrap()));
    let [version, generation, created, ends] = [(); 4].map(|()| numbers.next().unwrap());
    with_world(|world| {
        let sql = "UPDATE sessions SET version = ?1, user_generation = ?2, created_at = ?3,
                   ends_at = ?4, tokens = ?5";
        let connection = Connection::open(world.file()).unwrap();
        let rows = connection.execute(sql, params![version, generation, created, ends, packed]);
        assert_eq!(rows.unwrap(), 1);
        match world.block_on(world.stores.sessions.find(world.session_id())) {
            Ok(session) => run_operations(world, &session.unwrap()),
            Err(StoreError::Corrupt { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        world.restore(None);
    });
}

fn run_operations(world: &World, session: &Session) {
    look(session);
    world.block_on(async {
        world.stores.transfer.put_session_unchecked(session).await.unwrap();
        let again = world.stores.sessions.find(session.id).await.unwrap();
        assert_eq!(again.as_ref(), Some(session));
    });
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    for (path, body) in [
        ("/oauth/introspect", format!("token={}", world.access)),
        ("/oauth/revoke", format!("client_id={PUBLIC}&token={}", world.access)),
        (
            "/oauth/token",
            format!("grant_type=refresh_token&client_id={PUBLIC}&refresh_token={}", world.refresh),
        ),
    ] {
        let headers: Vec<(HeaderName, HeaderValue)> = vec![(CONTENT_TYPE, form.clone())];
        let target = Uri::from_static(path);
        let call =
            Call { method: Method::POST, target, peer: None, headers, body: body.into_bytes() };
        let _ = world.send(&call);
    }
}
