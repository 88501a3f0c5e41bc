//! Tokens, those of flask-sentinel, and ids: a value that was read is equal after it is written and
//! read again, and a token with a changed character is refused.

use std::fmt::Display;
use std::str::FromStr;

use secrecy::ExposeSecret;
use sentinel::domain::{ClientId, Scope, Token, TokenKind, UserId};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Parses the input as a text. Also makes a token from its bytes, and changes one character.
pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        read(text);
        read_legacy(text);
        round_trips::<Scope>(text, |read| read.split(' ').all(|token| text.contains(token)));
        round_trips::<ClientId>(text, |read| read == text);
        round_trips::<UserId>(text, |read| read == text.to_ascii_lowercase());
    }
    if let Some((bytes, change)) = input.split_first_chunk::<49>() {
        make(bytes, change);
    }
}

fn read(text: &str) {
    let Some(token) = Token::parse(text) else { return };
    assert_eq!(token.to_secret().expose_secret(), text);
    assert_eq!(Token::parse(text), Some(token.clone()));
    let (body, checksum) = text.split_at(text.len() - 6);
    assert_eq!(checksum, base62(&crc32(body.as_bytes()).to_be_bytes(), 6), "of {text}");
    let prefix = if token.kind == TokenKind::Access { "sna_" } else { "snr_" };
    assert!(text.starts_with(prefix) && text.len() == 75, "{text}");
    assert!(text[4..].bytes().all(|byte| DIGITS.contains(&byte)), "{text}");
}

fn read_legacy(text: &str) {
    let is_one = text.len() == 30 && text.chars().all(|c| c.is_ascii_alphanumeric());
    for kind in [TokenKind::Access, TokenKind::Refresh] {
        let token = Token::parse_legacy(text, kind);
        assert_eq!(token.is_some(), is_one, "{text}");
        assert_eq!(token, Token::parse_legacy(text, kind));
    }
}

/// Asserts that a value which was read is equal after it is written and read again.
fn round_trips<T: FromStr + Display + PartialEq>(text: &str, is_fine: impl Fn(&str) -> bool) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert!(is_fine(&written), "{text:?} was read as {written:?}");
    assert!(written.parse::<T>().is_ok_and(|again| again == value), "{text:?}");
}

/// Makes a token: the first byte is the kind, the others are selector and verifier.
fn make(bytes: &[u8; 49], change: &[u8]) {
    let text = written(bytes);
    let token = Token::parse(&text).unwrap_or_else(|| panic!("{text} is a token"));
    assert_eq!(token.to_secret().expose_secret(), text);
    if let [at, by, ..] = *change {
        let at = usize::from(at) % text.len();
        let mut changed = text.clone().into_bytes();
        if std::mem::replace(&mut changed[at], by) != by
            && let Ok(changed) = String::from_utf8(changed)
        {
            assert_eq!(Token::parse(&changed), None, "{changed}");
        }
    }
}

/// Encodes a token, independently of production.
pub fn written(bytes: &[u8; 49]) -> String {
    let [kind, numbers @ ..] = bytes;
    let (selector, verifier) = numbers.split_at(16);
    let prefix = if kind % 2 == 0 { "sna_" } else { "snr_" };
    let body = format!("{prefix}{}{}", base62(selector, 22), base62(verifier, 43));
    let checksum = base62(&crc32(body.as_bytes()).to_be_bytes(), 6);
    body + &checksum
}

/// Encodes a number in base 62 by long division.
fn base62(number: &[u8], width: usize) -> String {
    let mut number = number.to_vec();
    let mut text = vec![b'0'; width];
    for digit in text.iter_mut().rev() {
        let mut rest = 0_u16;
        for byte in &mut number {
            let all = (rest << 8) | u16::from(*byte);
            *byte = (all / 62) as u8;
            rest = all % 62;
        }
        *digit = DIGITS[usize::from(rest)];
    }
    assert!(number.iter().all(|byte| *byte == 0), "{width} digits are too few");
    text.into_iter().map(char::from).collect()
}

/// Computes CRC-32 bit by bit, from its definition (ITU-T V.42).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}
