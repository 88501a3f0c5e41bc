//! Client secrets that operators choose or other servers issued, and how they are stored.

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::super::Global;
use super::super::failure::Failure;
use super::super::password_input::read_stdin;
use crate::app::password_policy;
use crate::domain::{ClientSecret, Digest, StoredSecret, check_client_secret};
use crate::observe::error_chain;
use crate::password::{HashError, Hasher, PasswordPool, PoolError};

/// Option that gives a client a secret that the operator chose.
#[derive(Debug, Args)]
pub(super) struct SecretInput {
    /// Reads a secret of at least 12 characters from standard input; drops one newline at its end
    #[arg(long)]
    pub(super) secret_stdin: bool,
}

impl SecretInput {
    /// Reads the secret, if the option is set, and returns its stored form.
    pub(super) fn read(&self, global: &Global) -> Result<Option<StoredSecret>, Failure> {
        if !self.secret_stdin {
            return Ok(None);
        }
        let settings = global.settings()?;
        let secret = read_stdin("client secret")?;
        check_client_secret(secret.expose_secret()).map_err(Failure::refused)?;
        if let Some(stored) = unhashed(secret.expose_secret()) {
            return Ok(Some(stored));
        }
        let mut hasher =
            Hasher::new(password_policy(&settings.password)).map_err(Failure::config)?;
        match hasher.hash(&secret) {
            Ok(hash) => Ok(Some(StoredSecret::Hash(hash))),
            Err(error) => Ok(Some(digest_if_too_long(&secret, error)?)),
        }
    }
}

/// Returns the stored form of an imported secret.
pub(super) async fn stored(
    secret: &SecretString,
    pool: &PasswordPool,
) -> Result<StoredSecret, Failure> {
    if let Some(stored) = unhashed(secret.expose_secret()) {
        return Ok(stored);
    }
    match pool.hash(secret.clone()).await {
        Ok(hash) => Ok(StoredSecret::Hash(hash)),
        Err(PoolError::Hash(error)) => digest_if_too_long(secret, error),
        Err(error) => Err(Failure::unavailable(error_chain(&error))),
    }
}

/// Returns the digest of a secret of the form that Sentinel generates, which needs no slow hash.
fn unhashed(secret: &str) -> Option<StoredSecret> {
    let digest = || StoredSecret::Digest(Digest::of(secret.as_bytes()));
    ClientSecret::is_generated_form(secret).then(digest)
}

/// Returns the digest of a secret that is too long for bcrypt, and so too long to be guessed.
fn digest_if_too_long(secret: &SecretString, error: HashError) -> Result<StoredSecret, Failure> {
    if error.is_caused_by_password() {
        return Ok(StoredSecret::Digest(Digest::of(secret.expose_secret().as_bytes())));
    }
    Err(Failure::unavailable(error))
}
