//! Tokens of flask-sentinel: 30 letters and digits, both access and refresh tokens.
//!
//! The text is random and contains neither the token's kind nor its session. Selector and verifier
//! are derived from it with HMAC-SHA256. The derivation is one-way, so a store does not reveal the
//! token. Sessions, rotation and replay detection then work as for Sentinel's own tokens.

use zeroize::Zeroizing;

use super::digest::{hmac_sha256, truncated};
use super::token::{Selector, Token, TokenKind, Verifier};

const LENGTH: usize = 30;

impl Token {
    /// Parses a token of this `kind` that flask-sentinel, Sentinel's predecessor, issued. Returns
    /// `None` if the text is not 30 ASCII letters and digits.
    ///
    /// A refresh token's selector (part that identifies a session) identifies the token's session.
    /// An access token's selector does not, because the session has that of the refresh token
    /// issued with the access token. Find that session by the digest of the access token's verifier
    /// (secret part).
    pub fn parse_legacy(text: &str, kind: TokenKind) -> Option<Self> {
        if text.len() != LENGTH || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let selector = Selector::from_bytes(truncated(&derive(text, "selector")));
        let verifier = match kind {
            TokenKind::Access => Verifier::from_bytes(*derive(text, "access")),
            TokenKind::Refresh => {
                Verifier::from_bytes(*derive(text, "refresh")).with_mac(&legacy_mac_key(text))
            }
        };
        Some(Self { kind, selector, verifier })
    }
}

/// Returns the MAC key of a session that was imported with this flask-sentinel refresh token. With
/// this key, [`Verifier::has_mac_of`] recognizes the imported token as one of the session's refresh
/// tokens when a client presents the token again.
pub fn legacy_mac_key(refresh_token: &str) -> [u8; 16] {
    truncated(&derive(refresh_token, "seal"))
}

fn derive(text: &str, purpose: &str) -> Zeroizing<[u8; 32]> {
    hmac_sha256(text.as_bytes(), &[b"sentinel legacy token ", purpose.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "abcdefghijABCDEFGHIJ0123456789";

    #[test]
    fn legacy_token_is_exactly_30_letters_and_digits() {
        for kind in [TokenKind::Access, TokenKind::Refresh] {
            assert!(Token::parse_legacy(TEXT, kind).is_some());
            for text in [
                "",
                &TEXT[1..],
                "abcdefghijABCDEFGHIJ01234567890",
                "abcdefghijABCDEFGHIJ012345678_",
            ] {
                assert!(Token::parse_legacy(text, kind).is_none(), "{text}");
            }
        }
    }

    #[test]
    fn legacy_derivation_is_deterministic_and_differs_by_text_and_kind() {
        let access = Token::parse_legacy(TEXT, TokenKind::Access).unwrap();
        let refresh = Token::parse_legacy(TEXT, TokenKind::Refresh).unwrap();
        assert_eq!(access.session_id(), refresh.session_id());
        assert_ne!(access.verifier.digest(), refresh.verifier.digest());
        let again = Token::parse_legacy(TEXT, TokenKind::Refresh).unwrap();
        assert_eq!(again, refresh);
        let other = Token::parse_legacy(&TEXT.to_uppercase(), TokenKind::Refresh).unwrap();
        assert_ne!(other.session_id(), refresh.session_id());
        assert!(refresh.verifier.has_mac_of(&legacy_mac_key(TEXT)));
        assert!(!other.verifier.has_mac_of(&legacy_mac_key(TEXT)));
    }
}
