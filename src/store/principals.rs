//! Finds a user and a client that a resource server could take for one principal.
//!
//! Resource servers name a principal by `username` or `sub`, and if the token has no user, by
//! `client_id`. RFC 9700 §4.15: "Authorization servers SHOULD NOT allow clients to influence their
//! client_id or any claim that could cause confusion with a genuine resource owner." So no user has
//! the name or the id of a client. Commands and imports check this before they write; two
//! concurrent writes may both pass, and a copied store may have such pairs. A server reports them
//! at the start.

use super::{Page, Result, Stores};
use crate::domain::{
    Client, ClientId, RESERVED_NAME_PREFIXES, User, UserId, is_same_principal, username_key,
};

/// Number of clients that are read at a time.
const BATCH: u32 = 1000;

/// A user who could be taken for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmbiguousUser {
    /// User name of the user.
    pub username: String,
    /// Id of the user.
    pub id: UserId,
    /// Client that the user could be taken for; `None` if the user name begins with a reserved
    /// prefix, as client ids do.
    pub client: Option<ClientId>,
}

impl AmbiguousUser {
    fn of(user: User, client: Option<ClientId>) -> Self {
        Self { username: user.username, id: user.id, client }
    }
}

/// Returns the ids of clients that a user with this name or id could be taken for.
fn like_user(username: &str, id: Option<UserId>) -> impl Iterator<Item = ClientId> {
    let names = [username.to_owned(), username_key(username)];
    let texts = names.into_iter().chain(id.map(|id| id.to_string()));
    // No client has an id that cannot be parsed.
    texts.filter_map(|text| text.parse().ok())
}

impl Stores {
    /// Returns the client that a user with this name or id could be taken for, if there is one.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError) if the store fails.
    pub async fn client_like_user(
        &self,
        username: &str,
        id: Option<UserId>,
    ) -> Result<Option<Client>> {
        for client in like_user(username, id) {
            let found = self.clients.find(&client).await?;
            let found = found.filter(|found| is_same_principal(username, id, &found.id));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns for each of the given users whether it could be taken for a client. Takes one
    /// look-up, so that an import need not wait for the store at each user.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError) if the store fails.
    pub async fn are_like_clients(&self, users: &[User]) -> Result<Vec<bool>> {
        let ids: Vec<_> =
            users.iter().flat_map(|user| like_user(&user.username, Some(user.id))).collect();
        let clients = self.transfer.find_clients(&ids).await?;
        let is_like =
            |user: &User, client| is_same_principal(&user.username, Some(user.id), client);
        let are_like =
            users.iter().map(|user| clients.iter().any(|client| is_like(user, &client.id)));
        Ok(are_like.collect())
    }

    /// Returns the user that a client with this id could be taken for, if there is one.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError) if the store fails.
    pub async fn user_like_client(&self, client: &ClientId) -> Result<Option<User>> {
        let named = self.users.find_all_by_name(client.as_str()).await?.into_iter();
        let mut named = named.filter(|user| is_same_principal(&user.username, None, client));
        if let Some(user) = named.next() {
            return Ok(Some(user));
        }
        match client.as_str().parse() {
            Ok(id) => {
                let found = self.users.find(id).await?;
                Ok(found.filter(|user| is_same_principal(&user.username, Some(id), client)))
            }
            Err(_) => Ok(None),
        }
    }

    /// Returns up to `limit` users who could be taken for a client.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError) if the store fails.
    pub async fn ambiguous_users(&self, limit: usize) -> Result<Vec<AmbiguousUser>> {
        let mut found = Vec::new();
        for prefix in RESERVED_NAME_PREFIXES {
            let page = Page::first(u32::try_from(limit).unwrap_or(u32::MAX));
            let users = self.listing.list_users(prefix, &page).await?;
            found.extend(users.into_iter().map(|user| AmbiguousUser::of(user, None)));
        }
        let mut page = Page::first(BATCH);
        while found.len() < limit {
            let clients = self.listing.list_clients("", &page).await?;
            for client in &clients {
                if let Some(user) = self.user_like_client(&client.id).await? {
                    found.push(AmbiguousUser::of(user, Some(client.id.clone())));
                }
            }
            if clients.len() < BATCH as usize {
                break;
            }
            page.cursor = clients.last().map(|client| client.id.to_string());
        }
        found.truncate(limit);
        Ok(found)
    }
}
