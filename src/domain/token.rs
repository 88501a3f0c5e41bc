//! Bearer tokens: `sna_…` is an access token, `snr_…` a refresh token.
//!
//! A token has 75 characters: a kind prefix, a 128-bit *selector* that identifies the session (22
//! base62 digits), a 256-bit *verifier* that proves the token (43 digits), and the CRC-32 of the
//! characters before it (6 digits). The checksum provides no security. It allows rejecting mistyped
//! and foreign tokens without a look-up, and lets secret scanners recognize leaked tokens.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::digest::{hmac_sha256, truncated};
use super::{Digest, RandomError, SessionId, base62, random_bytes};

/// Number of leading bytes of a verifier (secret part of a token) that its trailing MAC covers.
const SEALED_BYTES: usize = 24;
const PREFIX_LENGTH: usize = 4;
const SELECTOR_BYTES: usize = 16;
/// Number of bytes of a token's selector and verifier.
pub const TOKEN_BYTES: usize = SELECTOR_BYTES + 32;
const SELECTOR_DIGITS: usize = base62::width(16);
const VERIFIER_DIGITS: usize = base62::width(32);
const CHECKSUM_DIGITS: usize = base62::width(4);

/// Kind of a token: access token or refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Access token (RFC 6749 §1.4).
    Access,
    /// Refresh token (RFC 6749 §1.5).
    Refresh,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "sna_",
            Self::Refresh => "snr_",
        }
    }

    fn of(prefix: &[u8]) -> Option<Self> {
        [Self::Access, Self::Refresh].into_iter().find(|kind| kind.prefix().as_bytes() == prefix)
    }
}

/// Selector: the 128 random bits that identify a session and that all of its tokens contain.
#[derive(Clone)]
pub struct Selector([u8; 16]);

impl Selector {
    /// Generates a random selector, which all tokens of a new session will contain.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        random_bytes().map(Self)
    }

    /// Returns the id of the session whose tokens have this selector.
    pub fn session_id(&self) -> SessionId {
        SessionId::from_bytes(truncated(Digest::of(&self.0).as_bytes()))
    }

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Selector(…)")
    }
}

/// Verifier: the 256 secret bits that prove a token genuine. A store holds only their digest.
#[derive(Clone)]
pub struct Verifier(Zeroizing<[u8; 32]>);

impl Verifier {
    /// Generates a random verifier (secret part) for a new token.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system supplies no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(random_bytes()?)))
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the SHA-256 digest of the verifier. The store keeps only this digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&*self.0)
    }

    /// Replaces the verifier's last 64 bits with a seal: a MAC of the other 192 bits under `key`.
    ///
    /// The seal tells a former refresh token of the session from a forged token with the session's
    /// selector, which every holder of an access token knows. The other 192 bits remain random.
    #[must_use]
    pub fn with_mac(mut self, key: &[u8; 16]) -> Self {
        let seal = self.seal(key);
        self.0.split_at_mut(SEALED_BYTES).1.copy_from_slice(&seal);
        self
    }

    /// Returns whether the verifier ends with a MAC of its other bits under `key`, in constant
    /// time.
    pub fn has_mac_of(&self, key: &[u8; 16]) -> bool {
        self.0.split_at(SEALED_BYTES).1.ct_eq(&self.seal(key)).into()
    }

    fn seal(&self, key: &[u8; 16]) -> [u8; 32 - SEALED_BYTES] {
        truncated(&hmac_sha256(key, &[self.0.split_at(SEALED_BYTES).0]))
    }

    /// Derives the verifier of a successor token: HMAC-SHA256, keyed by this verifier, of `salt`
    /// (random bytes) and `kind`, the kind of the new token.
    ///
    /// A retry with a used refresh token derives the same successor again, although only digests
    /// are stored. The salt, which the store holds, is of no use without this verifier.
    #[must_use]
    pub fn successor(&self, salt: &[u8; 32], kind: TokenKind) -> Self {
        Self(hmac_sha256(&*self.0, &[salt, kind.prefix().as_bytes()]))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

/// An access token or refresh token in plain text, divided into its parts.
#[derive(Clone, Debug)]
pub struct Token {
    /// Kind of the token: access token or refresh token.
    pub kind: TokenKind,
    /// Selector: the random bits that identify the token's session.
    pub selector: Selector,
    /// Verifier: the secret bits that prove the token genuine.
    pub verifier: Verifier,
}

impl Token {
    /// Parses an access or refresh token. Returns `None` if Sentinel cannot have issued the text.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != PREFIX_LENGTH + SELECTOR_DIGITS + VERIFIER_DIGITS + CHECKSUM_DIGITS {
            return None;
        }
        let (body, checksum) = bytes.split_at_checked(bytes.len() - CHECKSUM_DIGITS)?;
        let (prefix, rest) = body.split_at_checked(PREFIX_LENGTH)?;
        let kind = TokenKind::of(prefix)?;
        if base62::decode::<4>(checksum)? != crc32fast::hash(body).to_be_bytes() {
            return None;
        }
        let (selector, verifier) = rest.split_at_checked(SELECTOR_DIGITS)?;
        Some(Self {
            kind,
            selector: Selector(base62::decode(selector)?),
            verifier: Verifier(Zeroizing::new(base62::decode(verifier)?)),
        })
    }

    /// Returns the id of the session that the token names. That session need not exist.
    pub fn session_id(&self) -> SessionId {
        self.selector.session_id()
    }

    /// Returns selector and verifier, from which [`Self::from_bytes`] restores the token.
    pub fn to_bytes(&self) -> Zeroizing<[u8; TOKEN_BYTES]> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        let (selector, verifier) = bytes.split_at_mut(SELECTOR_BYTES);
        selector.copy_from_slice(&self.selector.0);
        verifier.copy_from_slice(&*self.verifier.0);
        bytes
    }

    /// Returns the token of this kind with this selector and verifier, as [`Self::to_bytes`]
    /// returned them. Returns `None` if the number of bytes is another one.
    pub fn from_bytes(kind: TokenKind, bytes: &[u8]) -> Option<Self> {
        let (selector, verifier) = bytes.split_at_checked(SELECTOR_BYTES)?;
        let selector = Selector(selector.try_into().ok()?);
        let verifier = Verifier(Zeroizing::new(verifier.try_into().ok()?));
        Some(Self { kind, selector, verifier })
    }

    /// Returns the text of the token, as the client receives it.
    pub fn to_secret(&self) -> SecretString {
        let mut text = String::with_capacity(80);
        text.push_str(self.kind.prefix());
        base62::encode(&self.selector.0, &mut text);
        base62::encode(&*self.verifier.0, &mut text);
        let checksum = crc32fast::hash(text.as_bytes());
        base62::encode(&checksum.to_be_bytes(), &mut text);
        SecretString::from(text)
    }
}

