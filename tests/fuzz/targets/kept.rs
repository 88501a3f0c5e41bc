//! Contents of the store of the world: a user, two clients, and a session.

use sentinel::domain::{
    AccessToken, Client, ClientKind, Digest, Grant, RefreshChain, Scope, Session, SessionUser,
    StoredSecret, Token, User, UserId,
};
use sentinel::password::Hasher;
use sentinel::store::Stores;

use super::world::{CONFIDENTIAL, LIFETIMES, NOW, PASSWORD, PUBLIC, SCOPES, SECRET, USER};
use super::{password_hashes, tokens};

const SEAL: [u8; 16] = *b"a key for a seal";

/// Returns the tokens of the session, which are constant, so that seeds can contain them.
pub fn issued() -> (Token, Token) {
    let made = |kind| {
        let mut bytes = [7; 49];
        bytes[0] = kind;
        Token::parse(&tokens::written(&bytes)).unwrap()
    };
    let mut refresh = made(1);
    refresh.verifier = refresh.verifier.with_mac(&SEAL);
    (made(0), refresh)
}

fn scopes() -> Scope {
    SCOPES.join(" ").parse().unwrap()
}

fn user_id() -> UserId {
    UserId::from_bytes(*b"0123456789ab")
}

pub fn session(access: &Token, refresh: &Token) -> Session {
    let user = SessionUser { id: user_id(), username: USER.to_owned(), generation: 0 };
    let ends_at = NOW.plus(LIFETIMES.session);
    Session {
        id: access.session_id(),
        version: 0,
        user: Some(user),
        client_id: PUBLIC.parse().unwrap(),
        client_generation: 0,
        scope: scopes(),
        created_at: NOW,
        ends_at,
        access_tokens: vec![AccessToken {
            digest: access.verifier.digest(),
            scope: None,
            issued_at: NOW,
            expires_at: NOW.plus(LIFETIMES.access_token),
        }],
        refresh: Some(RefreshChain {
            mac_key: SEAL,
            current: refresh.verifier.digest(),
            issued_at: NOW,
            idle_ends_at: NOW.plus(LIFETIMES.refresh_idle),
            used: None,
        }),
    }
}

pub async fn fill(stores: &Stores, session: &Session) {
    let password = Hasher::new(password_hashes::POLICY).unwrap().hash(&PASSWORD.into()).unwrap();
    let user = User {
        id: user_id(),
        username: USER.to_owned(),
        password,
        scopes: None,
        enabled: true,
        generation: 0,
        version: 0,
        created_at: NOW,
        updated_at: NOW,
    };
    stores.transfer.put_user_unchecked(&user).await.unwrap();
    let public = Client {
        id: PUBLIC.parse().unwrap(),
        name: PUBLIC.to_owned(),
        kind: ClientKind::Public,
        grants: [Grant::Password, Grant::RefreshToken].into(),
        scopes: scopes(),
        default_scopes: scopes(),
        access_token_ttl: None,
        refresh_idle_ttl: None,
        session_ttl: None,
        introspection: false,
        introspect_refresh_tokens: false,
        enabled: true,
        generation: 0,
        version: 0,
        created_at: NOW,
        updated_at: NOW,
    };
    let confidential = Client {
        id: CONFIDENTIAL.parse().unwrap(),
        kind: ClientKind::Confidential(StoredSecret::Digest(Digest::of(SECRET.as_bytes()))),
        grants: Grant::ALL.into(),
        introspection: true,
        introspect_refresh_tokens: true,
        ..public.clone()
    };
    stores.transfer.put_client_unchecked(&public).await.unwrap();
    stores.transfer.put_client_unchecked(&confidential).await.unwrap();
    stores.transfer.put_session_unchecked(session).await.unwrap();
}
