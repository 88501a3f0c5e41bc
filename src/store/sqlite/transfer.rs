//! [`StoreTransfer`] in SQLite.

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::{SqliteStore, clients, sessions, users};
use crate::domain::{Client, ClientId, Session, User};
use crate::store::{ClientStore, Result, StoreTransfer};

#[async_trait]
impl StoreTransfer for SqliteStore {
    async fn find_clients(&self, ids: &[ClientId]) -> Result<Vec<Client>> {
        let found = try_join_all(ids.iter().map(|id| ClientStore::find(self, id))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Adds users, and returns for each whether the user was added. Queues all insertions at once,
    /// so that they share commits.
    async fn insert_users(&self, users: &[User]) -> Result<Vec<bool>> {
        let added = users.iter().map(|user| {
            let user = user.clone();
            self.write(move |connection| {
                users::write(connection, users::INSERT, &user).map(|done| done == Some(1))
            })
        });
        try_join_all(added).await
    }

    async fn put_user_unchecked(&self, user: &User) -> Result<bool> {
        let user = user.clone();
        self.write(move |connection| {
            users::write(connection, users::PUT, &user).map(|done| done == Some(1))
        })
        .await
    }

    async fn put_client_unchecked(&self, client: &Client) -> Result<()> {
        let client = client.clone();
        self.write(move |connection| clients::write(connection, clients::PUT, &client).map(drop))
            .await
    }

    async fn put_session_unchecked(&self, session: &Session) -> Result<()> {
        self.add_session(sessions::PUT, session).await.map(drop)
    }
}