/// Compares two tokens by their plain text.
impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.to_secret().expose_secret() == other.to_secret().expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(kind: TokenKind) -> Token {
        Token {
            kind,
            selector: Selector::generate().unwrap(),
            verifier: Verifier::generate().unwrap(),
        }
    }

    #[test]
    fn token_text_parses_to_same_token() {
        for kind in [TokenKind::Access, TokenKind::Refresh] {
            let token = sample(kind);
            let text = token.to_secret();
            assert_eq!(text.expose_secret().len(), 75);
            assert_eq!(Token::from_bytes(kind, &*token.to_bytes()), Some(token.clone()));
            assert_eq!(Token::from_bytes(kind, &token.to_bytes()[1..]), None);
            assert_eq!(Token::parse(text.expose_secret()), Some(token));
        }
    }

    #[test]
    fn token_with_one_changed_character_is_rejected() {
        let text = sample(TokenKind::Access).to_secret();
        let text = text.expose_secret();
        for position in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(Token::parse(&changed), None, "at {position}");
        }
    }

    #[test]
    fn successor_is_deterministic_and_differs_by_kind_and_salt() {
        let verifier = Verifier::generate().unwrap();
        let access = verifier.successor(&[1; 32], TokenKind::Access);
        assert_eq!(access.digest(), verifier.successor(&[1; 32], TokenKind::Access).digest());
        assert_ne!(access.digest(), verifier.successor(&[2; 32], TokenKind::Access).digest());
        assert_ne!(access.digest(), verifier.successor(&[1; 32], TokenKind::Refresh).digest());
        assert_ne!(access.digest(), verifier.digest());
    }

    #[test]
    fn seal_matches_its_own_key_and_verifier_only() {
        let with_mac = Verifier::generate().unwrap().with_mac(&[1; 16]);
        assert!(with_mac.has_mac_of(&[1; 16]));
        assert!(!with_mac.has_mac_of(&[2; 16]));
        assert!(!Verifier::generate().unwrap().has_mac_of(&[1; 16]));
        assert_eq!(with_mac.digest(), with_mac.clone().with_mac(&[1; 16]).digest());
    }

    #[test]
    fn debug_output_contains_no_secret() {
        let token = sample(TokenKind::Refresh);
        let text = token.to_secret();
        let shown = format!("{token:?} {text:?}");
        for digits in [4..26, 26..69] {
            assert!(!shown.contains(&text.expose_secret()[digits]), "{shown}");
        }
        // A derived `Debug` would show the bytes.
        let bytes = [format!("{:?}", token.selector.0), format!("{:?}", *token.verifier.0)];
        assert!(!bytes.iter().any(|bytes| shown.contains(bytes)), "{shown}");
    }

    proptest! {
        #[test]
        fn parsing_arbitrary_text_never_panics(text in ".{0,120}") {
            let _ = Token::parse(&text);
        }
    }
}
