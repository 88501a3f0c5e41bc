//! Sessions, out of documents of tokens: `access_token`, `refresh_token`, `expires`, whose and for what.
//!
//! A document is read into [`Tokens`]; with its user and its client, those become a [`NewSession`], which is written.

use mongodb::bson::{Bson, Document};
use secrecy::{ExposeSecret, SecretString};

use super::documents::{Reason, scope};
use super::{Import, ImportError, id_of};
use crate::domain::{
    AccessToken, Client, ClientId, Grant, Lifetimes, RefreshChain, Scope, Session, SessionId,
    SessionUser, Timestamp, Token, TokenKind, UserId, legacy_seal,
};
use crate::store::imports;

/// A token of flask-sentinel.
struct Old {
    text: SecretString,
    token: Token,
}

/// What a document says, before its user and its client are looked for.
struct Tokens {
    /// And when it expires.
    access: Option<(Old, Timestamp)>,
    refresh: Option<Old>,
    user: UserId,
    client: ClientId,
    scope: Scope,
    /// What of it is left out.
    remark: Option<Reason>,
}

/// A session to be written, and its access token, which will be found by an alias.
struct NewSession {
    session: Session,
    access: Option<(Old, Timestamp)>,
    remark: Option<Reason>,
}

impl Tokens {
    /// The sessions that they may have become.
    fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let access = self.access.iter().map(|(access, _)| access);
        self.refresh.iter().chain(access).map(|old| old.token.session_id())
    }

    /// The session that they become; `None` when nothing of it is left to use.
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
        // A refresh token finds its session by its selector; an access token has the alias.
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
            // Another document with the same token is no more taken over than it was beside this one.
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

    /// The session that tokens become; `None` when nothing of it is left to use.
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
        // Nobody looks at the name in a session that is not written.
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

    /// `false` if its user or its client may have no session; in a dry run they may. The alias is written first: it leads
    /// nowhere until the session is there.
    async fn write(&self, new: &NewSession) -> Result<bool, ImportError> {
        let Some(stores) = self.target() else { return Ok(true) };
        let session = &new.session;
        if let Some((access, expires_at)) = &new.access {
            let digest = access.token.verifier.digest();
            stores.imports.add_alias(&digest, session.id, *expires_at).await?;
        }
        // Written by a run that was interrupted before it could note it.
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

/// What the document says; `None` when nothing of it is left to use.
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

/// A token, if there is one.
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
