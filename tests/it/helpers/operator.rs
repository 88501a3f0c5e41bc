//! Operator actions on a test server, by CLI and by `Admin`.

use std::process::Stdio;

use secrecy::ExposeSecret;
use sentinel::admin::{ClientChange, UserChange, Versions};
use sentinel::app::password_policy;
use sentinel::password::Hasher;
use sentinel::settings::Backend;

use super::{App, sentinel};

impl App {
    /// Runs a command in a process of its own on the store of this server, asserts success, and
    /// returns its output without the trailing newline.
    pub async fn run(&self, arguments: &[&str]) -> String {
        self.run_with("", arguments).await
    }

    /// Runs a command as [`Self::run`] does, with `input` on its standard input.
    pub async fn run_with(&self, input: &str, arguments: &[&str]) -> String {
        use tokio::io::AsyncWriteExt;
        let folder = self.folder.path();
        let mut command = tokio::process::Command::from(sentinel(folder));
        command.arg("--set").arg(format!("store.path={}", folder.join("sentinel.db").display()));
        if self.settings.store.backend == Backend::Mongodb {
            let mongo = &self.settings.mongo;
            command.args(["--set", "store.backend=mongodb", "--set"]);
            command.arg(format!("mongo.uri={}", mongo.uri.expose_secret()));
            command.arg("--set").arg(format!("mongo.dbname={}", mongo.dbname));
        }
        if let Some(url) = &self.settings.redis.url {
            command.arg("--set").arg(format!("redis.url={}", url.expose_secret()));
        }
        command.args(["--set", "password.memory_kib=64", "--set", "password.iterations=1"]);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let waiting = child.wait_with_output();
        let output = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
        let output = output.expect("the command ends by itself").unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

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

    /// Limits the scopes that the user may be granted.
    pub async fn limit_user(&self, scope: &str) {
        let scopes = Some(Some(scope.parse().unwrap()));
        self.edit_user(UserChange { scopes, ..UserChange::default() }).await;
    }

    /// Sets the same password again, which ends the sessions as any password change does.
    pub async fn change_password(&self) {
        let mut hasher = Hasher::new(password_policy(&self.settings.password)).unwrap();
        let password = Some(hasher.hash(&super::PASSWORD.into()).unwrap());
        self.edit_user(UserChange { password, ..UserChange::default() }).await;
    }

    pub async fn delete_user(&self) {
        self.admin.delete_user(self.user.id, &Versions::Any).await.unwrap();
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

    /// Grants or withdraws the introspection permission of the confidential client.
    pub async fn set_introspect_refresh_tokens(&self, permitted: bool) {
        let introspect_refresh_tokens = Some(permitted);
        let change = ClientChange { introspect_refresh_tokens, ..ClientChange::default() };
        self.admin.edit_client(&self.backend.id, &change).await.unwrap();
    }

    pub async fn set_default_scopes(&self, scopes: &str) {
        let default_scopes = Some(scopes.parse().unwrap());
        for id in [&self.client.id, &self.backend.id] {
            let default_scopes = default_scopes.clone();
            let change = ClientChange { default_scopes, ..ClientChange::default() };
            self.admin.edit_client(id, &change).await.unwrap();
        }
    }

    pub async fn set_introspection(&self, introspection: bool) {
        let change = ClientChange { introspection: Some(introspection), ..ClientChange::default() };
        self.admin.edit_client(&self.backend.id, &change).await.unwrap();
    }
}
