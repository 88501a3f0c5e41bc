//! Request parameters: `application/x-www-form-urlencoded`, parsed strictly (RFC 6749 Appendix B).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::Error;

/// Names of the recognized request parameters. Others are ignored (RFC 6749 §3.2: "The
/// authorization server MUST ignore unrecognized request parameters"), even if repeated: an
/// extension may allow its parameters to be repeated (RFC 8707 does).
const RECOGNIZED: [&str; 9] = [
    "grant_type",
    "client_id",
    "client_secret",
    "username",
    "password",
    "scope",
    "refresh_token",
    "token",
    "token_type_hint",
];

/// The recognized parameters of a request body, decoded.
pub struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Parses a request body of the type `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] when the body is not UTF-8, has a malformed percent-encoding, or
    /// repeats a recognized parameter.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut found: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(8);
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split_pair(pair);
            let (name, value) = (decode(name)?, decode(value)?);
            if !RECOGNIZED.contains(&name.as_ref()) {
                continue;
            }
            // RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."
            if found.iter().any(|(other, _)| *other == name) {
                return Err(Error::InvalidRequest("a parameter is repeated"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// Returns the value of the parameter `name`. RFC 6749 §3.2: "Parameters sent without a value
    /// MUST be treated as if they were omitted from the request."
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref());
        value.filter(|value| !value.is_empty())
    }

    /// Returns the value of the required parameter `name`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the text `otherwise` when the parameter is missing or empty.
    pub fn require(&self, name: &str, otherwise: &'static str) -> Result<&str, Error> {
        self.get(name).ok_or(Error::InvalidRequest(otherwise))
    }
}

/// Prints only the names of the parameters, since values may be secrets.
impl std::fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Splits `name=value` at the first `=` and returns the name and the value.
fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let equals = memchr(b'=', pair).unwrap_or(pair.len());
    let (name, rest) = pair.split_at(equals);
    (name, rest.get(1..).unwrap_or_default())
}

/// Form-decodes the name or value of a parameter: `+` is a space, `%XX` an octet, and the result
/// must be UTF-8.
pub(super) fn decode(raw: &[u8]) -> Result<Cow<'_, str>, Error> {
    const NOT_UTF8: Error =
        Error::InvalidRequest("the parameters are not UTF-8: encode the form as UTF-8");
    if memchr2(b'+', b'%', raw).is_none() {
        return std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| NOT_UTF8);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(Error::InvalidRequest("a percent-encoding is malformed"));
                };
                high * 16 + low
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NOT_UTF8)
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_decoded_and_empty_values_count_as_absent() {
        let params = Params::parse(b"username=J%c3%b6rg+M&scope=&&x=%41&password=a=b").unwrap();
        assert_eq!(params.get("username"), Some("J\u{f6}rg M"));
        assert_eq!(params.get("password"), Some("a=b"));
        assert_eq!((params.get("scope"), params.get("x")), (None, None));
    }

    #[test]
    fn malformed_bodies_are_refused() {
        for body in ["a=%", "a=%4", "a=%zz", "%=1", "a=%ff", "scope=a&scope=a", "scope=&scope=a"] {
            assert!(Params::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Params::parse(b"a=\xff").is_err());
    }

    proptest! {
        #[test]
        fn parsing_arbitrary_body_never_panics(body: Vec<u8>) {
            let _ = Params::parse(&body);
        }

        #[test]
        fn percent_encoded_value_decodes_to_original(value in ".{1,40}") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let body = format!("password={encoded}");
            let params = Params::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(params.get("password"), Some(value.as_str()));
        }
    }
}
