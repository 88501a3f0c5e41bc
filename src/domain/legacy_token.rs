//! Tokens of flask-sentinel: 30 letters and digits, of either kind.
//!
//! They say neither their kind nor their session, and there is nothing in them but chance. So selector
//! and verifier are derived from the text, one-way: what a store keeps of them gives no token away, and
//! all that follows (sessions, rotation, replays) is as with tokens of our own.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::token::{Selector, Token, TokenKind, Verifier};

const LENGTH: usize = 30;

impl Token {
    /// Takes a text for a token of flask-sentinel of this kind; `None` for what cannot be one.
    ///
    /// A refresh token's session is that of its selector. An access token was issued beside a refresh
    /// token, by whose selector its session goes: it has to be found by the digest of its verifier.
    pub fn parse_legacy(text: &str, kind: TokenKind) -> Option<Self> {
        if text.len() != LENGTH || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let selector = derive(text, "selector");
        let selector = Selector::from_bytes(selector.first_chunk().copied()?);
        let verifier = match kind {
            TokenKind::Access => Verifier::from_bytes(*derive(text, "access")),
            TokenKind::Refresh => {
                Verifier::from_bytes(*derive(text, "refresh")).sealed(&legacy_seal(text))
            }
        };
        Some(Self { kind, selector, verifier })
    }
}

/// What the refresh tokens of a session are sealed with that was started by this refresh token, so that
/// it is recognised as one of them when it is used again.
pub fn legacy_seal(refresh_token: &str) -> [u8; 16] {
    derive(refresh_token, "seal").first_chunk().copied().unwrap_or_default()
}

fn derive(text: &str, purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    // HMAC takes a key of any length, so the error cannot occur.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(text.as_bytes()) {
        mac.update(b"sentinel legacy token ");
        mac.update(purpose.as_bytes());
        *derived = mac.finalize().into_bytes().into();
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "abcdefghijABCDEFGHIJ0123456789";

    #[test]
    fn thirty_letters_and_digits_are_a_token_of_either_kind_and_nothing_else_is() {
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
    fn what_is_derived_differs_by_text_and_kind_and_repeats_otherwise() {
        let access = Token::parse_legacy(TEXT, TokenKind::Access).unwrap();
        let refresh = Token::parse_legacy(TEXT, TokenKind::Refresh).unwrap();
        assert_eq!(access.session_id(), refresh.session_id());
        assert_ne!(access.verifier.digest(), refresh.verifier.digest());
        let again = Token::parse_legacy(TEXT, TokenKind::Refresh).unwrap();
        assert_eq!(again, refresh);
        let other = Token::parse_legacy(&TEXT.to_uppercase(), TokenKind::Refresh).unwrap();
        assert_ne!(other.session_id(), refresh.session_id());
        assert!(refresh.verifier.is_sealed_by(&legacy_seal(TEXT)));
        assert!(!other.verifier.is_sealed_by(&legacy_seal(TEXT)));
    }
}
