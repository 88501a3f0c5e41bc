//! Conversion of `tokens` documents of flask-sentinel to sessions.
//!
//! A document contains `access_token`, `refresh_token`, `expires`, the user, the client and the
//! scopes. It is read into [`Tokens`]; together with its user and client, those become a
//! [`NewSession`], which is written to the store.

use mongodb::bson::{Bson, Document};
use secrecy::{ExposeSecret, SecretString};

use super::documents::{Reason, scope};
use super::{Import, ImportError, id_of};
use crate::domain::{
    AccessToken, Client, ClientId, Grant, Lifetimes, RefreshChain, Scope, Session, SessionId,
    SessionUser, Timestamp, Token, TokenKind, UserId, legacy_seal,
};
use crate::store::imports;

/// A token issued by flask-sentinel.
struct Old {
    text: SecretString,
    token: Token,
}

/// Contents of a document, before its user and client are looked up.
struct Tokens {
    /// Access token and its expiry.
    access: Option<(Old, Timestamp)>,
    refresh: Option<Old>,
    user: UserId,
    client: ClientId,
    scope: Scope,
    /// Description of the part of the document that is not imported.
    remark: Option<Reason>,
}

/// A session to be written, and the access token for which an alias is written.
struct NewSession {
    session: Session,
    access: Option<(Old, Timestamp)>,
    remark: Option<Reason>,
}

impl Tokens {
    /// Returns the ids of all sessions that this document may have become.
    fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let access = self.access.iter().map(|(access, _)| access);
        self.refresh.iter().chain(access).map(|old| old.token.session_id())
    }

    /// Converts to a session. Returns `None` if no usable token is left.
    fn into_session(
        self,
        user: SessionUser,
        client: &Client,
        server: &Lifetimes,
        now: Timestamp,
    ) -> Option<NewSession> {
        let lifetimes = client.lifetimes(server);
        let ends_at = now.plus(lifetimes.session);
        let refresh = self.refresh.filter(|_| client.grants.contains(&Grant::RefreshToken));
        let access = self.access.map(|(access, expires_at)| (access, expires_at.min(ends_at)));
        // A refresh token identifies its session by its selector; the access token has an alias.
        let named_by = refresh.as_ref().or(access.as_ref().map(|(access, _)| access))?;
        let live = access.iter().map(|(access, expires_at)| AccessToken {
            digest: access.token.verifier.digest(),
            scope: None,
            issued_at: now,
            expires_at: *expires_at,
        });
        let chain = refresh.as_ref().map(|refresh| RefreshChain {
            key: legacy_seal(refresh.text.expose_secret()),
            current: refresh.token.verifier.digest(),
            issued_at: now,
            idle_ends_at: now.plus(lifetimes.refresh_idle).min(ends_at),
            used: None,
        });
        let session = Session {
            id: named_by.token.session_id(),
            version: 0,
            user: Some(user),
            client_id: client.id.clone(),
            client_generation: client.generation,
            scope: self.scope,
            created_at: now,
            ends_at,
            access: live.collect(),
            refresh: chain,
        };
        Some(NewSession { session, access, remark: self.remark })
    }
}

impl Import {
    pub(super) async fn session(&mut self, record: &Document) -> Result<(), ImportError> {
        self.report.tokens.read += 1;
        let id = id_of(record);
        let key = format!("tokens/{id}");
        if self.is_imported(&key).await? {
            // Remembers the sessions of this document, so that another document with the same token
            // is still skipped.
            let tokens = read(record, self.now).ok().flatten();
            self.sessions.extend(tokens.iter().flat_map(Tokens::sessions));
            self.report.tokens.already += 1;
            return Ok(());
        }
        let tokens = match read(record, self.now) {
            Ok(Some(tokens)) => tokens,
            Ok(None) => {
                self.report.tokens.expired += 1;
                return Ok(());
            }
            Err(reason) => {
                self.report.tokens.skip(&id, reason);
                return Ok(());
            }
        };
        let new = match self.session_of(tokens).await? {
            Ok(Some(new)) => new,
            Ok(None) => {
                self.report.tokens.expired += 1;
                return Ok(());
            }
            Err(reason) => {
                self.report.tokens.skip(&id, reason);
                return Ok(());
            }
        };
        if !self.sessions.insert(new.session.id) {
            self.report.tokens.skip(&id, "another document has the same token");
            return Ok(());
        }
        if !self.write(&new).await? {
            self.report.tokens.skip(&id, "its user or its client is disabled");
            return Ok(());
        }
        self.note(&key).await?;
        if let Some(remark) = new.remark {
            self.report.tokens.remark(&id, remark);
        }
        self.report.tokens.imported += 1;
        Ok(())
    }

