//! Conversion of `tokens` documents of flask-sentinel to sessions.
//!
//! A document contains `access_token`, `refresh_token`, `expires`, the user, the client and the
//! scopes. It is parsed into a [`SourceTokens`], which becomes a [`ConvertedSession`] once its
//! user and client are looked up.

use mongodb::bson::{Bson, Document};
use secrecy::{ExposeSecret, SecretString};

use super::documents::{Reason, scope};
use crate::domain::{
    AccessToken, Client, ClientId, Grant, Lifetimes, RefreshChain, Scope, Session, SessionId,
    SessionUser, Timestamp, Token, TokenKind, UserId, legacy_mac_key,
};

/// A token issued by flask-sentinel.
pub(super) struct SourceToken {
    pub(super) text: SecretString,
    pub(super) token: Token,
}

/// Contents of a `tokens` document of flask-sentinel, before its user and client are looked up.
pub(super) struct SourceTokens {
    /// Access token of the `tokens` document with its time of expiry, if the token is usable.
    access: Option<(SourceToken, Timestamp)>,
    refresh: Option<SourceToken>,
    pub(super) user: UserId,
    pub(super) client: ClientId,
    scope: Scope,
    /// Description of the part of the `tokens` document that is not imported, if any.
    remark: Option<Reason>,
}

/// Session converted from a `tokens` document, and its access token, for which an alias (digest
/// that leads to the session) is written.
pub(super) struct ConvertedSession {
    pub(super) session: Session,
    pub(super) access: Option<(SourceToken, Timestamp)>,
    pub(super) remark: Option<Reason>,
}

impl SourceTokens {
    /// Returns the ids of all sessions to which the `tokens` document may have been converted.
    pub(super) fn session_ids(&self) -> impl Iterator<Item = SessionId> {
        let access = self.access.iter().map(|(access, _)| access);
        self.refresh.iter().chain(access).map(|token| token.token.session_id())
    }

    /// Converts the tokens of a document to a session of `user`. Returns `None` if none is usable.
    pub(super) fn into_session(
        self,
        user: SessionUser,
        client: &Client,
        server: &Lifetimes,
        now: Timestamp,
    ) -> Option<ConvertedSession> {
        let lifetimes = client.lifetimes(server);
        let ends_at = now.plus(lifetimes.session);
        let refresh = self.refresh.filter(|_| client.grants.contains(&Grant::RefreshToken));
        let access = self.access.map(|(access, expires_at)| (access, expires_at.min(ends_at)));
        // A refresh token identifies its session by its selector; the access token has an alias.
        let identifier = refresh.as_ref().or(access.as_ref().map(|(access, _)| access))?;
        let live_access = access.iter().map(|(access, expires_at)| AccessToken {
            digest: access.token.verifier.digest(),
            scope: None,
            issued_at: now,
            expires_at: *expires_at,
        });
        let chain = refresh.as_ref().map(|refresh| RefreshChain {
            mac_key: legacy_mac_key(refresh.text.expose_secret()),
            current: refresh.token.verifier.digest(),
            issued_at: now,
            idle_ends_at: now.plus(lifetimes.refresh_idle).min(ends_at),
            used: None,
        });
        let session = Session {
            id: identifier.token.session_id(),
            version: 0,
            user: Some(user),
            client_id: client.id.clone(),
            client_generation: client.generation,
            scope: self.scope,
            created_at: now,
            ends_at,
            access_tokens: live_access.collect(),
            refresh: chain,
        };
        Some(ConvertedSession { session, access, remark: self.remark })
    }
}

/// Parses a `tokens` document. Returns `None` if the document has no token, or only expired ones.
pub(super) fn parse(record: &Document, now: Timestamp) -> Result<Option<SourceTokens>, Reason> {
    let user = record.get_object_id("user_id").map_err(|_| "its user_id is not an ObjectId")?;
    let client = record.get_str("client_id").map_err(|_| "it has no client_id")?;
    let client = client
        .parse()
        .map_err(|_| "its client_id is not 1 to 255 printable ASCII characters".to_owned())?;
    let refresh = parse_token(record, "refresh_token", TokenKind::Refresh)?;
    let mut remark = None;
    let access =
        match (parse_token(record, "access_token", TokenKind::Access)?, record.get("expires")) {
            (Some(access), Some(Bson::DateTime(at))) => {
                let expires_at = Timestamp::from_millis(at.timestamp_millis());
                (now < expires_at).then_some((access, expires_at))
            }
            (Some(_), _) => {
                remark = Some("its access token has no expiry date and is not imported".to_owned());
                None
            }
            (None, _) => None,
        };
    let scope = scope(record.get("scopes"))
        .map_err(|reason| format!("its scopes are invalid: {reason}"))?;
    if access.is_none() && refresh.is_none() {
        return remark.map_or(Ok(None), Err);
    }
    let user = UserId::from_bytes(user.bytes());
    Ok(Some(SourceTokens { access, refresh, user, client, scope, remark }))
}

/// Returns the token in a field of a document; `None` if the field is absent or null.
fn parse_token(
    record: &Document,
    field: &str,
    kind: TokenKind,
) -> Result<Option<SourceToken>, Reason> {
    let text = match record.get(field) {
        None | Some(Bson::Null) => return Ok(None),
        Some(Bson::String(text)) => Some(text),
        Some(_) => None,
    };
    let token = text.and_then(|text| {
        let token = Token::parse_legacy(text, kind)?;
        Some(SourceToken { text: SecretString::from(text.as_str()), token })
    });
    token.map(Some).ok_or_else(|| format!("its {field} is not 30 letters and digits"))
}
