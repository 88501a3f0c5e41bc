//! `[management]`: the operator's page and API.

use secrecy::SecretString;

use super::oauth::OAuth;
use super::reader::Reader;
use super::secret;

/// The management page and API.
#[derive(Clone, Debug)]
pub struct Management {
    /// The page, a path below the route prefix, the API below it; none: switched off.
    pub url: Option<String>,
    /// The operator's name for HTTP Basic (RFC 7617 §2). None: no page and no API.
    pub username: Option<String>,
    /// The operator's password. Set if and only if `username` is.
    pub password: Option<SecretString>,
}

impl Management {
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
        // After another complaint one of the two may be missing only because it could not be read.
        if before == reader.problems.len()
            && management.username.is_some() != management.password.is_some()
        {
            reader.refuse(
                "management.username and management.password (or management.password_file) \
                 go together; set both or neither",
            );
        }
        management
    }

    /// The page's full path.
    pub fn path(&self, oauth: &OAuth) -> Option<String> {
        oauth.prefixed(self.url.as_deref())
    }

    /// The operator's name and password, if there is an operator.
    pub fn credentials(&self) -> Option<(&str, &SecretString)> {
        self.username.as_deref().zip(self.password.as_ref())
    }
}