    /// Looks up user and client and converts to a session. Returns `None` if no usable token is
    /// left, and the reason if user or client is missing.
    async fn session_of(
        &self,
        tokens: Tokens,
    ) -> Result<Result<Option<NewSession>, Reason>, ImportError> {
        let Some(user) = self.user_of(tokens.user).await? else {
            return Ok(Err("its user is not there".to_owned()));
        };
        let Some(client) = self.client_of(&tokens.client).await? else {
            return Ok(Err("its client is not there".to_owned()));
        };
        Ok(Ok(tokens.into_session(user, &client, &self.lifetimes, self.now)))
    }

    async fn user_of(&self, id: UserId) -> Result<Option<SessionUser>, ImportError> {
        if let Some(stores) = &self.stores
            && let Some(user) = stores.users.find(id).await?
        {
            let generation = user.generation;
            return Ok(Some(SessionUser { id, username: user.username, generation }));
        }
        // The user name is not needed, because a dry run writes no session.
        let trial = self.trial.as_ref().filter(|trial| trial.users.contains(&id));
        Ok(trial.map(|_| SessionUser { id, username: String::new(), generation: 0 }))
    }

    async fn client_of(&self, id: &ClientId) -> Result<Option<Client>, ImportError> {
        if let Some(stores) = &self.stores
            && let Some(client) = stores.clients.find(id).await?
        {
            return Ok(Some(client));
        }
        Ok(self.clients.get(id).filter(|_| self.trial.is_some()).cloned())
    }

    /// Writes the session. Returns `false` if its user or client may not have one; a dry run always
    /// returns `true`. The alias is written first: it has no effect until the session exists.
    async fn write(&self, new: &NewSession) -> Result<bool, ImportError> {
        let Some(stores) = self.target() else { return Ok(true) };
        let session = &new.session;
        if let Some((access, expires_at)) = &new.access {
            let digest = access.token.verifier.digest();
            stores.imports.add_legacy_token(&digest, session.id, *expires_at).await?;
        }
        // An interrupted run may have written the session without noting it.
        let is_there = stores.sessions.find(session.id).await?.is_some();
        if !is_there && !stores.sessions.insert(session).await? {
            return Ok(false);
        }
        imports::note_session(stores, session.id).await?;
        if let (Some(publisher), Some((access, expires_at))) = (&stores.publisher, &new.access) {
            let (digest, left) = (access.token.verifier.digest(), expires_at.remaining(self.now));
            publisher.publish(session, &access.text, &digest, left).await?;
        }
        Ok(true)
    }
}

/// Reads a document. Returns `None` if all its tokens have expired, or it has none.
fn read(record: &Document, now: Timestamp) -> Result<Option<Tokens>, Reason> {
    let user = record.get_object_id("user_id").map_err(|_| "its user_id is no ObjectId")?;
    let client = record.get_str("client_id").map_err(|_| "it has no client_id")?;
    let client = client
        .parse()
        .map_err(|_| "its client_id is not 1 to 255 printable ASCII characters".to_owned())?;
    let refresh = old(record, "refresh_token", TokenKind::Refresh)?;
    let mut remark = None;
    let access = match (old(record, "access_token", TokenKind::Access)?, record.get("expires")) {
        (Some(access), Some(Bson::DateTime(at))) => {
            let expires_at = Timestamp::from_millis(at.timestamp_millis());
            (now < expires_at).then_some((access, expires_at))
        }
        (Some(_), _) => {
            remark = Some("its access token has no date of expiry and is left out".to_owned());
            None
        }
        (None, _) => None,
    };
    let scope = scope(record.get("scopes")).map_err(|reason| format!("its scopes: {reason}"))?;
    if access.is_none() && refresh.is_none() {
        return remark.map_or(Ok(None), Err);
    }
    let user = UserId::from_bytes(user.bytes());
    Ok(Some(Tokens { access, refresh, user, client, scope, remark }))
}

/// Reads a token; `None` if the field is absent or null.
fn old(record: &Document, field: &str, kind: TokenKind) -> Result<Option<Old>, Reason> {
    let text = match record.get(field) {
        None | Some(Bson::Null) => return Ok(None),
        Some(Bson::String(text)) => Some(text),
        Some(_) => None,
    };
    let old = text.and_then(|text| {
        let token = Token::parse_legacy(text, kind)?;
        Some(Old { text: SecretString::from(text.as_str()), token })
    });
    old.map(Some).ok_or_else(|| format!("its {field} is not 30 letters and digits"))
}
