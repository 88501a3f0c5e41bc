//! What the operator of a test server does.

use sentinel::admin::{ClientChange, UserChange};
use sentinel::app::password_policy;
use sentinel::password::Hasher;

use super::App;

impl App {
    async fn edit_user(&self, change: UserChange) {
        self.admin.edit_user(self.user.id, &change).await.unwrap();
    }

    async fn edit_client(&self, change: ClientChange) {
        self.admin.edit_client(&self.client.id, &change).await.unwrap();
    }

    pub async fn disable_user(&self) {
        self.edit_user(UserChange { enabled: Some(false), ..UserChange::default() }).await;
    }

    pub async fn enable_user(&self) {
        self.edit_user(UserChange { enabled: Some(true), ..UserChange::default() }).await;
    }

    pub async fn rename_user(&self, name: &str) {
        self.edit_user(UserChange { username: Some(name.into()), ..UserChange::default() }).await;
    }

    /// Limits what the user may be granted.
    pub async fn limit_user(&self, scope: &str) {
        let scopes = Some(Some(scope.parse().unwrap()));
        self.edit_user(UserChange { scopes, ..UserChange::default() }).await;
    }

    /// Sets the same password anew, which ends the sessions as any new one does.
    pub async fn change_password(&self) {
        let mut hasher = Hasher::new(password_policy(&self.settings.password)).unwrap();
        let password = Some(hasher.hash(&super::PASSWORD.into()).unwrap());
        self.edit_user(UserChange { password, ..UserChange::default() }).await;
    }

    pub async fn delete_user(&self) {
        self.admin.delete_user(self.user.id).await.unwrap();
    }

    pub async fn disable_client(&self) {
        self.edit_client(ClientChange { enabled: Some(false), ..ClientChange::default() }).await;
    }

    pub async fn enable_client(&self) {
        self.edit_client(ClientChange { enabled: Some(true), ..ClientChange::default() }).await;
    }

    pub async fn set_grants(&self, grants: &str) {
        let grants = grants.split(' ').map(|grant| grant.parse().unwrap()).collect();
        self.edit_client(ClientChange { grants: Some(grants), ..ClientChange::default() }).await;
    }

    pub async fn set_access_token_ttl(&self, seconds: u64) {
        let ttl = Some(Some(std::time::Duration::from_secs(seconds)));
        self.edit_client(ClientChange { access_token_ttl: ttl, ..ClientChange::default() }).await;
    }

    /// Gives the confidential client the introspection permission, or takes it.
    pub async fn set_introspection(&self, introspection: bool) {
        let change = ClientChange { introspection: Some(introspection), ..ClientChange::default() };
        self.admin.edit_client(&self.backend.id, &change).await.unwrap();
    }
}
