//! Common parts of PHC strings: `$<function>$<name>=<number>,…$<salt>$<output>`, base64 without
//! padding.

use super::error::HashError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Accepted lengths of the salt and the output of a PBKDF2 or scrypt hash, in bytes. A shorter
/// output could match by chance.
const SALT: std::ops::RangeInclusive<usize> = 4..=128;
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=128;

/// Splits a PHC string into its four fields: function, parameters, salt and output.
pub(super) fn fields(encoded: &str) -> Option<[&str; 4]> {
    let fields: Vec<&str> = encoded.strip_prefix('$')?.split('$').collect();
    fields.try_into().ok()
}

/// Parses the parameters of a PHC string: numbers with these names (including `=`) in this order.
pub(super) fn numbers<const N: usize>(field: &str, names: [&str; N]) -> Option<[u32; N]> {
    let mut parts = field.split(',');
    let mut numbers = [0; N];
    for (to, name) in numbers.iter_mut().zip(names) {
        *to = number(parts.next()?.strip_prefix(name)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Parses a number that consists of digits only; `str::parse` would also accept a leading plus.
pub(super) fn number(digits: &str) -> Option<u32> {
    let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

pub(super) fn decode(field: &str) -> Result<Vec<u8>, HashError> {
    STANDARD_NO_PAD.decode(field).map_err(|_| HashError::Malformed("salt and result in base64"))
}

/// Decodes base64 in any of its forms: of RFC 4648 §4 or §5 (URL-safe), or with passlib's `.` in
/// place of `+`, with or without padding.
pub(super) fn decode_any(field: &str) -> Result<Vec<u8>, HashError> {
    let standard = |character| match character {
        '-' | '.' => '+',
        '_' => '/',
        other => other,
    };
    decode(&field.trim_end_matches('=').chars().map(standard).collect::<String>())
}

/// Formats salt and output as the last two fields of a PHC string.
pub(super) fn tail(salt: &[u8], output: &[u8]) -> String {
    format!("{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output))
}

/// Checks that the salt and output of a PBKDF2 or scrypt hash have accepted lengths.
pub(super) fn check(salt: &[u8], output: &[u8]) -> Result<(), HashError> {
    if SALT.contains(&salt.len()) && OUTPUT.contains(&output.len()) {
        return Ok(());
    }
    Err(HashError::Malformed("a salt of 4 to 128 and a result of 16 to 128 bytes"))
}
