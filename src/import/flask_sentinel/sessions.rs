//! Sessions, out of documents of tokens: `access_token`, `refresh_token`, `expires`, whose and for what.

use mongodb::bson::{Bson, Document};
use secrecy::SecretString;

use super::documents::{Reason, scope};
use super::{ImportError, Run, id_of};
use crate::domain::{
    AccessToken, Client, ClientId, Digest, Grant, RefreshChain, Scope, Session, SessionId,
    SessionUser, Timestamp, Token, TokenKind, UserId, legacy_seal,
};
use crate::store::imports;

/// A session, and what its access token is to be known by.
struct Started {
    session: Session,
    access: Option<(SecretString, Digest, Timestamp)>,
    remark: Option<Reason>,
}

/// What a document says, before users and clients are looked at.
struct Tokens {
    access: Option<(String, Timestamp)>,
    refresh: Option<String>,
    user: UserId,
    client: ClientId,
    scope: Scope,
    remark: Option<Reason>,
}

impl Run {
    pub(super) async fn session(&mut self, record: &Document) -> Result<(), ImportError> {
        self.report.tokens.read += 1;
        let id = id_of(record);
        let key = format!("tokens/{id}");
        if self.is_imported(&key).await? {
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
        let started = match self.start(tokens).await? {
            Ok(Some(started)) => started,
            Ok(None) => {
                self.report.tokens.expired += 1;
                return Ok(());
            }
            Err(reason) => {
                self.report.tokens.skip(&id, reason);
                return Ok(());
            }
        };
        if self.sessions.insert(started.session.id, id.clone()).is_some() {
            self.report.tokens.skip(&id, "another document has the same token");
            return Ok(());
        }
        if !self.dry_run && !self.write(&started).await? {
            self.report.tokens.skip(&id, "its user or its client is disabled");
            return Ok(());
        }
        self.note(&key).await?;
        if let Some(remark) = started.remark {
            self.report.tokens.remark(&id, remark);
        }
        self.report.tokens.imported += 1;
        Ok(())
    }

    /// The session as it will be; `None` when nothing of it is left to use.
    async fn start(&self, tokens: Tokens) -> Result<Result<Option<Started>, Reason>, ImportError> {
        let Some(user) = self.user_of(tokens.user).await? else {
            return Ok(Err("its user is not there".to_owned()));
        };
        let Some(client) = self.client_of(&tokens.client).await? else {
            return Ok(Err("its client is not there".to_owned()));
        };
        let may_refresh = client.grants.contains(&Grant::RefreshToken);
        Ok(Ok(started(tokens, user, &client, may_refresh, self)))
    }

    async fn user_of(&self, id: UserId) -> Result<Option<SessionUser>, ImportError> {
        if let Some(stores) = &self.stores
            && let Some(user) = stores.users.find(id).await?
        {
            let generation = user.generation;
            return Ok(Some(SessionUser { id, username: user.username, generation }));
        }
        let name = self.users.get(&id).filter(|_| self.dry_run);
        Ok(name.map(|name| SessionUser { id, username: name.clone(), generation: 0 }))
    }

    async fn client_of(&self, id: &ClientId) -> Result<Option<Client>, ImportError> {
        if let Some(stores) = &self.stores
            && let Some(client) = stores.clients.find(id).await?
        {
            return Ok(Some(client));
        }
        Ok(self.clients.get(id).filter(|_| self.dry_run).cloned())
    }

    /// Writes the alias first: it leads nowhere until the session is there.
    async fn write(&self, started: &Started) -> Result<bool, ImportError> {
        let Some(stores) = &self.stores else { return Ok(true) };
        let session = &started.session;
        if let Some((_, digest, expires_at)) = &started.access {
            stores.imports.add_alias(digest, session.id, *expires_at).await?;
        }
        // Written by a run that was interrupted before it could note it.
        let is_there = stores.sessions.find(session.id).await?.is_some();
        if !is_there && !stores.sessions.insert(session).await? {
            return Ok(false);
        }
        imports::note_session(stores, session.id).await?;
        if let (Some(publisher), Some((text, digest, expires_at))) =
            (&stores.publisher, &started.access)
        {
            publisher.publish(session, text, digest, expires_at.remaining(self.now)).await?;
        }
        Ok(true)
    }
}

fn started(
    tokens: Tokens,
    user: SessionUser,
    client: &Client,
    may_refresh: bool,
    run: &Run,
) -> Option<Started> {
    let (now, lifetimes) = (run.now, client.lifetimes(&run.lifetimes));
    let ends_at = now.plus(lifetimes.session);
    let refresh_text = tokens.refresh.filter(|_| may_refresh);
    let refresh = refresh_text.as_deref().and_then(|text| {
        let token = Token::parse_legacy(text, TokenKind::Refresh)?;
        let chain = RefreshChain {
            key: legacy_seal(text),
            current: token.verifier.digest(),
            issued_at: now,
            idle_ends_at: now.plus(lifetimes.refresh_idle).min(ends_at),
            used: None,
        };
        Some((token.session_id(), chain))
    });
    let access = tokens.access.and_then(|(text, expires_at)| {
        let token = Token::parse_legacy(&text, TokenKind::Access)?;
        Some((token, SecretString::from(text), expires_at.min(ends_at)))
    });
    let id: SessionId = match (&refresh, &access) {
        (Some((id, _)), _) => *id,
        (None, Some((token, ..))) => token.session_id(),
        (None, None) => return None,
    };
    let access =
        access.map(|(token, text, expires_at)| (text, token.verifier.digest(), expires_at));
    let live = access.iter().map(|(_, digest, expires_at)| AccessToken {
        digest: *digest,
        scope: None,
        issued_at: now,
        expires_at: *expires_at,
    });
    let session = Session {
        id,
        version: 0,
        user: Some(user),
        client_id: client.id.clone(),
        client_generation: client.generation,
        scope: tokens.scope,
        created_at: now,
        ends_at,
        access: live.collect(),
        refresh: refresh.map(|(_, chain)| chain),
    };
    Some(Started { session, access, remark: tokens.remark })
}

/// What the document says; `None` when nothing of it is left to use.
fn read(record: &Document, now: Timestamp) -> Result<Option<Tokens>, Reason> {
    let user = record.get_object_id("user_id").map_err(|_| "its user_id is no ObjectId")?;
    let client = record.get_str("client_id").map_err(|_| "it has no client_id")?;
    let client = client
        .parse()
        .map_err(|_| "its client_id is not 1 to 255 printable ASCII characters".to_owned())?;
    let refresh = text(record, "refresh_token", TokenKind::Refresh)?;
    let mut remark = None;
    let access = match (text(record, "access_token", TokenKind::Access)?, record.get("expires")) {
        (Some(text), Some(Bson::DateTime(at))) => {
            let expires_at = Timestamp::from_millis(at.timestamp_millis());
            (now < expires_at).then_some((text, expires_at))
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
fn text(record: &Document, field: &str, kind: TokenKind) -> Result<Option<String>, Reason> {
    match record.get(field) {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::String(text)) if Token::parse_legacy(text, kind).is_some() => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(format!("its {field} is not 30 letters and digits")),
    }
}
