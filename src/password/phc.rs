//! What PHC strings have in common: `$<function>$<name>=<number>,…$<salt>$<result>`, base64 without padding.

use super::error::HashError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What a salt or a result that was made elsewhere may measure. A short result could be matched by chance.
const SALT: std::ops::RangeInclusive<usize> = 4..=128;
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=128;

/// The four fields.
pub(super) fn fields(encoded: &str) -> Option<[&str; 4]> {
    let fields: Vec<&str> = encoded.strip_prefix('$')?.split('$').collect();
    fields.try_into().ok()
}

/// Numbers under these names, in this order.
pub(super) fn numbers<const N: usize>(field: &str, names: [&str; N]) -> Option<[u32; N]> {
    let mut parts = field.split(',');
    let mut numbers = [0; N];
    for (to, name) in numbers.iter_mut().zip(names) {
        *to = number(parts.next()?.strip_prefix(name)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// A number of digits alone; `parse` would take a leading plus sign too.
pub(super) fn number(digits: &str) -> Option<u32> {
    let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

pub(super) fn decode(field: &str) -> Result<Vec<u8>, HashError> {
    STANDARD_NO_PAD.decode(field).map_err(|_| HashError::Malformed("salt and result in base64"))
}

/// The last two fields.
pub(super) fn tail(salt: &[u8], output: &[u8]) -> String {
    format!("{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output))
}

/// Whether salt and result are of a length that they may have.
pub(super) fn check(salt: &[u8], output: &[u8]) -> Result<(), HashError> {
    if SALT.contains(&salt.len()) && OUTPUT.contains(&output.len()) {
        return Ok(());
    }
    Err(HashError::Malformed("a salt of 4 to 128 and a result of 16 to 128 bytes"))
}
