//! `[management]`: the management page and API.

use secrecy::SecretString;

use super::oauth::OAuthSettings;
use super::reader::Reader;
use super::secret;

/// Settings of the management page and API.
#[derive(Clone, Debug)]
pub struct ManagementSettings {
    /// Path of the management page below `oauth.route_prefix`, with the API below the page. `None`
    /// disables page and API.
    pub url: Option<String>,
    /// Operator's user name for HTTP Basic (RFC 7617 §2). `None` disables management page and API.
    pub username: Option<String>,
    /// Operator's password for HTTP Basic. Set if and only if `username` is set.
    pub password: Option<SecretString>,
}

impl ManagementSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let before = reader.problems.len();
        // RFC 7617 §2: "a user-id containing a colon character is invalid".
        let username =
            reader.text("management.username", "a name with no colon", |name| !name.contains(':'));
        let management = Self {
            url: reader.url_path("management.url"),
            username: Some(username).filter(|name| !name.is_empty()),
            password: secret::optional(reader, "management.password"),
        };
        // After another problem, one of the two may be missing only because it could not be read.
        if before == reader.problems.len()
            && management.username.is_some() != management.password.is_some()
        {
            reader.reject(
                "management.username needs management.password (or management.password_file), and \
                 the reverse; set both or neither",
            );
        }
        management
    }

    /// Returns the full path of the management page, or `None` if the page is switched off.
    pub fn path(&self, oauth: &OAuthSettings) -> Option<String> {
        oauth.prefixed(self.url.as_deref())
    }

    /// Returns the operator's user name and password, or `None` unless both are set.
    pub fn credentials(&self) -> Option<(&str, &SecretString)> {
        self.username.as_deref().zip(self.password.as_ref())
    }
}
